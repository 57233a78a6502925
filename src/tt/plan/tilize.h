// Arrays of numbers as the chip has them: in faces, tiles, pages and banks, with padding; and back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device/tile_shape.h"
#include "plan/sharding.h"
#include "plan/tensor_layout.h"

namespace tt::plan {

/*! How a tensor of known shape lies in banks, as somebody says. Nothing of it is believed. */
struct BankedTensor {
  std::string name;            // for messages
  std::string dtype;           // of the array's elements, as TVM names it
  std::string data_format;     // of the elements in the banks
  std::vector<int64_t> shape;  // elements
  PageLayout page_layout;
  device::TileShape page;                // height and width, in elements; of a row the height is 1
  int64_t page_size, aligned_page_size;  // bytes
  int64_t num_pages, num_banks;
  int64_t bytes_per_bank;
  std::optional<Sharding> sharding;  // none: the pages lie in the banks in turn
};

/*! Refuses numbers that contradict each other: after it, every page lies inside of the banks. */
void CheckBanks(const BankedTensor& tensor);

/*! Bytes of the array. */
int64_t ArrayBytes(const BankedTensor& tensor);

/*!
 * Writes an array into the banks. Bytes that belong to no page are left as they are.
 *
 * Elements of a dtype's own format keep their bits. Else they are rounded to nearest, ties to even;
 * those of a block format as tt-metal does it.
 *
 * \param array The elements in row-major order.
 * \param padding One element, for the places of pages that are beyond the tensor.
 * \param banks The banks one after the other, as many bytes as the tensor reserves in all of them.
 */
void Tilize(const BankedTensor& tensor, std::span<const uint8_t> array,
            std::span<const uint8_t> padding, std::span<uint8_t> banks);

/*! Reads an array out of the banks; what its dtype cannot hold is rounded likewise. */
void Untilize(const BankedTensor& tensor, std::span<const uint8_t> banks, std::span<uint8_t> array);

}  // namespace tt::plan
