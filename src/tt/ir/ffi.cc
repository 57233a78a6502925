#include "ir/ffi.h"

#include <bit>
#include <map>
#include <memory>
#include <mutex>

#include "core/error.h"

namespace tt::ir {
namespace {

TVMFFIByteArray Bytes(std::string_view text) { return {text.data(), text.size()}; }

/*! What follows the header of an object that the C ABI describes. */
template <typename Cell>
const Cell* CellOf(const TVMFFIObject* object) {
  return reinterpret_cast<const Cell*>(reinterpret_cast<const char*>(object) +
                                       sizeof(TVMFFIObject));
}

[[noreturn]] void ThrowRaised() {
  TVMFFIObjectHandle error = nullptr;
  TVMFFIErrorMoveFromRaised(&error);
  if (error == nullptr) throw Error(ErrorCode::kInternal, "the host failed without an error");
  throw HostException(Value::AdoptObject(error));
}

void Check(int status) {
  if (status != 0) ThrowRaised();
}

void SetRaised(const Error& error) {
  const std::string name = std::string("tilelang.tt.") + ErrorClass(error.kind());
  TVMFFIErrorSetRaisedFromCStr(name.c_str(), error.text().c_str());
}

int CallBack(void* self, const TVMFFIAny* arguments, int32_t count, TVMFFIAny* result) {
  try {
    const auto& callback = *static_cast<const Callback*>(self);
    *result = callback({arguments, static_cast<size_t>(count)}).Release();
    return 0;
  } catch (const HostException& error) {
    TVMFFIErrorSetRaised(error.error().object());
  } catch (const Error& error) {
    SetRaised(error);
  } catch (const std::exception& error) {
    SetRaised(Error(ErrorCode::kInternal, error.what()));
  }
  return -1;
}

}  // namespace

Value::Value(std::string_view text) {
  const TVMFFIByteArray bytes = Bytes(text);
  Check(TVMFFIStringFromByteArray(&bytes, &any_));
}

Value Value::Adopt(TVMFFIAny any) {
  Value value;
  value.any_ = any;
  return value;
}

Value Value::AdoptObject(TVMFFIObjectHandle handle) {
  TVMFFIAny any{};
  any.v_obj = static_cast<TVMFFIObject*>(handle);
  any.type_index = any.v_obj->type_index;
  return Adopt(any);
}

Value Value::FromArgument(const TVMFFIAny& argument) {
  if (argument.type_index == kTVMFFIObjectRValueRef) {
    // The caller offers the reference that stands at this address; leaving it there and taking
    // one of our own keeps the caller's module whole if we refuse.
    auto* object = *static_cast<TVMFFIObject**>(argument.v_ptr);
    TVMFFIObjectIncRef(object);
    return AdoptObject(object);
  }
  TVMFFIAny owned{};
  Check(TVMFFIAnyViewToOwnedAny(&argument, &owned));
  return Adopt(owned);
}

std::optional<int64_t> View::AsInt() const {
  if (any_.type_index != kTVMFFIInt && any_.type_index != kTVMFFIBool) return std::nullopt;
  return any_.v_int64;
}

std::optional<std::string> View::AsString() const {
  if (any_.type_index == kTVMFFISmallStr) return std::string(any_.v_bytes, any_.small_str_len);
  if (any_.type_index != kTVMFFIStr) return std::nullopt;
  const auto* bytes = CellOf<TVMFFIByteArray>(any_.v_obj);
  return std::string(bytes->data, bytes->size);
}

std::optional<DLDataType> View::AsDataType() const {
  if (any_.type_index != kTVMFFIDataType) return std::nullopt;
  return any_.v_dtype;
}

Interned::operator const Value&() const {
  if (const Value* known = value_.load(std::memory_order_acquire)) return *known;
  const auto* made = new Value(text_);
  const Value* first = nullptr;
  if (value_.compare_exchange_strong(first, made, std::memory_order_acq_rel)) return *made;
  delete made;
  return *first;
}

std::span<const TVMFFIAny> Elements(const TVMFFIObject* array) {
  if (array == nullptr || array->type_index != kTVMFFIArray) return {};
  const auto* cell = CellOf<TVMFFISeqCell>(array);
  return {static_cast<const TVMFFIAny*>(cell->data), static_cast<size_t>(cell->size)};
}

Value CallFunction(const Value& function, std::span<const TVMFFIAny> arguments) {
  TVMFFIAny result{};
  Check(TVMFFIFunctionCall(function.object(), const_cast<TVMFFIAny*>(arguments.data()),
                           static_cast<int32_t>(arguments.size()), &result));
  return Value::Adopt(result);
}

Value GlobalFunction::operator()(std::span<const TVMFFIAny> arguments) const {
  // Benign when raced: every thread finds the same handle, and globals live as long as the process.
  void* handle = __atomic_load_n(&handle_, __ATOMIC_ACQUIRE);
  if (handle == nullptr) {
    const TVMFFIByteArray name = Bytes(name_);
    Check(TVMFFIFunctionGetGlobal(&name, &handle));
    if (handle == nullptr) {
      throw Error(ErrorCode::kMissingGlobal,
                  std::string("this TVM has no global function ") + name_ +
                      "; import tvm (or tilelang) before running a pass, and see "
                      "the documentation for the supported versions");
    }
    __atomic_store_n(&handle_, handle, __ATOMIC_RELEASE);
  }
  TVMFFIAny result{};
  Check(TVMFFIFunctionCall(handle, const_cast<TVMFFIAny*>(arguments.data()),
                           static_cast<int32_t>(arguments.size()), &result));
  return Value::Adopt(result);
}

Value MakeFunction(Callback callback) {
  auto self = std::make_unique<Callback>(std::move(callback));
  TVMFFIObjectHandle handle = nullptr;
  Check(TVMFFIFunctionCreate(
      self.get(), CallBack, [](void* raw) { delete static_cast<Callback*>(raw); }, &handle));
  self.release();
  return Value::AdoptObject(handle);
}

void RegisterGlobal(std::string_view name, Callback callback) {
  const Value function = MakeFunction(std::move(callback));
  const TVMFFIByteArray bytes = Bytes(name);
  Check(TVMFFIFunctionSetGlobal(&bytes, function.object(), /*allow_override=*/1));
}

std::string ToString(DLDataType dtype) {
  // The host writes to a stream for each; a process knows few dtypes. Never destroyed, as threads
  // may still run passes while the process exits.
  static auto* mutex = new std::mutex;
  static auto* names = new std::map<uint32_t, std::string>;
  const std::scoped_lock lock(*mutex);
  std::string& name = (*names)[std::bit_cast<uint32_t>(dtype)];
  if (name.empty()) {
    TVMFFIAny text{};
    Check(TVMFFIDataTypeToString(&dtype, &text));
    name = *Value::Adopt(text).AsString();
  }
  return name;
}

Value MakeBytes(std::string_view content) {
  const TVMFFIByteArray bytes = Bytes(content);
  TVMFFIAny any{};
  Check(TVMFFIBytesFromByteArray(&bytes, &any));
  return Value::Adopt(any);
}

Value MakeArray(const std::vector<Value>& elements) {
  static constinit const GlobalFunction make{"ffi.Array"};
  std::vector<TVMFFIAny> arguments;
  arguments.reserve(elements.size());
  for (const Value& element : elements) arguments.push_back(element.raw());
  return make(arguments);
}

Value MakeArray(std::span<const int64_t> elements) {
  static constinit const GlobalFunction make{"ffi.Array"};
  std::vector<TVMFFIAny> arguments;
  arguments.reserve(elements.size());
  for (int64_t element : elements) arguments.push_back(Value(element).raw());
  return make(arguments);
}

Value MakeMap(const Entries& entries) {
  static constinit const GlobalFunction make{"ffi.Map"};
  std::vector<TVMFFIAny> arguments;
  arguments.reserve(2 * entries.size());
  for (const auto& [key, value] : entries) {
    arguments.push_back(key.raw());
    arguments.push_back(value.raw());
  }
  return make(arguments);
}

Entries MapItems(View map) {
  static constinit const GlobalFunction size{"ffi.MapSize"};
  static constinit const GlobalFunction iterate{"ffi.MapForwardIterFunctor"};
  Entries items;
  int64_t left = *size({map.raw()}).AsInt();
  if (left == 0) return items;
  // The host's iterator: a function of 0 for the key, 1 for the value, 2 to step on.
  const Value iterator = iterate({map.raw()});
  const auto ask = [&](int64_t what) {
    const TVMFFIAny argument = Value(what).raw();
    return CallFunction(iterator, {&argument, 1});
  };
  for (; left > 0; --left) {
    items.emplace_back(ask(0), ask(1));
    ask(2);
  }
  return items;
}

View MapGet(View map, const Value& key) {
  static constinit const GlobalFunction get{"ffi.MapGetItemOrMissing"};
  static constinit const GlobalFunction get_missing{"ffi.GetInvalidObject"};
  // The host's one marker of what is not there; it lives as long as the process.
  static const TVMFFIObject* const missing = get_missing({}).object();
  if (map.is_none()) return {};
  const Value value = get({map.raw(), key.raw()});
  return value.object() == missing ? View() : View(value);
}

}  // namespace tt::ir
