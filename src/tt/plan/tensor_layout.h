// How a tensor is tiled, padded and cut into pages in DRAM.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "device/data_format.h"
#include "device/device.h"
#include "device/tile_shape.h"

namespace tt::plan {

using Shape = std::vector<int64_t>;

/*!
 * A tensor in tiled layout, its pages (one tile each) interleaved over the DRAM banks.
 * Source of the rules: TensorLayout of ttnn 0.81.1 (tt_metal/impl/tensor/spec/).
 */
struct TensorLayout {
  const device::DataFormat* format;
  int64_t num_matrices;      // the product of all dimensions but the last two
  int64_t num_tiles_height;  // of one matrix
  int64_t num_tiles_width;
  bool needs_padding;
  Shape padded_shape;         // the rank of the shape, but at least 2
  int64_t page_size;          // bytes
  int64_t aligned_page_size;  // bytes from one page of a bank to the next
  int64_t num_pages;
  std::vector<int64_t> accessor_ct_args;  // TensorAccessorArgs' compile-time words
};

/*! Refuses a layout type that does not exist. */
void CheckLayoutType(std::string_view layout_type);

/*!
 * Each matrix of the last two dimensions is padded by itself to whole tiles. A scalar and a vector
 * become one row of tiles.
 * \param shape Extents in elements, each at least 1.
 */
TensorLayout LayOutTiled(const Shape& shape, const device::DataFormat& format,
                         device::TileShape tile, const device::Device& device);

}  // namespace tt::plan
