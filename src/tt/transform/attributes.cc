#include "transform/attributes.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "device/data_format.h"
#include "ir/node.h"
#include "transform/cache.h"

namespace tt::transform {

using ir::Value;

namespace {

[[noreturn]] void ThrowMistyped(const ir::Interned& key, const char* expected) {
  throw Error(ErrorCode::kMistypedInput,
              std::string("attribute ") + key.text() + " is not " + expected);
}

/*! Calls; what is refused there is refused with the key in front of it. */
template <typename Call>
decltype(auto) Naming(const char* key, Call call) {
  try {
    return call();
  } catch (const Error& error) {
    throw Error(error.code(), std::string("attribute ") + key + ": " + error.what());
  }
}

CoreRange ReadRange(const Value& rectangle) {
  std::vector<int64_t> corners;
  for (const TVMFFIAny& corner : ir::Elements(rectangle)) {
    const auto value = ir::ConstantOf(ir::View::Of(corner));
    if (value) corners.push_back(*value);
  }
  if (corners.size() != 4 || ir::Elements(rectangle).size() != 4) {
    ThrowMistyped(input::kCores, "a list of rectangles [[x0, y0, x1, y1], ...] of integers");
  }
  return {corners[0], corners[1], corners[2], corners[3]};
}

device::FieldValue ReadField(const Value& value) {
  if (const auto number = ir::ConstantOf(value)) return *number;
  if (const auto text = value.AsString()) return *text;
  if (value.type_index() != kTVMFFIArray) return device::Mistyped{"no integer, text or list"};
  std::vector<int64_t> numbers;
  for (const TVMFFIAny& element : ir::Elements(value)) {
    const auto number = ir::ConstantOf(ir::View::Of(element));
    if (!number) return device::Mistyped{"a list of more than integers"};
    numbers.push_back(*number);
  }
  return numbers;
}

device::Device ReadDevice(const Value& map) {
  device::Fields fields;
  for (const auto& [key, value] : ir::MapItems(map)) {
    const auto name = key.AsString();
    if (!name) throw Error(ErrorCode::kDeviceFieldName, "the name of a device field is no text");
    fields.emplace(*name, ReadField(value));
  }
  return device::DeviceFrom(fields);
}

/*! ReadDevice, remembered: the functions of a module share the map, and each pass reads it. */
device::Device DerivedDevice(const Value& map) {
  // The map is kept with what was read, so that its address stays its own.
  using Read = std::pair<Value, device::Device>;
  static auto* cache = new Cache<const TVMFFIObject*, Read>;
  return cache->Get(map.object(), [&] { return Read(map, ReadDevice(map)); }).second;
}

/*! A function argument by r-value reference, which the callee takes over. */
class Moved {
 public:
  explicit Moved(Value value) : object_(std::move(value).Release().v_obj) {}
  Moved(const Moved&) = delete;
  ~Moved() {
    if (object_ != nullptr) TVMFFIObjectDecRef(object_);
  }
  TVMFFIAny Argument() {
    TVMFFIAny any{};
    any.type_index = kTVMFFIObjectRValueRef;
    any.v_ptr = &object_;
    return any;
  }

