#include "ir/parameters.h"

#include "ir/node.h"

namespace tt::ir {
namespace {

bool IsEmptyMap(const Value& map) {
  static constinit const GlobalFunction size{"ffi.MapSize"};
  return map.is_none() || *size({map.raw()}).AsInt() == 0;
}

/*! Whether a TileLayout of TIRx counts elements in memory, the last axis fastest. */
bool IsRowMajor(const Value& layout) {
  if (TypeOf(layout).key != "tirx.TileLayout") return false;
  const Value replica = Get(layout, FieldId::kReplica);
  if (!Elements(replica).empty() || !IsEmptyMap(Get(layout, FieldId::kOffset))) return false;
  const Value axes = Get(layout, FieldId::kShard);
  int64_t expected = 1;
  for (size_t i = Elements(axes).size(); i-- > 0;) {
    const Value axis = Value::CopyOf(Elements(axes)[i]);
    const auto extent = ConstantOf(Get(axis, FieldId::kExtent));
    const bool in_memory = GetString(Get(axis, FieldId::kAxis), FieldId::kName) == "m";
    if (!extent || !in_memory) return false;
    if (*extent != 1 && ConstantOf(Get(axis, FieldId::kStride)) != expected) return false;
    if (__builtin_mul_overflow(expected, *extent, &expected)) return false;
  }
  return true;
}

/*! The type of a variable, under whichever name the host has it. */
Value TypeOfVar(const Value& var) {
  const Value type = TryGet(var, FieldId::kTy);
  return type.is_none() ? TryGet(var, FieldId::kTypeAnnotation) : type;
}

Parameter ReadParameter(int64_t index, const Value& var, const Value& buffer_map) {
  // TVM 0.25 and TileLang: a handle that buffer_map ties to a Buffer.
  if (const Value buffer = MapGet(buffer_map, var); !buffer.is_none()) {
    return {index, var, MemoryOf(buffer), buffer};
  }
  // TVM 0.26 and newer: a variable whose type is the buffer.
  const Value type = TypeOfVar(var);
  if (!TryGet(type, FieldId::kShape).is_none()) return {index, var, var, type};
  const Value dtype = TryGet(var, FieldId::kDtype);
  const bool pointer = DtypeOf(dtype.is_none() ? type : dtype) == "handle";
  return {index, var, pointer ? var : Value(), Value()};
}

}  // namespace

Value MemoryOf(const Value& buffer) {
  return KindOf(buffer) == NodeKind::kBuffer ? Get(buffer, FieldId::kData) : buffer;
}

std::string ScopeOf(const Value& buffer) {
  return GetString(TypeOfVar(MemoryOf(buffer)), FieldId::kStorageScope);
}

std::vector<Parameter> Parameters(const Value& func) {
  const Value params = Get(func, FieldId::kParams);
  const Value buffer_map = TryGet(func, FieldId::kBufferMap);
  std::vector<Parameter> out;
  for (const TVMFFIAny& param : Elements(params)) {
    out.push_back(
        ReadParameter(static_cast<int64_t>(out.size()), Value::CopyOf(param), buffer_map));
  }
  return out;
}

std::string NameOf(const Parameter& parameter) {
  const bool named = KindOf(parameter.description) == NodeKind::kBuffer;
  return GetString(named ? parameter.description : parameter.var, FieldId::kName);
}

Buffer ReadBuffer(const Parameter& parameter) {
  const Value& description = parameter.description;
  const Value layout = TryGet(description, FieldId::kLayout);
  const Value separators = TryGet(description, FieldId::kAxisSeparators);
  return {DtypeOf(Get(description, FieldId::kDtype)),
          Get(description, FieldId::kShape),
          Get(description, FieldId::kStrides),
          Get(description, FieldId::kElemOffset),
          Elements(separators).empty() && (layout.is_none() || IsRowMajor(layout)),
          ScopeOf(parameter.memory)};
}

}  // namespace tt::ir
