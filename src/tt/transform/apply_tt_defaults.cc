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
// Rejects:  values that do not exist, cores outside the device, launch grids that FindGrid rejects.
#include "transform/apply_tt_defaults.h"

#include <string>
#include <vector>

#include "ir/launch.h"
#include "transform/attributes.h"
#include "transform/infer_tt_schedule.h"
#include "transform/infer_tt_shard.h"
#include "transform/pass.h"

namespace tt::transform {
namespace {

using ir::Value;

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

ir::Entries Complete(const Value& attrs, const Value& overrides) {
  ir::Entries inputs;
  const auto add = [&](const ir::Interned& key, const Value& otherwise) {
    Value value = Chosen(attrs, overrides, key);
    if (value.is_none()) value = otherwise;
    if (!value.is_none()) inputs.emplace_back(key, value);
  };
  // An argument that replaces a choice makes an attribute obsolete that only another choice uses.
  const auto add_detail = [&](const ir::Interned& key, const ir::Interned& choice,
                              std::string_view users) {
    const auto chosen = ir::MapGet(overrides, choice).AsString();
    const bool is_obsolete = chosen && !chosen->starts_with(users);
    Value value = is_obsolete ? ir::MapGet(overrides, key) : Chosen(attrs, overrides, key);
    if (!value.is_none()) inputs.emplace_back(key, value);
  };
  add(input::kDevice, device::kDefaultDevice);
  const Value all_cores = WholeWorkerGrid(Inputs(ir::MakeMap(inputs)).Device());
  if (ir::MapGet(overrides, input::kCores).is_none() && UsesWholeDevice(attrs)) {
    inputs.emplace_back(input::kCores, all_cores);
  } else {
    add(input::kCores, all_cores);
  }
  add(input::kCoreOrder, "row_major");
  add(input::kSchedulePolicy, "contiguous");
  add_detail(input::kScheduleBlockSize, input::kSchedulePolicy, "block_cyclic");
  add(input::kScheduleOrder, "row_major");
  add_detail(input::kSwizzlePanel, input::kScheduleOrder, "swizzled_");
  add(input::kLayoutType, "dram_interleaved");
  add(input::kTileHeight, device::kDefaultTile.height);
  add(input::kTileWidth, device::kDefaultTile.width);
  add(input::kDataFormat, Value());
  add(input::kBufferLayouts, Value());
  return inputs;
}

/*! Refuses the function with all inputs that are wrong, not just the first. */
void Validate(const Value& func, const ir::Entries& entries) {
  const Inputs inputs(ir::MakeMap(entries));
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
  if (!ir::FindGrid(func)) return func;
  const ir::Entries inputs = Complete(AttributesOf(func), overrides);
  Validate(func, inputs);
  std::vector<std::string> obsolete;
  for (const ir::Interned* key : {&input::kScheduleBlockSize, &input::kSwizzlePanel}) {
    if (ir::MapGet(ir::MakeMap(inputs), *key).is_none()) obsolete.push_back(key->text());
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