 private:
  TVMFFIObject* object_;
};

}  // namespace

Inputs Inputs::Of(const Value& func) { return Inputs(AttributesOf(func)); }

ir::View Inputs::Required(const ir::Interned& key) const {
  const ir::View value = ir::MapGet(attrs_, key);
  if (value.is_none()) {
    throw Error(ErrorCode::kMissingInput, std::string("attribute ") + key.text() + " is missing");
  }
  return value;
}

std::string Inputs::String(const ir::Interned& key) const {
  const auto text = Required(key).AsString();
  if (!text) ThrowMistyped(key, "a string");
  return *text;
}

int64_t Inputs::Int(const ir::Interned& key) const {
  const auto number = ir::ConstantOf(Required(key));
  if (!number) ThrowMistyped(key, "an integer");
  return *number;
}

std::optional<int64_t> Inputs::OptionalInt(const ir::Interned& key) const {
  if (ir::MapGet(attrs_, key).is_none()) return std::nullopt;
  return Int(key);
}

device::Device Inputs::Device() const {
  const Value stated = Required(input::kDevice);
  const auto name = stated.AsString();
  if (!name && stated.type_index() != kTVMFFIMap) {
    ThrowMistyped(input::kDevice, "the name of a device or the map of its fields");
  }
  return Naming(input::kDevice.text(),
                [&] { return name ? device::FindDevice(*name) : DerivedDevice(stated); });
}

plan::CoreSet Inputs::Cores() const {
  const Value rectangles = Required(input::kCores);
  if (rectangles.type_index() != kTVMFFIArray) {
    ThrowMistyped(input::kCores, "a list of rectangles [[x0, y0, x1, y1], ...] of integers");
  }
  const device::Device device = Device();
  std::vector<CoreRange> ranges;
  for (const TVMFFIAny& rectangle : ir::Elements(rectangles)) {
    ranges.push_back(ReadRange(ir::View::Of(rectangle)));
  }
  return Naming(input::kCores.text(), [&] {
    for (const CoreRange& range : ranges) plan::CheckOnDevice(range, device);
    return plan::CoreSet(std::move(ranges));
  });
}

plan::CoreOrder Inputs::CoreOrder() const {
  const std::string name = String(input::kCoreOrder);
  return Naming(input::kCoreOrder.text(), [&] { return plan::ParseCoreOrder(name); });
}

plan::Policy Inputs::Policy() const {
  const std::string name = String(input::kSchedulePolicy);
  const std::optional<int64_t> block_size = OptionalInt(input::kScheduleBlockSize);
  return Naming(input::kSchedulePolicy.text(), [&] { return plan::ParsePolicy(name, block_size); });
}

plan::TileOrder Inputs::TileOrder() const {
  const std::string name = String(input::kScheduleOrder);
  const std::optional<int64_t> panel = OptionalInt(input::kSwizzlePanel);
  return Naming(input::kScheduleOrder.text(), [&] { return plan::ParseTileOrder(name, panel); });
}

void Inputs::CheckSchedule() const {
  const plan::Policy policy = Policy();
  const plan::CoreSet cores = Cores();
  const plan::TileOrder order = TileOrder();
  Naming(input::kSchedulePolicy.text(), [&] { plan::CheckPolicy(policy, cores, order); });
}

device::TileShape Inputs::Tile() const {
  const device::TileShape tile = {Int(input::kTileHeight), Int(input::kTileWidth)};
  Naming("tt_tile_height and tt_tile_width", [&] { device::CheckTileShape(tile); });
  return tile;
}

std::string Inputs::DataFormat() const {
  if (ir::MapGet(attrs_, input::kDataFormat).is_none()) return {};
  const std::string format = String(input::kDataFormat);
  Naming(input::kDataFormat.text(), [&] { device::CheckCommonChoice(format); });
  return format;
}

transform::BufferLayouts Inputs::BufferLayouts() const {
  const Value layouts = ir::MapGet(attrs_, input::kBufferLayouts);
  if (layouts.is_none()) return {};
  return Naming(input::kBufferLayouts.text(), [&] { return ReadBufferLayouts(layouts); });
}

plan::Memory Inputs::LayoutType() const {
  const std::string type = String(input::kLayoutType);
  return Naming(input::kLayoutType.text(), [&] { return plan::ParseLayoutType(type); });
}

Value ToValue(const tt::Int& number) {
  const auto constant = number.constant();
  return constant ? Value(*constant) : Value(number.ToString());
}

Value ToValue(const std::vector<tt::Int>& numbers) {
  std::vector<Value> values;
  values.reserve(numbers.size());
  for (const tt::Int& number : numbers) values.push_back(ToValue(number));
  return ir::MakeArray(values);
}

bool Equal(ir::View a, ir::View b) {
  static constinit const ir::GlobalFunction equal{"ffi.StructuralEqual"};
  if (a.type_index() != b.type_index()) return false;
  if (a.is_object() && a.object() == b.object()) return true;
  const Value no(false);
  return *equal({a.raw(), b.raw(), no.raw(), no.raw()}).AsInt() != 0;
}

ir::View AttributesOf(ir::View func) {
  return ir::TryGet(ir::TryGet(func, ir::FieldId::kAttrs), ir::FieldId::kDict);
}

Value WithAttributes(const Value& func, const ir::Entries& attributes) {
  static constinit const ir::GlobalFunction with_attr{"ir.BaseFuncWithAttr"};
  const ir::View present = AttributesOf(func);
  const bool unchanged = std::ranges::all_of(attributes, [&](const auto& entry) {
    return Equal(ir::MapGet(present, entry.first), entry.second);
  });
  if (unchanged) return func;
  Value out = func;
  for (const auto& [key, value] : attributes) {
    Moved moved(std::move(out));
    out = with_attr({moved.Argument(), key.raw(), value.raw()});
  }
  return out;
}

Value WithoutAttributes(const Value& func, const Keys& keys) {
  static constinit const ir::GlobalFunction without_attr{"ir.BaseFuncWithoutAttr"};
  Value out = func;
  for (const ir::Interned* interned : keys) {
    const Value& key = *interned;
    if (ir::MapGet(AttributesOf(out), key).is_none()) continue;
    Moved moved(std::move(out));
    out = without_attr({moved.Argument(), key.raw()});
  }
  return out;
}

}  // namespace tt::transform
