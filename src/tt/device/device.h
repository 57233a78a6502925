// The device table: with data_format.h and tile_shape.h the only place where hardware numbers live.
//
// A product's name gives defaults, no truths: chips of one product differ in what was harvested,
// and software in where it dispatches from. Devices are therefore values, which users derive.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/core_range.h"
#include "device/arch.h"

namespace tt::device {

/*! Where tt-metal's dispatch runs. */
enum class Dispatch {
  kRow,       // fast dispatch on the last row of Tensix cores
  kColumn,    // fast dispatch on the last column of Tensix cores
  kEthernet,  // fast dispatch on ethernet cores
  kSlow,      // slow dispatch: the host does it
};

/*! One chip. Sizes and addresses are in bytes; what is not known of a chip is absent. */
struct Device {
  using Number = std::optional<int64_t>;

  std::string name;
  Arch arch;
  CoreCoord physical_grid;    // Tensix cores on the chip, columns by rows
  int64_t harvested_columns;  // of them, switched off in the factory
  int64_t harvested_rows;
  Dispatch dispatch;
  CoreCoord worker_grid;    // Tensix cores that kernels may use
  Number dram_banks;        // as the allocator sees them
  Number dram_bank_size;    // of one bank
  Number dram_base;         // the first address in a bank that the allocator gives out
  Number dram_alignment;    // every page of a DRAM tensor starts at a multiple of it
  Number l1_size;           // of one core
  Number l1_base;           // the first address that the allocator gives out
  Number l1_alignment;      // every page of an L1 tensor starts at a multiple of it
  Number circular_buffers;  // of one core
  Number cb_alignment;      // of the start of a circular buffer
  Number dst_tiles;         // 32x32 tiles of 16-bit elements in the whole DST register
  Number clock_mhz;
  Number noc_width;      // bytes per clock
  Number dram_mb_per_s;  // of all banks, at most

  CoreRange AllWorkers() const { return {0, 0, worker_grid.x - 1, worker_grid.y - 1}; }
  int64_t NumWorkers() const { return AllWorkers().size(); }
  /*! Interleaved L1 tensors have one bank in each worker. */
  int64_t NumL1Banks() const { return NumWorkers(); }

  /*! The value of a field; refuses a device of which it is not known. */
  int64_t Known(Number Device::* field) const;
  /*! Bytes that the allocator gives out of a core's L1. */
  int64_t UsableL1() const { return Known(&Device::l1_size) - Known(&Device::l1_base); }
  /*! 32x32 tiles that a kernel may hold in DST at once. Half sync, the default, double-buffers. */
  int64_t MaxDstTiles(bool fp32_accumulation, bool full_sync) const;
  friend bool operator==(const Device&, const Device&) = default;
};

/*! Calls visit(name, member) for every field, in the order in which they are written. */
template <typename Visit>
void VisitFields(Visit visit) {
  visit("name", &Device::name);
  visit("arch", &Device::arch);
  visit("physical_grid", &Device::physical_grid);
  visit("harvested_columns", &Device::harvested_columns);
  visit("harvested_rows", &Device::harvested_rows);
  visit("dispatch", &Device::dispatch);
  visit("worker_grid", &Device::worker_grid);
  visit("dram_banks", &Device::dram_banks);
  visit("dram_bank_size", &Device::dram_bank_size);
  visit("dram_base", &Device::dram_base);
  visit("dram_alignment", &Device::dram_alignment);
  visit("l1_size", &Device::l1_size);
  visit("l1_base", &Device::l1_base);
  visit("l1_alignment", &Device::l1_alignment);
  visit("circular_buffers", &Device::circular_buffers);
  visit("cb_alignment", &Device::cb_alignment);
  visit("dst_tiles", &Device::dst_tiles);
  visit("clock_mhz", &Device::clock_mhz);
  visit("noc_width", &Device::noc_width);
  visit("dram_mb_per_s", &Device::dram_mb_per_s);
}

/*! A value of a type that no field has; what it is, for messages. */
struct Mistyped {
  std::string found;
};
using FieldValue = std::variant<int64_t, std::string, std::vector<int64_t>, Mistyped>;
using Fields = std::map<std::string, FieldValue, std::less<>>;

/*! All fields of which something is known. */
Fields FieldsOf(const Device& device);

/*!
 * The device that these fields state. Without a worker grid it has the one that harvesting and
 * dispatch leave. Refuses missing and unknown fields, wrong types, and numbers that cannot be.
 */
Device DeviceFrom(const Fields& fields);

/*! All devices, in the order in which messages list them. */
const std::vector<Device>& Devices();

/*! The device of that name; refuses an unknown one and names the nearest. */
const Device& FindDevice(std::string_view name);

/*! The device that is taken where the user names none. */
constexpr std::string_view kDefaultDevice = "wormhole_n150";

}  // namespace tt::device
