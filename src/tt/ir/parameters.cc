#include "ir/parameters.h"

#include "ir/node.h"

namespace tt::ir {
namespace {

Buffer ReadBuffer(const Value& described) {
  return {Get(described, FieldId::kShape), Get(described, FieldId::kStrides),
          Get(described, FieldId::kElemOffset)};
}

/*! TVM 0.25 and TileLang: a handle that buffer_map ties to a Buffer. */
Parameter MappedBuffer(int64_t index, const Value& var, const Value& buffer) {
  return {index,
          GetString(buffer, FieldId::kName),
          DtypeOf(Get(buffer, FieldId::kDtype)),
          var,
          ReadBuffer(buffer),
          MemoryOf(buffer)};
}

/*! TVM 0.26 and newer: a variable whose type is the buffer. */
Parameter TypedBuffer(int64_t index, const Value& var, const Value& type) {
  return {index,
          GetString(var, FieldId::kName),
          DtypeOf(Get(type, FieldId::kDtype)),
          var,
          ReadBuffer(type),
          var};
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
