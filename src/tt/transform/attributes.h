// The attributes that the passes read and write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/int.h"
#include "device/device.h"
#include "device/tile_shape.h"
#include "ir/ffi.h"
#include "plan/schedule.h"
#include "plan/tensor_layout.h"
#include "transform/buffer_layouts.h"

namespace tt::transform {

/*! What the user decides. Every other tt_* key is a result of a pass. */
namespace input {
inline constinit const ir::Interned kDevice{"tt_device"};
inline constinit const ir::Interned kCores{"tt_cores"};
inline constinit const ir::Interned kCoreOrder{"tt_core_order"};
inline constinit const ir::Interned kSchedulePolicy{"tt_schedule_policy"};
inline constinit const ir::Interned kScheduleBlockSize{"tt_schedule_block_size"};
inline constinit const ir::Interned kScheduleOrder{"tt_schedule_order"};
inline constinit const ir::Interned kSwizzlePanel{"tt_swizzle_panel"};
inline constinit const ir::Interned kLayoutType{"tt_layout_type"};
inline constinit const ir::Interned kTileHeight{"tt_tile_height"};
inline constinit const ir::Interned kTileWidth{"tt_tile_width"};
inline constinit const ir::Interned kDataFormat{"tt_data_format"};
inline constinit const ir::Interned kBufferLayouts{"tt_buffer_layouts"};
}  // namespace input

/*! The inputs of one function. What is missing, mistyped or unknown is refused by its key. */
class Inputs {
 public:
  explicit Inputs(ir::View attrs) : attrs_(attrs) {}
  static Inputs Of(const ir::Value& func);

  device::Device Device() const;
  plan::CoreSet Cores() const;  // all of them on the device
  plan::CoreOrder CoreOrder() const;
  plan::Policy Policy() const;
  plan::TileOrder TileOrder() const;
  /*! Refuses a policy that the cores or the order of work tiles do not allow. */
  void CheckSchedule() const;
  device::TileShape Tile() const;
  plan::Memory LayoutType() const;
  /*! The format that the user chose for all tensors that can have it; empty where none is. */
  std::string DataFormat() const;
  /*! What the user chose for single tensors. */
  transform::BufferLayouts BufferLayouts() const;

 private:
  ir::View Required(const ir::Interned& key) const;
  std::string String(const ir::Interned& key) const;
  int64_t Int(const ir::Interned& key) const;
  std::optional<int64_t> OptionalInt(const ir::Interned& key) const;

  ir::View attrs_;
};

/*! A number; as text where it depends on shape variables. */
ir::Value ToValue(const Int& number);
ir::Value ToValue(const std::vector<Int>& numbers);

/*! Whether two attributes are structurally equal. */
bool Equal(ir::View a, ir::View b);

/*! The attributes of a function as a map. */
ir::View AttributesOf(ir::View func);

/*! The function with these attributes set; the same object where it has them already. */
ir::Value WithAttributes(const ir::Value& func, const ir::Entries& attributes);

/*! Names of attributes. */
using Keys = std::vector<const ir::Interned*>;

/*! The function without these attributes, where it has any of them. */
ir::Value WithoutAttributes(const ir::Value& func, const Keys& keys);

}  // namespace tt::transform
