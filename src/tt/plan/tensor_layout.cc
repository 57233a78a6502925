#include "plan/tensor_layout.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <string>

#include "core/checked.h"
#include "core/enum_names.h"
#include "core/error.h"

namespace tt::plan {
namespace {

// Flags of an accessor's config word.
// Source: tt_metal/hostdevcommon/api/hostdevcommon/tensor_accessor/arg_config.hpp, ttnn 0.81.1.
constexpr int64_t kAccessorSharded = 1;
constexpr int64_t kAccessorDram = 2;

// Source: TensorAccessorArgs::MAX_NUM_DIMENSIONS of tt-metal.
constexpr size_t kMaxRank = 8;

Shape AtLeast(size_t rank, const Shape& shape) {
  Shape out(shape.size() < rank ? rank - shape.size() : 0, 1);
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

Int Product(std::span<const Int> extents) {
  return std::accumulate(extents.begin(), extents.end(), Int(1),
                         [](const Int& a, const Int& b) { return a * b; });
}

void CheckShape(const Shape& shape) {
  if (shape.size() > kMaxRank) {
    throw Error(ErrorCode::kTensorRank, "the tensor has " + std::to_string(shape.size()) +
                                            " dimensions; expected at most " +
                                            std::to_string(kMaxRank));
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].constant().value_or(1) >= 1) continue;
    throw Error(ErrorCode::kTensorExtent, "dimension " + std::to_string(i) + " has extent " +
                                              shape[i].ToString() + "; expected at least 1");
  }
}

/*! Refuses a format that cannot be stored in such pages, or not by this chip. */
void CheckFormat(const device::DataFormat& format, PageLayout pages, const device::Device& device) {
  const std::string name(format.name);
  if (format.only_arch && format.only_arch != device.arch) {
    throw Error(ErrorCode::kFormatDevice, name + " is stored row-major on " +
                                              std::string(ToString(*format.only_arch)) +
                                              " only; found " + std::string(ToString(device.arch)));
  }
  if (!format.in_tiles && pages == PageLayout::kTile) {
    throw Error(ErrorCode::kRowMajorDtype,
                name + " is stored row-major only; found pages that are tiles");
  }
  if (format.is_block && pages == PageLayout::kRowMajor) {
    throw Error(ErrorCode::kTiledFormat, name + " is stored in tiles only; found row-major pages");
  }
}

/*! Bytes of that many elements without the padding around them. */
Int BytesOf(const Int& elements, const LayoutChoice& choice) {
  if (!choice.format->is_block) return elements * (choice.format->element_bits / 8);
  // Elements bring their share of the exponents. Whole divisors first: the bytes may just fit.
  const int64_t tile_elements = choice.tile.height * choice.tile.width;
  const int64_t tile_bytes = device::TileBytes(*choice.format, choice.tile);
  const int64_t common = std::gcd(tile_elements, tile_bytes);
  const Int step = tile_elements / common, bytes = tile_bytes / common;
  return FloorDiv(elements, step) * bytes + CeilDiv(FloorMod(elements, step) * bytes, step);
}

Int Percent(const Int& part, const Int& whole) {
  if (part == Int(0)) return 0;
  if (!part.is_constant() || !whole.is_constant()) return FloorDiv(part * 100, whole);
  return static_cast<int64_t>(static_cast<__int128>(*part.constant()) * 100 / *whole.constant());
}

constexpr EnumNames<PageLayout, 2> kPageLayouts = {
    "page layout",
    ErrorCode::kPageLayout,
    {{{PageLayout::kTile, "tile"}, {PageLayout::kRowMajor, "row_major"}}}};

/*! The page and how the tensor is padded to whole ones. */
void LayOutTiles(const Shape& shape, const LayoutChoice& choice, TensorLayout* out) {
  const auto [height, width] = choice.tile;
  const Shape matrix = AtLeast(2, shape);
  Int& rows = out->num_tiles_height;
  Int& columns = out->num_tiles_width;
  rows = CeilDiv(*(matrix.end() - 2), height);
  columns = CeilDiv(matrix.back(), width);
  out->padded_shape = matrix;
  *(out->padded_shape.end() - 2) = rows * height;
  out->padded_shape.back() = columns * width;
  out->needs_padding = out->padded_shape != matrix;
  out->page_size = device::TileBytes(*choice.format, choice.tile);
  out->num_pages = out->num_matrices * rows * columns;
}

/*! Width of a page in elements: one row of the tensor, or of a shard. */
Int RowWidth(const Shape& rows, const LayoutChoice& choice) {
  const bool has_shards = choice.shard && !choice.shard->shape.empty();
  // A shard that is no width is refused when the tensor is cut.
  return has_shards ? Int(std::max<int64_t>(choice.shard->shape.back(), 1)) : rows.back();
}

void LayOutRows(const Shape& shape, const LayoutChoice& choice, TensorLayout* out) {
  const Shape rows = AtLeast(1, shape);
  const Int width = RowWidth(rows, choice);
  const Int pages_per_row = CeilDiv(rows.back(), width);
  out->padded_shape = rows;
  out->padded_shape.back() = pages_per_row * width;
  out->needs_padding = out->padded_shape != rows;
  out->page_size = BytesOf(width, choice);
  out->num_pages = Product({rows.begin(), rows.end() - 1}) * pages_per_row;
}

std::vector<int64_t> KnownExtents(const Shape& shape) {
  std::vector<int64_t> out;
  for (const Int& extent : shape) {
    if (!extent.is_constant()) {
      throw Error(ErrorCode::kShardSymbolic, "shards of a tensor with the symbolic extent " +
                                                 extent.ToString() + "; expected known extents");
    }
    out.push_back(*extent.constant());
  }
  return out;
}

Sharding CutIntoShards(const TensorLayout& layout, const LayoutChoice& choice,
                       const device::Device& device) {
  PagedTensor tensor = {.padded_shape = KnownExtents(layout.padded_shape),
                        .page_height = choice.tile.height,
                        .page_width = choice.tile.width};
  tensor.is_tiled = choice.page_layout == PageLayout::kTile;
  if (!tensor.is_tiled) {
    tensor.page_height = 1;
    tensor.page_width = *RowWidth(layout.padded_shape, choice).constant();
  }
  return Shard(*choice.shard, tensor, choice.memory, device);
}

void CheckFitsL1(const Int& bytes_per_core, const device::Device& device) {
  const auto bytes = bytes_per_core.constant();
  if (!bytes || *bytes <= device.UsableL1()) return;
  throw Error(ErrorCode::kL1Capacity, "the tensor needs " + std::to_string(*bytes) +
                                          " bytes of L1 in every core that has a part of it; " +
                                          device.name + " has " +
                                          std::to_string(device.UsableL1()) + " usable ones");
}

/*! Deals the pages over the banks, or the shards over their cores. */
void Distribute(const LayoutChoice& choice, const device::Device& device, TensorLayout* out) {
  const bool in_l1 = choice.memory == Memory::kL1;
  const Banks banks = BanksOf(choice.memory, device);
  out->aligned_page_size = RoundUp(out->page_size, banks.alignment);
  (void)(out->num_pages * out->aligned_page_size);  // the whole tensor must have a byte count
  out->num_banks = banks.count;
  Int pages_per_bank = CeilDiv(out->num_pages, banks.count);
  if (choice.shard) {
    out->sharding = CutIntoShards(*out, choice, device);
    out->num_banks = static_cast<int64_t>(out->sharding->cores.size());
    pages_per_bank = out->sharding->PagesPerCore();
  }
  out->bytes_per_bank = pages_per_bank * out->aligned_page_size;
  if (in_l1) CheckFitsL1(out->bytes_per_bank, device);
  // L1 is given out from its end downwards.
  if (in_l1 && out->sharding) {
    out->address_if_alone =
        device.Known(&device::Device::l1_size) - *out->bytes_per_bank.constant();
  }
}

std::vector<Int> AccessorWords(const LayoutChoice& choice, const device::Device& device,
                               const TensorLayout& layout) {
  const int64_t config = (choice.memory == Memory::kDram ? kAccessorDram : 0) |
                         (layout.sharding ? kAccessorSharded : 0);
  std::vector<Int> out = {config, layout.aligned_page_size};
  if (layout.sharding) {
    const auto words = AccessorWords(*layout.sharding, choice.memory, device);
    out.insert(out.end(), words.begin(), words.end());
  }
  return out;
}

}  // namespace

