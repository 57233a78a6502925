// The passes under their names in the host's registry; run when the library is loaded.
#include <cstdio>

#include "ir/ffi.h"
#include "transform/apply_tt_defaults.h"
#include "transform/infer_tt_schedule.h"
#include "transform/infer_tt_shard.h"

namespace tt::bind {
namespace {

using ir::Value;
using Arguments = std::span<const TVMFFIAny>;

bool Register() {
  try {
    ir::RegisterGlobal("tilelang.tt.transform.ApplyTTDefaults", [](Arguments arguments) {
      return transform::ApplyTTDefaults(Value::FromArgument(arguments[0]));
    });
    ir::RegisterGlobal("tir.transform.InferDefaultTTSchedule",
                       [](Arguments) { return transform::InferDefaultTTSchedule(); });
    ir::RegisterGlobal("tir.transform.InferDefaultTTShard",
                       [](Arguments) { return transform::InferDefaultTTShard(); });
    return true;
  } catch (...) {
    // An exception must not leave a loading library; Python finds the names missing and says so.
    return false;
  }
}

[[maybe_unused]] const bool registered = Register();

}  // namespace
}  // namespace tt::bind
