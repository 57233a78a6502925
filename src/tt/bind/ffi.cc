// The passes under their names in the host's registry; run when the library is loaded.
#include "ir/ffi.h"
#include "core/error.h"
#include "ir/diagnostic.h"
#include "ir/fingerprint.h"
#include "ir/launch.h"
#include "ir/node.h"
#include "ir/padding.h"
#include "ir/parameters.h"
#include "ir/size.h"
#include "transform/apply_tt_defaults.h"
#include "transform/buffer_layouts.h"
#include "transform/grid_to_persistent.h"
#include "transform/infer_tt_schedule.h"
#include "transform/infer_tt_shard.h"
#include "transform/pass.h"
#include "transform/threads_to_loops.h"
#include "transform/verify_tt_metadata.h"

namespace tt::bind {
namespace {

using ir::Value;
using Arguments = std::span<const TVMFFIAny>;

void CheckCount(Arguments arguments, size_t expected) {
  if (arguments.size() == expected) return;
  throw Error(ErrorCode::kArgumentCount, "found " + std::to_string(arguments.size()) +
                                             " arguments; expected " + std::to_string(expected));
}

Value OnlyArgument(Arguments arguments) {
  CheckCount(arguments, 1);
  return Value::FromArgument(arguments[0]);
}

/*! [index, name] of every tensor parameter. */
Value TensorParameters(const Value& func) {
  std::vector<Value> out;
  for (const ir::Parameter& parameter : ir::Parameters(func)) {
    if (parameter.memory.is_none()) continue;
    out.push_back(ir::MakeArray(std::vector<Value>{parameter.index, ir::NameOf(parameter)}));
  }
  return ir::MakeArray(out);
}

/*!
 * [whether a read over the edge has a meaning, what it gives of each parameter]: whether or not the
 * tensor's layout has padding.
 */
Value OverTheEdge(const Value& func) {
  const auto parameters = ir::Parameters(func);
  std::vector<bool> tensors;
  for (const ir::Parameter& parameter : parameters) {
    tensors.push_back(!parameter.memory.is_none());
  }
  const ir::PaddingFacts facts = ir::ReadPadding(func, parameters, tensors);
  std::vector<Value> values;
  for (const std::string& value : facts.values) values.push_back(Value(value));
  return ir::MakeArray(std::vector<Value>{Value(facts.is_tilelang), ir::MakeArray(values)});
}

/*! [file, line], or none. */
Value PlaceOf(const Value& func, const Value& node) {
  const auto place = ir::FindPlace(func, node);
  return place ? ir::MakeArray(std::vector<Value>{Value(place->file), Value(place->line)})
               : Value();
}

/*! [the function with both inferences' results, its place, [code, message, place] of each warning]. */
Value Infer(const Value& func) {
  std::vector<ir::Warning> warnings;
  const auto infer = [&warnings](const Value& input) {
    return transform::InferShard(transform::InferSchedule(input), &warnings);
  };
  const Value inferred = transform::RunOn(func, infer);
  std::vector<Value> entries;
  for (const ir::Warning& warning : warnings) {
    entries.push_back(ir::MakeArray(std::vector<Value>{
        Value(ToString(warning.code)), Value(warning.message), PlaceOf(func, warning.node)}));
  }
  return ir::MakeArray(
      std::vector<Value>{inferred, PlaceOf(func, Value()), ir::MakeArray(entries)});
}

/*! A type by its key, or null. */
const TVMFFITypeInfo* FindType(const std::string& type_key) {
  const TVMFFIByteArray key = {type_key.data(), type_key.size()};
  int32_t type_index = 0;
  if (TVMFFITypeKeyToIndex(&key, &type_index) == 0) return TVMFFIGetTypeInfo(type_index);
  TVMFFIObjectHandle error = nullptr;
  TVMFFIErrorMoveFromRaised(&error);
  Value::AdoptObject(error);
  return nullptr;
}

/*!
 * [name, static type, schema] of every field of a type, as its JSON has them; none where there is
 * no such type, or where it makes its JSON itself.
 */
Value FieldsOf(const std::string& type_key) {
  const TVMFFITypeInfo* found = FindType(type_key);
  if (found == nullptr) return Value();
  const ir::TypeInfo& type = ir::TypeOf(found->type_index);
  if (type.makes_json) return Value();
  std::vector<Value> out;
  for (const ir::Field& field : type.fields) {
    out.push_back(ir::MakeArray(std::vector<Value>{
        Value(field.name), Value(int64_t{field.static_type}), Value(field.schema)}));
  }
  return ir::MakeArray(out);
}

/*! The keys of a type and of all that it is derived from; empty where there is no such type. */
Value KindsOf(const std::string& type_key) {
  std::vector<Value> out;
  if (const TVMFFITypeInfo* type = FindType(type_key)) {
    const auto add = [&out](const TVMFFIByteArray& key) {
      out.push_back(Value(std::string_view(key.data, key.size)));
    };
    add(type->type_key);
    for (int32_t i = 0; i < type->type_depth; ++i) add(type->type_ancestors[i]->type_key);
  }
  return ir::MakeArray(out);
}

bool Register() {
  try {
    ir::RegisterGlobal("tilelang.tt.transform.ApplyTTDefaults", [](Arguments arguments) {
      return transform::ApplyTTDefaults(OnlyArgument(arguments));
    });
    ir::RegisterGlobal("tir.transform.InferDefaultTTSchedule",
                       [](Arguments) { return transform::InferDefaultTTSchedule(); });
    ir::RegisterGlobal("tir.transform.InferDefaultTTShard",
                       [](Arguments) { return transform::InferDefaultTTShard(); });
    ir::RegisterGlobal("tilelang.tt.transform.ThreadsToLoops",
                       [](Arguments) { return transform::ThreadsToLoops(); });
    ir::RegisterGlobal("tilelang.tt.transform.VerifyTTMetadata",
                       [](Arguments) { return transform::VerifyTTMetadata(); });
    ir::RegisterGlobal("tilelang.tt.transform.GridToPersistent",
                       [](Arguments) { return transform::GridToPersistent(); });
    ir::RegisterGlobal("tilelang.tt.tensor_parameters", [](Arguments arguments) {
      return TensorParameters(OnlyArgument(arguments));
    });
    ir::RegisterGlobal("tilelang.tt.over_the_edge",
                       [](Arguments arguments) { return OverTheEdge(OnlyArgument(arguments)); });
    ir::RegisterGlobal("tilelang.tt.check_buffer_layouts", [](Arguments arguments) {
      const Value layouts = OnlyArgument(arguments);
      transform::ReadBufferLayouts(layouts);
      return Value();
    });
    ir::RegisterGlobal("tilelang.tt.infer",
                       [](Arguments arguments) { return Infer(OnlyArgument(arguments)); });
    ir::RegisterGlobal("tilelang.tt.fingerprint", [](Arguments arguments) {
      const Value func = OnlyArgument(arguments);
      return ir::MakeBytes(ir::Fingerprint(func));
    });
    ir::RegisterGlobal("tilelang.tt.depth", [](Arguments arguments) {
      const Value func = OnlyArgument(arguments);
      return Value(static_cast<int64_t>(ir::Depth(func)));
    });
    ir::RegisterGlobal("tilelang.tt.fields", [](Arguments arguments) {
      return FieldsOf(OnlyArgument(arguments).AsString().value_or(""));
    });
    ir::RegisterGlobal("tilelang.tt.kinds", [](Arguments arguments) {
      return KindsOf(OnlyArgument(arguments).AsString().value_or(""));
    });
    ir::RegisterGlobal("tilelang.tt.is_printable", [](Arguments arguments) {
      const Value func = OnlyArgument(arguments);
      return Value(ir::IsPrintable(func));
    });
    ir::RegisterGlobal("tilelang.tt.is_kernel", [](Arguments arguments) {
      const Value func = OnlyArgument(arguments);
      return Value(ir::IsKernel(func));
    });
    ir::RegisterGlobal("tilelang.tt.is_core_program", [](Arguments arguments) {
      const Value func = OnlyArgument(arguments);
      return Value(ir::IsCoreProgram(func));
    });
    ir::RegisterGlobal("tilelang.tt.read_size", [](Arguments arguments) {
      CheckCount(arguments, 2);
      const Value func = Value::FromArgument(arguments[0]);
      const Value expr = Value::FromArgument(arguments[1]);
      const auto parameters = ir::Parameters(func);
      const ir::ShapeVariables variables(parameters);
      return Value(ir::ReadInt(expr, variables).ToString());
    });
    ir::RegisterGlobal("tilelang.tt.shape_variables", [](Arguments arguments) {
      const Value func = OnlyArgument(arguments);
      const auto parameters = ir::Parameters(func);
      return ir::MakeArray(ir::ShapeVariables(parameters).All());
    });
    return true;
  } catch (...) {
    // An exception must not leave a loading library; Python finds the names missing and says so.
    return false;
  }
}

[[maybe_unused]] const bool registered = Register();

}  // namespace
}  // namespace tt::bind
