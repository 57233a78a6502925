// ApplyTTDefaults: complete the inputs of every kernel.
//
//   def gemm(A: T.Buffer(...), ...):              def gemm(A: T.Buffer(...), ...):
//       bx = T.launch_thread("blockIdx.x", 8)  -->    T.func_attr({"tt_device": "wormhole_n150",
//       ...                                               "tt_cores": [[0, 0, 7, 7]], ...})
//                                                     bx = T.launch_thread("blockIdx.x", 8)
//
// An explicit argument wins over an attribute of the function, and that over the default, key by
// key. Cores that are the whole grid of the device so far become the whole grid of a new device.
// Results of earlier inference are dropped where an input changes.
//
// Requires: nothing.
// Ensures:  every input key is present and valid on every kernel; other functions are untouched.
// Rejects:  values that do not exist, cores outside the device, launches that FindLaunches rejects,
//           orders that a kernel asks for and that do not exist.
#include "transform/apply_tt_defaults.h"

#include <string>
#include <vector>

#include "ir/diagnostic.h"
#include "ir/launch.h"
#include "transform/attributes.h"
#include "transform/infer_tt_schedule.h"
#include "transform/infer_tt_shard.h"
#include "transform/pass.h"

namespace tt::transform {
namespace {

using ir::Value;

constexpr const char* kChooseOrder =
    "choose an order with apply_tt_defaults(mod, schedule_order=\"row_major\")";

Value WholeWorkerGrid(const device::Device& device) {
  const CoreRange all = device.AllWorkers();
  return ir::MakeArray(std::vector<Value>{ir::MakeArray({all.x0, all.y0, all.x1, all.y1})});
}

/*! What the user said: an argument, else an attribute; none where neither is there. */
Value Chosen(const Value& attrs, const Value& overrides, const ir::Interned& key) {
  Value value = ir::MapGet(overrides, key);
  return value.is_none() ? ir::MapGet(attrs, key) : value;
}

/*! Whether the function's cores are all that its device has: then they follow a new device. */
bool UsesWholeDevice(const Value& attrs) {
  const Inputs before(attrs);
  try {
    return before.Cores().ranges() == std::vector<CoreRange>{before.Device().AllWorkers()};
  } catch (const Error&) {
    return false;  // nothing there yet, or nothing valid: an argument may still mend it
  }
}

/*! An order of work tiles as the inputs say it; without panels where the order has none. */
struct TileOrder {
  std::string name = "row_major";
  Value panel;

