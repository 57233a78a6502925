// Owned values, calls and callbacks over the stable C ABI of tvm-ffi.
//
// Only tvm/ffi/c_api.h is included in this project: the C++ classes of tvm-ffi have layouts that
// differ between its releases, and one binary has to serve them all.
#pragma once

#include <tvm/ffi/c_api.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tt::ir {

class Value;

/*!
 * An FFI value that somebody else holds: none, a number, a string, or an object. What an object has
 * in a field is held by that object, and the IR of a function as long as the function.
 */
class View {
 public:
  View() : any_{} {}
  View(Value&&) = delete;  // it would be gone at the end of the statement
  static View Of(const TVMFFIAny& held) {
    View view;
    view.any_ = held;
    return view;
  }
  static View Of(TVMFFIObject* object) {
    View view;
    view.any_.type_index = object->type_index;
    view.any_.v_obj = object;
    return view;
  }

  int32_t type_index() const { return any_.type_index; }
  bool is_none() const { return any_.type_index == kTVMFFINone; }
  bool is_object() const { return any_.type_index >= kTVMFFIStaticObjectBegin; }
  /*! The object's address: its identity. */
  TVMFFIObject* object() const { return is_object() ? any_.v_obj : nullptr; }
  const TVMFFIAny& raw() const { return any_; }

  std::optional<int64_t> AsInt() const;
  std::optional<std::string> AsString() const;
  std::optional<DLDataType> AsDataType() const;

 protected:
  TVMFFIAny any_;
};

/*! An owned FFI value. */
class Value : public View {
 public:
  Value() = default;
  Value(int64_t number) {  // NOLINT: implicit, so that argument lists read well
    any_.type_index = kTVMFFIInt;
    any_.v_int64 = number;
  }
  Value(int) = delete;  // int64_t and bool only: no guess about the width
  explicit Value(bool flag) {
    any_.type_index = kTVMFFIBool;
    any_.v_int64 = flag;
  }
  Value(std::string_view text);                                      // NOLINT
  Value(const std::string& text) : Value(std::string_view(text)) {}  // NOLINT
  Value(const char* text) : Value(std::string_view(text)) {}         // NOLINT
  Value(View held) : View(held) { Retain(); }                        // NOLINT

  Value(const Value& other) : View(other) { Retain(); }
  Value(Value&& other) noexcept { std::swap(any_, other.any_); }
  Value& operator=(Value other) noexcept {
    std::swap(any_, other.any_);
    return *this;
  }
  ~Value() {
    if (is_object()) DropReference();
  }

  /*! Takes over the reference that `any` holds. */
  static Value Adopt(TVMFFIAny any);
  /*! Takes over the reference that a non-null handle holds. */
  static Value AdoptObject(TVMFFIObjectHandle handle);
  /*! A reference of its own to an argument, which may be a view or an r-value reference. */
  static Value FromArgument(const TVMFFIAny& argument);

  /*! Gives the reference away. */
  TVMFFIAny Release() && { return std::exchange(any_, TVMFFIAny{}); }

 private:
  void Retain() const {
    // What TVMFFIObjectIncRef does, by the layout that the C ABI states, without a call.
    if (is_object()) __atomic_fetch_add(&any_.v_obj->combined_ref_count, 1, __ATOMIC_RELAXED);
  }

  /*! What TVMFFIObjectDecRef does; only the last reference needs the call. */
  void DropReference() const {
    uint64_t* counts = &any_.v_obj->combined_ref_count;
    uint64_t count = __atomic_load_n(counts, __ATOMIC_RELAXED);
    while (static_cast<uint32_t>(count) > 1) {  // the strong ones are in the lower half
      if (__atomic_compare_exchange_n(counts, &count, count - 1, /*weak=*/true, __ATOMIC_RELEASE,
                                      __ATOMIC_RELAXED)) {
        return;
      }
    }
    TVMFFIObjectDecRef(any_.v_obj);
  }
};

/*!
 * A string that is made once, at its first use, and then shared: attributes are written by the
 * thousand. Never freed, as the host may be gone when the process exits.
 */
class Interned {
 public:
  explicit constexpr Interned(const char* text) : text_(text) {}
  operator const Value&() const;  // NOLINT: it is that value
  const char* text() const { return text_; }

 private:
  const char* text_;
  mutable std::atomic<const Value*> value_ = nullptr;
};

/*! An exception that the host raised; it passes through us as it is. */
class HostException {
 public:
  explicit HostException(Value error) : error_(std::move(error)) {}
  const Value& error() const { return error_; }

 private:
  Value error_;
};

/*! The elements of an array that somebody holds; none for any other value. */
std::span<const TVMFFIAny> Elements(const TVMFFIObject* array);
inline std::span<const TVMFFIAny> Elements(View array) { return Elements(array.object()); }

/*! Calls a function object. \throw HostException */
Value CallFunction(const Value& function, std::span<const TVMFFIAny> arguments);

/*! A global function of the host, looked up at its first call and kept. */
class GlobalFunction {
 public:
  explicit constexpr GlobalFunction(const char* name) : name_(name) {}
  /*! \throw tt::Error where the host does not have it. */
  Value operator()(std::span<const TVMFFIAny> arguments) const;
  Value operator()(std::initializer_list<TVMFFIAny> arguments) const {
    return (*this)(std::span(arguments.begin(), arguments.size()));
  }

 private:
  const char* name_;
  mutable void* handle_ = nullptr;
};

using Callback = std::function<Value(std::span<const TVMFFIAny>)>;

/*! A function object that calls back; its exceptions become FFI errors. */
Value MakeFunction(Callback callback);

/*! Registers a global function, replacing one of that name. */
void RegisterGlobal(std::string_view name, Callback callback);

/*! A dtype as TVM writes it, such as "float32". */
std::string ToString(DLDataType dtype);

Value MakeBytes(std::string_view content);
Value MakeArray(const std::vector<Value>& elements);
Value MakeArray(std::span<const int64_t> elements);
inline Value MakeArray(std::initializer_list<int64_t> elements) {
  return MakeArray(std::span(elements.begin(), elements.size()));
}

/*! Keys and values, for MakeMap and for attributes. */
using Entries = std::vector<std::pair<Value, Value>>;
Value MakeMap(const Entries& entries);

/*! What is in a map, in no order that means anything. */
Entries MapItems(View map);

/*! The value of a key, which the map holds; none where the map has it not. */
View MapGet(View map, const Value& key);

}  // namespace tt::ir
