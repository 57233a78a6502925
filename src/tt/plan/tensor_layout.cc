#include "plan/tensor_layout.h"

#include <numeric>
#include <span>
#include <string>

#include "core/checked.h"
#include "core/enum_names.h"
#include "core/error.h"

namespace tt::plan {
namespace {

// Config words of an interleaved accessor: the flag IsDram, or none.
// Source: tt_metal/hostdevcommon/api/hostdevcommon/tensor_accessor/arg_config.hpp, ttnn 0.81.1.
constexpr int64_t kAccessorInterleavedDram = 2;
constexpr int64_t kAccessorInterleavedL1 = 0;

// Source: TensorAccessorArgs::MAX_NUM_DIMENSIONS of tt-metal.
constexpr size_t kMaxRank = 8;

/*! The banks of a memory, as its allocator sees them. */
struct Banks {
  int64_t count;
  int64_t alignment;  // bytes
};

Banks BanksOf(Memory memory, const device::Device& device) {
  using device::Device;
  if (memory == Memory::kDram) {
    return {device.Known(&Device::dram_banks), device.Known(&Device::dram_alignment)};
  }
  return {device.NumL1Banks(), device.Known(&Device::l1_alignment)};
}

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
  if (!part.is_constant() || !whole.is_constant()) return FloorDiv(part * 100, whole);
  return static_cast<int64_t>(static_cast<__int128>(*part.constant()) * 100 / *whole.constant());
}

constexpr EnumNames<Memory, 2> kMemories = {
    "memory", ErrorCode::kMemory, {{{Memory::kDram, "dram"}, {Memory::kL1, "l1"}}}};
constexpr EnumNames<PageLayout, 2> kPageLayouts = {
    "page layout",
    ErrorCode::kPageLayout,
    {{{PageLayout::kTile, "tile"}, {PageLayout::kRowMajor, "row_major"}}}};
// An interleaved tensor's layout is named after its memory.
constexpr EnumNames<Memory, 2> kLayoutTypes = {
    "layout type",
    ErrorCode::kLayoutType,
    {{{Memory::kDram, "dram_interleaved"}, {Memory::kL1, "l1_interleaved"}}}};

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

void LayOutRows(const Shape& shape, const LayoutChoice& choice, TensorLayout* out) {
  out->padded_shape = AtLeast(1, shape);
  out->needs_padding = false;
  out->page_size = BytesOf(out->padded_shape.back(), choice);
  out->num_pages = Product({out->padded_shape.begin(), out->padded_shape.end() - 1});
}

}  // namespace

Memory ParseMemory(std::string_view name) { return kMemories.Parse(name); }
PageLayout ParsePageLayout(std::string_view name) { return kPageLayouts.Parse(name); }
Memory ParseLayoutType(std::string_view name) { return kLayoutTypes.Parse(name); }
std::string_view ToString(Memory memory) { return kMemories.NameOf(memory); }
std::string_view ToString(PageLayout layout) { return kPageLayouts.NameOf(layout); }
std::string_view LayoutType(Memory memory) { return kLayoutTypes.NameOf(memory); }

TensorLayout LayOut(const Shape& shape, const LayoutChoice& choice, const device::Device& device) {
  CheckShape(shape);
  CheckFormat(*choice.format, choice.page_layout, device);
  TensorLayout out;
  const size_t batch = shape.size() < 2 ? 0 : shape.size() - 2;
  out.num_matrices = Product({shape.begin(), shape.begin() + batch});
  if (choice.page_layout == PageLayout::kTile) {
    LayOutTiles(shape, choice, &out);
  } else {
    LayOutRows(shape, choice, &out);
  }
  const Banks banks = BanksOf(choice.memory, device);
  out.num_banks = banks.count;
  out.aligned_page_size = RoundUp(out.page_size, banks.alignment);
  (void)(out.num_pages * out.aligned_page_size);  // the whole tensor must have a byte count
  out.bytes_per_bank = CeilDiv(out.num_pages, banks.count) * out.aligned_page_size;
  const Int bytes = out.num_pages * out.page_size;
  out.padding_bytes = bytes - BytesOf(Product(shape), choice);
  out.padding_percent = Percent(out.padding_bytes, bytes);
  out.accessor_ct_args = {
      choice.memory == Memory::kDram ? kAccessorInterleavedDram : kAccessorInterleavedL1,
      out.aligned_page_size};
  return out;
}

PageLocation Locate(const TensorLayout& layout, int64_t page) {
  const int64_t pages = layout.num_pages.Evaluate({});
  if (page < 0 || page >= pages) {
    throw Error(ErrorCode::kPageIndex, "page " + std::to_string(page) + " of a tensor of " +
                                           std::to_string(pages) + " pages");
  }
  return {page % layout.num_banks,
          CheckedMul(page / layout.num_banks, layout.aligned_page_size.Evaluate({}))};
}

}  // namespace tt::plan