  std::string ToString() const {
    const auto size = panel.AsInt();
    return "\"" + name + "\"" + (size ? " of " + std::to_string(*size) : "");
  }
};

/*!
 * What a launch asks for, with T.use_swizzle or by how T.Persistent counts. On one axis, on which
 * persistent kernels are launched, both swizzles change nothing.
 */
TileOrder OrderOf(const Value& func, const ir::Launch& launch) {
  if (launch.swizzle && launch.swizzle->order.empty()) {
    ir::Refuse(func, {{ErrorCode::kKernelOrder,
                       "T.use_swizzle asks for " + launch.swizzle->pattern +
                           "; expected rasterization2DRow or rasterization2DColumn of a constant "
                           "panel of at least 1",
                       kChooseOrder, launch.swizzle->stmt, launch.swizzle->stmt}});
  }
  if (launch.persistence && !launch.persistence->order.empty()) return {launch.persistence->order};
  if (launch.swizzle && !launch.persistence) return {launch.swizzle->order, launch.swizzle->panel};
  return {};
}

/*! What all launches ask for. */
TileOrder OrderOf(const Value& func, const std::vector<ir::Launch>& launches) {
  const TileOrder order = OrderOf(func, launches.front());
  for (const ir::Launch& launch : launches) {
    const TileOrder other = OrderOf(func, launch);
    if (other.ToString() == order.ToString()) continue;
    ir::Refuse(func, {{ErrorCode::kOrderConflict,
                       "one launch asks for work tiles in the order " + order.ToString() +
                           ", another one for " + other.ToString() + "; expected one order",
                       kChooseOrder, launch.root, launch.root}});
  }
  return order;
}

ir::Entries Complete(const Value& func, const std::vector<ir::Launch>& launches,
                     const Value& overrides) {
  const Value attrs = AttributesOf(func);
  ir::Entries inputs;
  const auto add = [&](const ir::Interned& key, const Value& otherwise) {
    Value value = Chosen(attrs, overrides, key);
    if (value.is_none()) value = otherwise;
    if (!value.is_none()) inputs.emplace_back(key, value);
  };
  // An argument that replaces a choice makes an attribute obsolete that only another choice uses.
  const auto add_detail = [&](const ir::Interned& key, const ir::Interned& choice,
                              std::string_view users, const Value& otherwise) {
    const auto chosen = ir::MapGet(overrides, choice).AsString();
    const bool is_obsolete = chosen && !chosen->starts_with(users);
    Value value = is_obsolete ? ir::MapGet(overrides, key) : Chosen(attrs, overrides, key);
    if (value.is_none()) value = otherwise;
    if (!value.is_none()) inputs.emplace_back(key, value);
  };
  add(input::kDevice, device::kDefaultDevice);
  const Value device = ir::MakeMap(inputs);
  const Value all_cores = WholeWorkerGrid(Inputs(device).Device());
  if (ir::MapGet(overrides, input::kCores).is_none() && UsesWholeDevice(attrs)) {
    inputs.emplace_back(input::kCores, all_cores);
  } else {
    add(input::kCores, all_cores);
  }
  add(input::kCoreOrder, "row_major");
  add(input::kSchedulePolicy, "contiguous");
  add_detail(input::kScheduleBlockSize, input::kSchedulePolicy, "block_cyclic", Value());
  const bool is_order_chosen = !Chosen(attrs, overrides, input::kScheduleOrder).is_none();
  const TileOrder order = is_order_chosen ? TileOrder() : OrderOf(func, launches);
  add(input::kScheduleOrder, order.name);
  add_detail(input::kSwizzlePanel, input::kScheduleOrder, "swizzled_", order.panel);
  add(input::kLayoutType, "dram_interleaved");
  add(input::kTileHeight, device::kDefaultTile.height);
  add(input::kTileWidth, device::kDefaultTile.width);
  add(input::kDataFormat, Value());
  add(input::kBufferLayouts, Value());
  return inputs;
}

/*! Refuses the function with all inputs that are wrong, not just the first. */
void Validate(const Value& func, const ir::Entries& entries) {
  const Value map = ir::MakeMap(entries);
  const Inputs inputs(map);
  std::vector<ir::Diagnostic> diagnostics;
  const auto check = [&](auto read) {
    try {
      read();
    } catch (const Error& error) {
      diagnostics.push_back(ToDiagnostic(error));
    }
  };
  check([&] { inputs.Cores(); });
  check([&] { inputs.CoreOrder(); });
  check([&] { inputs.Policy(); });
  check([&] { inputs.TileOrder(); });
  if (diagnostics.empty()) check([&] { inputs.CheckSchedule(); });
  check([&] { inputs.LayoutType(); });
  check([&] { inputs.Tile(); });
  check([&] { inputs.DataFormat(); });
  check([&] { inputs.BufferLayouts(); });
  if (!diagnostics.empty()) ir::Refuse(func, diagnostics);
}

Value Apply(const Value& func, const Value& overrides) {
  const std::vector<ir::Launch> launches = ir::FindLaunches(func);
  if (launches.empty()) return func;
  const ir::Entries inputs = Complete(func, launches, overrides);
  Validate(func, inputs);
  Keys obsolete;
  const Value chosen = ir::MakeMap(inputs);
  for (const ir::Interned* key : {&input::kScheduleBlockSize, &input::kSwizzlePanel}) {
    if (ir::MapGet(chosen, *key).is_none()) obsolete.push_back(key);
  }
  Value out = WithoutAttributes(WithAttributes(func, inputs), obsolete);
  if (out.object() == func.object()) return out;
  return WithoutAttributes(WithoutAttributes(out, ScheduleKeys()), ShardKeys());
}

}  // namespace

Value ApplyTTDefaults(Value overrides) {
  return MakePass("tt.ApplyTTDefaults", [overrides = std::move(overrides)](const Value& func) {
    return Apply(func, overrides);
  });
}

}  // namespace tt::transform
