#include "plan/tensor_layout.h"

#include <string>

#include "core/checked.h"

namespace tt::plan {
namespace {

// Config word of an interleaved accessor: the flag IsDram.
// Source: tt_metal/hostdevcommon/api/hostdevcommon/tensor_accessor/arg_config.hpp, ttnn 0.81.1.
constexpr int64_t kAccessorInterleavedDram = 2;

Shape AtLeastMatrix(const Shape& shape) {
  Shape out(shape.size() < 2 ? 2 - shape.size() : 0, 1);
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

}  // namespace

void CheckLayoutType(std::string_view layout_type) {
  if (layout_type == "dram_interleaved") return;
  throw Error(ErrorCode::kLayoutType, "unknown layout type \"" + std::string(layout_type) +
                                          "\"; expected one of: dram_interleaved");
}

TensorLayout LayOutTiled(const Shape& shape, const device::DataFormat& format,
                         device::TileShape tile, const device::Device& device) {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] >= 1) continue;
    throw Error(ErrorCode::kTensorExtent, "dimension " + std::to_string(i) + " has extent " +
                                              std::to_string(shape[i]) + "; expected at least 1");
  }
  const Shape matrix = AtLeastMatrix(shape);
  Shape padded = matrix;
  const size_t rank = padded.size();
  int64_t matrices = 1;
  for (size_t i = 0; i + 2 < rank; ++i) matrices = CheckedMul(matrices, padded[i]);
  const int64_t rows = CeilDiv(padded[rank - 2], tile.height);
  const int64_t columns = CeilDiv(padded[rank - 1], tile.width);
  padded[rank - 2] = CheckedMul(rows, tile.height);
  padded[rank - 1] = CheckedMul(columns, tile.width);

  const int64_t page_size = tile.height * tile.width * format.element_bytes;
  const int64_t aligned_page_size = RoundUp(page_size, device.dram_alignment);
  const int64_t num_pages = CheckedMul(CheckedMul(matrices, rows), columns);
  CheckedMul(num_pages, aligned_page_size);  // the whole tensor must have a byte count
  return {.format = &format,
          .num_matrices = matrices,
          .num_tiles_height = rows,
          .num_tiles_width = columns,
          .needs_padding = padded != matrix,
          .padded_shape = padded,
          .page_size = page_size,
          .aligned_page_size = aligned_page_size,
          .num_pages = num_pages,
          .accessor_ct_args = {kAccessorInterleavedDram, aligned_page_size}};
}

}  // namespace tt::plan
