#include "ir/parameters.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/join.h"
#include "ir/node.h"

namespace tt::ir {
namespace {

// The linear id of a core, in the formulas of a schedule.
constexpr std::string_view kCoreId = "core_id";

/*! The type of a variable, under whichever name the host has it. */
View TypeOfVar(View var) {
  const View type = TryGet(var, FieldId::kTy);
  return type.is_none() ? TryGet(var, FieldId::kTypeAnnotation) : type;
}

Parameter ReadParameter(int64_t index, View var, View buffer_map) {
  // TVM 0.25 and TileLang: a handle that buffer_map ties to a Buffer.
  if (const View buffer = MapGet(buffer_map, var); !buffer.is_none()) {
    return {index, var, MemoryOf(buffer), buffer};
  }
  // TVM 0.26 and newer: a variable whose type is the buffer.
  const View type = TypeOfVar(var);
  if (!TryGet(type, FieldId::kShape).is_none()) return {index, var, var, type};
  const bool pointer = DtypeOfExpr(var) == "handle";
  return {index, var, pointer ? var : View(), View()};
}

}  // namespace

View MemoryOf(View buffer) {
  return KindOf(buffer) == NodeKind::kBuffer ? Get(buffer, FieldId::kData) : buffer;
}

std::string ScopeOf(View buffer) {
  return GetString(TypeOfVar(MemoryOf(buffer)), FieldId::kStorageScope);
}

std::vector<Parameter> Parameters(View func) {
  const View params = Get(func, FieldId::kParams);
  const View buffer_map = TryGet(func, FieldId::kBufferMap);
  std::vector<Parameter> out;
  for (const TVMFFIAny& param : Elements(params)) {
    out.push_back(ReadParameter(static_cast<int64_t>(out.size()), View::Of(param), buffer_map));
  }
  return out;
}

std::string NameOf(const Parameter& parameter) {
  const bool named = KindOf(parameter.description) == NodeKind::kBuffer;
  return GetString(named ? parameter.description : parameter.var, FieldId::kName);
}

Buffer ReadBuffer(const Parameter& parameter) {
  View description = parameter.description;
  return {DtypeOf(Get(description, FieldId::kDtype)),
          Get(description, FieldId::kShape),
          Get(description, FieldId::kStrides),
          Get(description, FieldId::kElemOffset),
          TryGet(description, FieldId::kAxisSeparators),
          TryGet(description, FieldId::kLayout),
          ScopeOf(parameter.memory)};
}

std::string DtypeOfExpr(View expr) {
  const View dtype = TryGet(expr, FieldId::kDtype);
  return DtypeOf(dtype.is_none() ? TypeOfVar(expr) : dtype);
}

bool IsInteger(View expr) {
  const std::string text = DtypeOfExpr(expr);
  std::string_view dtype = text;
  if (dtype.starts_with("u")) dtype.remove_prefix(1);
  return dtype.starts_with("int") && dtype.find('x') == std::string_view::npos;
}

const std::vector<ShapeVariables::Variable>& ShapeVariables::Variables() const {
  if (!std::exchange(collected_, true)) Collect();
  return variables_;
}

void ShapeVariables::Collect() const {
  for (const Parameter& parameter : parameters_) {
    if (!parameter.description.is_none()) {
      const Buffer buffer = ReadBuffer(parameter);
      for (const TVMFFIAny& dimension : Elements(buffer.shape)) AddAll(View::Of(dimension), true);
      for (const TVMFFIAny& stride : Elements(buffer.strides)) AddAll(View::Of(stride), false);
      AddAll(buffer.elem_offset, false);
    } else if (parameter.memory.is_none() && IsInteger(parameter.var)) {
      Add(parameter.var, false);
    }
  }
}

void ShapeVariables::AddAll(View expr, bool non_negative) const {
  Walker walker(expr);
  for (View node; walker.Next(&node);) {
    if (KindOf(node) == NodeKind::kVar) Add(node, non_negative && node.object() == expr.object());
    walker.PushChildren(node);
  }
}

void ShapeVariables::Add(View var, bool non_negative) const {
  const auto is_same = [&](const Variable& known) { return known.var.object() == var.object(); };
  const auto found = std::ranges::find_if(variables_, is_same);
  if (found != variables_.end()) {
    found->non_negative |= non_negative;
    return;
  }
  const bool is_size = TypeOf(var).key == "tirx.SizeVar" || DtypeOfExpr(var).starts_with("uint");
  variables_.push_back({var, GetString(var, FieldId::kName), non_negative || is_size});
}

std::optional<Size> ShapeVariables::Find(View var) const {
  if (const auto known = defined_.find(var.object()); known != defined_.end()) return known->second;
  const auto is_same = [&](const Variable& known) { return known.var.object() == var.object(); };
  const std::vector<Variable>& variables = Variables();
  const auto found = std::ranges::find_if(variables, is_same);
  if (found == variables.end()) return std::nullopt;
  if (std::ranges::count(variables, found->name, &Variable::name) > 1) {
    throw Error(ErrorCode::kSizeNameTwice, "two shape variables are named `" + found->name +
                                               "`; expected a name of its own for each");
  }
  if (found->name == kCoreId) {
    throw Error(ErrorCode::kSizeName,
                "a shape variable is named `core_id`, which formulas call the "
                "core; expected another name");
  }
  const std::optional<int64_t> at_least =
      found->non_negative ? std::optional<int64_t>(0) : std::nullopt;
  return Size{Int::Variable(found->name), at_least};
}

std::vector<Value> ShapeVariables::All() const {
  std::vector<Value> out;
  for (const Variable& variable : Variables()) out.push_back(variable.var);
  return out;
}

std::string ShapeVariables::Names() const {
  std::vector<std::string> names;
  for (const Variable& variable : Variables()) names.push_back(variable.name);
  return Join(names);
}

}  // namespace tt::ir
