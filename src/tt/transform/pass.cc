#include "transform/pass.h"

namespace tt::transform {
namespace {

using ir::Value;

const char* HelpFor(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kMissingInput: return "run tilelang.tt.apply_tt_defaults on the module first";
    case ErrorKind::kOption:
    case ErrorKind::kDevice:
    case ErrorKind::kTileShape:
      return "give apply_tt_defaults another value for it (its arguments are named without tt_), "
             "or leave it out for the default";
    case ErrorKind::kOverflow: return "make the launch grid smaller";
    default: return "";
  }
}

}  // namespace

Value RunOn(const Value& func, const FunctionTransform& transform) {
  try {
    return transform(func);
  } catch (const LocatedError&) {
    throw;
  } catch (const Error& error) {
    // Without the function there is nothing to show; a host that is not understood may not print.
    if (error.kind() == ErrorKind::kHost || error.kind() == ErrorKind::kInternal) throw;
    ir::Refuse(func, {ToDiagnostic(error)});
  }
}

ir::Diagnostic ToDiagnostic(const Error& error) {
  return {error.code(), error.what(), HelpFor(error.kind()), {}, {}};
}

Value MakePass(const char* name, FunctionTransform transform) {
  static constinit const ir::GlobalFunction make_info{"transform.PassInfo"};
  static constinit const ir::GlobalFunction make_pass{"tirx.transform.CreatePrimFuncPass"};
  // The host calls with (function, module, context).
  const Value function =
      ir::MakeFunction([transform = std::move(transform)](std::span<const TVMFFIAny> arguments) {
        return RunOn(Value::FromArgument(arguments[0]), transform);
      });
  const Value opt_level(int64_t{0}), pass_name(name),
      required = ir::MakeArray(std::vector<Value>{}), traceable(false);
  const Value info = make_info({opt_level.raw(), pass_name.raw(), required.raw(), traceable.raw()});
  return make_pass({function.raw(), info.raw()});
}

}  // namespace tt::transform
