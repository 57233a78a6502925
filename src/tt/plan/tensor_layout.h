// How a tensor is tiled, padded, cut into pages and spread over the banks of a memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/int.h"
#include "device/data_format.h"
#include "device/device.h"
#include "device/tile_shape.h"
#include "plan/memory.h"
#include "plan/sharding.h"

namespace tt::plan {

using Shape = std::vector<Int>;

enum class PageLayout { kTile, kRowMajor };

/*! "tile" or "row_major"; refuses every other name. */
PageLayout ParsePageLayout(std::string_view name);
std::string_view ToString(PageLayout layout);

/*! What is chosen for one tensor, before its shape is looked at. */
struct LayoutChoice {
  const device::DataFormat* format;
  bool format_is_chosen = false;  // else it is the dtype's own
  Memory memory = Memory::kDram;
  PageLayout page_layout = PageLayout::kTile;
  device::TileShape tile = device::kDefaultTile;  // of tiled pages
  std::optional<ShardSpec> shard = {};            // none: interleaved
};

/*!
 * A tensor in pages: one tile each, or one row, of its last dimension or of a shard. All sizes are in bytes, and
 * all numbers depend on the shape variables that the shape depends on.
 * Source of the rules: TensorLayout of ttnn 0.81.1 (tt_metal/impl/tensor/spec/).
 */
struct TensorLayout {
  Int num_matrices;      // the product of all dimensions but the last two
  Int num_tiles_height;  // of one matrix; 0 where pages are rows
  Int num_tiles_width;
  bool needs_padding;  // for a symbolic shape: whether it may need padding
  Shape padded_shape;  // the rank of the shape; at least 2 in tiles, at least 1 in rows
  Int page_size;
  Int aligned_page_size;  // from one page of a bank to the next
  Int num_pages;
  int64_t num_banks;    // DRAM banks or cores; without shards, they take one page each in turn
  Int bytes_per_bank;   // reserved in every bank, from the same address on
  Int padding_bytes;    // of the pages, those that hold no element of the tensor
  Int padding_percent;  // of the pages' bytes, rounded down
  std::vector<Int> accessor_ct_args;  // TensorAccessorArgs' compile-time words
  std::optional<Sharding> sharding;
  std::optional<int64_t> address_if_alone;  // in L1 with shards: as the device's only tensor
};

/*! Where a page lies. */
struct PageLocation {
  int64_t bank;
  int64_t offset;  // bytes from where the tensor begins in that bank
};

/*!
 * Each matrix of the last two dimensions is padded by itself to whole tiles. In tiles, a scalar and
 * a vector become one row of tiles. In rows, only shards pad: the last dimension, to whole ones.
 * A tensor in L1 that does not fit is refused, and so are shards of a symbolic shape.
 * \param shape Extents in elements, each at least 1; up to 8 of them.
 */
TensorLayout LayOut(const Shape& shape, const LayoutChoice& choice, const device::Device& device);

/*! "dram_interleaved", "height_sharded" and so on. */
std::string LayoutName(const LayoutChoice& choice, const TensorLayout& layout);

/*! Where a page lies: in shards, or dealt to the banks in turn. */
PageSlot SlotOfPage(const std::optional<Sharding>& sharding, int64_t num_banks, int64_t page);

/*! Where a page of a tensor of known size lies; refuses a page that the tensor has not. */
PageLocation Locate(const TensorLayout& layout, int64_t page);

}  // namespace tt::plan
