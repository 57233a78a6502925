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

/*! \param described Where the host keeps the description: the Buffer, or the BufferType. */
Buffer ReadBuffer(const Value& buffer, const Value& described) {
  const Value layout = TryGet(described, FieldId::kLayout);
  const Value separators = TryGet(described, FieldId::kAxisSeparators);
  return {Get(described, FieldId::kShape), Get(described, FieldId::kStrides),
          Get(described, FieldId::kElemOffset),
          Elements(separators).empty() && (layout.is_none() || IsRowMajor(layout)),
          ScopeOf(buffer)};
}

/*! TVM 0.25 and TileLang: a handle that buffer_map ties to a Buffer. */
Parameter MappedBuffer(int64_t index, const Value& var, const Value& buffer) {
  return {index, GetString(buffer, FieldId::kName), DtypeOf(Get(buffer, FieldId::kDtype)),
          var,   ReadBuffer(buffer, buffer),        MemoryOf(buffer)};
}

/*! TVM 0.26 and newer: a variable whose type is the buffer. */
Parameter TypedBuffer(int64_t index, const Value& var, const Value& type) {
  return {index, GetString(var, FieldId::kName), DtypeOf(Get(type, FieldId::kDtype)),
          var,   ReadBuffer(var, type),          var};
}

Parameter ScalarOrPointer(int64_t index, const Value& var, const Value& type) {
  const Value dtype = TryGet(var, FieldId::kDtype);
  std::string name = DtypeOf(dtype.is_none() ? type : dtype);
  const Value memory = name == "handle" ? var : Value();
  return {index, GetString(var, FieldId::kName), std::move(name), var, std::nullopt, memory};
}

Parameter ReadParameter(int64_t index, const Value& var, const Value& buffer_map) {
  if (const Value buffer = MapGet(buffer_map, var); !buffer.is_none()) {
    return MappedBuffer(index, var, buffer);
  }
  const Value type = TryGet(var, FieldId::kTy);
  if (!TryGet(type, FieldId::kShape).is_none()) return TypedBuffer(index, var, type);
  return ScalarOrPointer(index, var, type);
}

}  // namespace

Value MemoryOf(const Value& buffer) {
  return KindOf(buffer) == NodeKind::kBuffer ? Get(buffer, FieldId::kData) : buffer;
}

std::string ScopeOf(const Value& buffer) {
  const Value memory = MemoryOf(buffer);
  const Value type = TryGet(memory, FieldId::kTy);
  return GetString(type.is_none() ? Get(memory, FieldId::kTypeAnnotation) : type,
                   FieldId::kStorageScope);
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

}  // namespace tt::ir