PageLayout ParsePageLayout(std::string_view name) { return kPageLayouts.Parse(name); }
std::string_view ToString(PageLayout layout) { return kPageLayouts.NameOf(layout); }

TensorLayout LayOut(const Shape& shape, const LayoutChoice& choice, const device::Device& device) {
  CheckShape(shape);
  CheckFormat(*choice.format, choice.page_layout, device);
  TensorLayout out = {};
  const size_t batch = shape.size() < 2 ? 0 : shape.size() - 2;
  out.num_matrices = Product({shape.begin(), shape.begin() + batch});
  if (choice.page_layout == PageLayout::kTile) {
    LayOutTiles(shape, choice, &out);
  } else {
    LayOutRows(shape, choice, &out);
  }
  Distribute(choice, device, &out);
  const Int bytes = out.num_pages * out.page_size;
  out.padding_bytes = bytes - BytesOf(Product(shape), choice);
  out.padding_percent = Percent(out.padding_bytes, bytes);
  out.accessor_ct_args = AccessorWords(choice, device, out);
  return out;
}

std::string LayoutName(const LayoutChoice& choice, const TensorLayout& layout) {
  if (!layout.sharding) return std::string(LayoutType(choice.memory));
  return std::string(ToString(layout.sharding->kind)) + "_sharded";
}

PageSlot SlotOfPage(const std::optional<Sharding>& sharding, int64_t num_banks, int64_t page) {
  return sharding ? LocateInShards(*sharding, page) : PageSlot{page % num_banks, page / num_banks};
}

PageLocation Locate(const TensorLayout& layout, int64_t page) {
  const int64_t pages = layout.num_pages.Evaluate({});
  if (page < 0 || page >= pages) {
    throw Error(ErrorCode::kPageIndex, "page " + std::to_string(page) + " of a tensor of " +
                                           std::to_string(pages) + " pages");
  }
  const PageSlot at = SlotOfPage(layout.sharding, layout.num_banks, page);
  return {at.bank, CheckedMul(at.slot, layout.aligned_page_size.Evaluate({}))};
}

}  // namespace tt::plan
