// What a launch needs of each core's memory: circular buffers in L1, and sub-blocks that fit DST.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/int.h"
#include "device/device.h"
#include "device/tile_shape.h"

namespace tt::plan {

/*! Memory that a kernel allocates for the work tile at hand. */
struct OnChipBuffer {
  std::string name;
  int64_t element_bits;
  std::vector<Int> shape;
  int64_t num_stages = 1;          // how many of it a pipelined loop keeps filled
  std::optional<size_t> pipeline;  // which of the launch's loops that is
};

/*! A queue of pages in L1, each of one tile, in which such a buffer lies. */
struct CircularBuffer {
  Int num_tiles_height;  // of one matrix
  Int num_tiles_width;
  Int num_tiles;      // of one stage
  int64_t page_size;  // bytes
  Int bytes;          // of all stages
};

/*!
 * The last two dimensions are padded to whole tiles, as those of a tensor in DRAM are; a page is
 * rounded up to the words in which the hardware counts.
 */
CircularBuffer MakeCircularBuffer(const OnChipBuffer& buffer, device::TileShape tile);

/*! Bytes of L1 from the first circular buffer's start to the last one's end. */
Int BytesOfL1(const std::vector<CircularBuffer>& buffers, int64_t alignment);

/*! Something that a core has too little of. */
struct CapacityProblem {
  ErrorCode code;
  std::string message;  // with a breakdown by buffer, and what would make it fit
};

/*! Bytes of L1 that tensors leave to circular buffers; none where that is not known. */
std::optional<Int> AvailableL1(const device::Device& device, const Int& tensor_bytes);

/*!
 * None where everything fits, where that depends on shape variables, and where the device's memory
 * is not known.
 * \param tensor_bytes What the tensors in L1 take of each core.
 */
std::vector<CapacityProblem> CheckCapacity(const std::vector<OnChipBuffer>& buffers,
                                           const Int& tensor_bytes, device::TileShape tile,
                                           const device::Device& device);

/*! A part of an accumulator that DST holds at once, in tiles. */
struct SubBlock {
  int64_t height;
  int64_t width;
};

/*!
 * The largest sub-block of at most so many tiles that divides an accumulator of so many tiles; of
 * several that large the squarest, and of two the taller one. Up to 8 tiles that is the first match
 * of ttnn's list.
 * Source: get_matmul_subblock_params of ttnn 0.81.1, in
 * ttnn/cpp/ttnn/operations/matmul/device/config/matmul_program_config.cpp.
 */
SubBlock LargestSubBlock(int64_t num_tiles_height, int64_t num_tiles_width, int64_t dst_tiles);

}  // namespace tt::plan
