#include "transform/buffer_layouts.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "ir/node.h"

namespace tt::transform {
namespace {

using ir::Value;

/*! The integers of a list; none where it is no list of integers. */
std::optional<std::vector<int64_t>> ToNumbers(const Value& list) {
  if (list.type_index() != kTVMFFIArray) return std::nullopt;
  std::vector<int64_t> out;
  for (const TVMFFIAny& element : ir::Elements(list)) {
    const auto number = ir::ConstantOf(ir::View::Of(element));
    if (!number) return std::nullopt;
    out.push_back(*number);
  }
  return out;
}

/*! The fields of a map, each taken once; those that nobody takes are refused. */
class Fields {
 public:
  explicit Fields(const Value& map) {
    if (map.type_index() != kTVMFFIMap) {
      throw Error(ErrorCode::kMistypedInput, "found no map of options");
    }
    left_ = ir::MapItems(map);
  }

  Value Take(std::string_view name) {
    const auto found = std::ranges::find_if(
        left_, [&](const auto& item) { return item.first.AsString() == std::string(name); });
    if (found == left_.end()) return Value();
    Value value = found->second;
    left_.erase(found);
    return value;
  }

  std::optional<std::string> Text(const char* name) {
    const Value value = Take(name);
    if (value.is_none()) return std::nullopt;
    const auto text = value.AsString();
    if (!text) Mistyped(name, "a string");
    return text;
  }

  std::optional<std::vector<int64_t>> Numbers(const char* name) {
    const Value value = Take(name);
    if (value.is_none()) return std::nullopt;
    const auto numbers = ToNumbers(value);
    if (!numbers) Mistyped(name, "a list of integers");
    return numbers;
  }

  void CheckNoneLeft(const char* expected) const {
    if (left_.empty()) return;
    throw Error(ErrorCode::kBufferLayoutField,
                "unknown option \"" + left_.front().first.AsString().value_or("(no text)") +
                    "\"; expected any of: " + expected);
  }

  [[noreturn]] static void Mistyped(const char* name, const char* expected) {
    throw Error(ErrorCode::kMistypedInput,
                "option " + std::string(name) + " is not " + std::string(expected));
  }

  [[noreturn]] static void Missing(const char* name) {
    throw Error(ErrorCode::kBufferLayoutField, "option " + std::string(name) + " is missing");
  }

 private:
  ir::Entries left_;
};

[[noreturn]] void Conflict(const std::string& message) {
  throw Error(ErrorCode::kLayoutConflict, message);
}

std::vector<CoreRange> ReadCores(const Value& rectangles) {
  if (rectangles.is_none()) Fields::Missing("cores");
  const char* expected = "a list of rectangles [[x0, y0, x1, y1], ...] of integers";
  if (rectangles.type_index() != kTVMFFIArray) Fields::Mistyped("cores", expected);
  std::vector<CoreRange> out;
  for (const TVMFFIAny& rectangle : ir::Elements(rectangles)) {
    const auto corners = ToNumbers(ir::View::Of(rectangle));
    if (!corners || corners->size() != 4) Fields::Mistyped("cores", expected);
    out.push_back({(*corners)[0], (*corners)[1], (*corners)[2], (*corners)[3]});
  }
  return out;
}

plan::ShardSpec ReadShard(const Value& map) {
  Fields fields(map);
  plan::ShardSpec out = {};
  const auto kind = fields.Text("kind");
  const auto shape = fields.Numbers("shape");
  if (!kind) Fields::Missing("kind");
  if (!shape) Fields::Missing("shape");
  out.kind = plan::ParseShardKind(*kind);
  out.shape = *shape;
  out.cores = ReadCores(fields.Take("cores"));
  if (const auto name = fields.Text("orientation")) out.orientation = plan::ParseCoreOrder(*name);
  if (const auto name = fields.Text("distribution")) {
    out.distribution = plan::ParseDistribution(*name);
    if (out.kind != plan::ShardKind::kNd) {
      Conflict("a distribution is for shards of kind nd; found kind " + *kind);
    }
  }
  fields.CheckNoneLeft("kind, shape, cores, orientation, distribution");
  return out;
}

device::TileShape ReadTile(const std::vector<int64_t>& numbers) {
  if (numbers.size() != 2) Fields::Mistyped("tile", "[height, width]");
  const device::TileShape tile = {numbers[0], numbers[1]};
  device::CheckTileShape(tile);
  return tile;
}

BufferLayout ReadLayout(Fields& fields) {
  BufferLayout out;
  if (const auto name = fields.Text("memory")) out.memory = plan::ParseMemory(*name);
  if (const auto name = fields.Text("page_layout")) {
    out.page_layout = plan::ParsePageLayout(*name);
  }
  if (const auto tile = fields.Numbers("tile")) out.tile = ReadTile(*tile);
  if (const auto name = fields.Text("data_format"))
    out.data_format = device::FindFormat(*name).name;
  if (const Value shard = fields.Take("shard"); !shard.is_none()) out.shard = ReadShard(shard);
  fields.CheckNoneLeft("param_index, memory, page_layout, tile, data_format, shard");
  if (out.tile && out.page_layout == plan::PageLayout::kRowMajor) {
    Conflict("a tile is for pages that are tiles; found row-major pages");
  }
  if (out.shard && !out.memory) {
    Conflict("shards need a memory: cores of \"l1\" or banks of \"dram\"");
  }
  return out;
}

}  // namespace

BufferLayouts ReadBufferLayouts(const Value& layouts) {
  if (layouts.type_index() != kTVMFFIArray) {
    throw Error(ErrorCode::kMistypedInput, "found no list of maps, one for each tensor");
  }
  BufferLayouts out;
  for (const TVMFFIAny& entry : ir::Elements(layouts)) {
    Fields fields(ir::View::Of(entry));
    const Value position = fields.Take("param_index");
    const auto index = ir::ConstantOf(position);
    if (!index) Fields::Mistyped("param_index", "an integer");
    try {
      if (!out.emplace(*index, ReadLayout(fields)).second) {
        throw Error(ErrorCode::kBufferLayoutParameter, "there are two layouts for it");
      }
    } catch (const Error& error) {
      throw Error(error.code(), "parameter " + std::to_string(*index) + ": " + error.what());
    }
  }
  return out;
}

}  // namespace tt::transform
