#include "transform/on_chip.h"

#include <array>
#include <optional>
#include <tuple>

#include "device/data_format.h"
#include "transform/attributes.h"
#include "transform/cache.h"

namespace tt::transform {
namespace {

using ir::Interned;
using ir::OnChipAllocation;
using ir::Value;

namespace key {
constinit const Interned kName{"name"}, kScope{"scope"}, kDtype{"dtype"}, kShape{"shape"};
constinit const Interned kDataFormat{"data_format"}, kNumTiles{"num_tiles"};
constinit const Interned kPageSize{"page_size"}, kNumStages{"num_stages"}, kBytes{"bytes"};
constinit const Interned kCircularBuffers{"circular_buffers"}, kL1Bytes{"l1_bytes"};
constinit const Interned kNumCircularBuffers{"num_circular_buffers"};
constinit const Interned kMaxCircularBuffers{"max_circular_buffers"};
constinit const Interned kL1Available{"l1_available"}, kAccumulators{"accumulators"};
constinit const Interned kCircularBuffer{"circular_buffer"}, kNumTilesHeight{"num_tiles_height"};
constinit const Interned kNumTilesWidth{"num_tiles_width"}, kSubBlocks{"subblocks"};
constinit const Interned kFp32{"fp32_dest_acc_en"}, kFullSync{"dst_full_sync_en"};
constinit const Interned kDstTiles{"dst_tiles"}, kSubBlock{"subblock"};
}  // namespace key

/*! What is small and of one thread stays in registers. */
bool NeedsCircularBuffer(const OnChipAllocation& allocation, device::TileShape tile) {
  if (!allocation.is_private) return true;
  Int elements = 1;
  for (const Int& extent : allocation.shape) elements = elements * extent;
  const auto constant = elements.constant();
  return !constant || *constant >= tile.height * tile.width;
}

plan::OnChipBuffer ToPlan(const OnChipAllocation& allocation) {
  return {allocation.name, allocation.element_bits, allocation.shape, allocation.num_stages,
          allocation.pipeline};
}

/*! How elements lie in tiles on the chip, and "none" for a dtype that has no such format. */
std::string_view FormatName(const std::string& dtype, const OnChipContext& context) {
  try {
    // Block formats are for tensors: what is computed on has its own format again.
    const auto& chosen = device::FormatOf(dtype, device::CommonChoice(dtype, context.format));
    const auto& format = chosen.is_block ? device::FormatOf(dtype) : chosen;
    return format.in_tiles ? format.name : "none";
  } catch (const Error&) {
    return "none";
  }
}

Value CircularBufferEntry(const OnChipAllocation& allocation, const plan::CircularBuffer& circular,
                          const OnChipContext& context) {
  return ir::MakeMap({
      {key::kName, allocation.name},
      {key::kScope, allocation.scope},
      {key::kDtype, allocation.dtype},
      {key::kDataFormat, FormatName(allocation.dtype, context)},
      {key::kShape, ToValue(allocation.shape)},
      {key::kNumTiles, ToValue(circular.num_tiles)},
      {key::kPageSize, circular.page_size},
      {key::kNumStages, allocation.num_stages},
      {key::kBytes, ToValue(circular.bytes)},
  });
}

/*! The largest sub-blocks by the modes of DST; none where the tiles are not known. */
Value SubBlocks(const plan::CircularBuffer& circular, const device::Device& device) {
  std::vector<Value> out;
  const auto height = circular.num_tiles_height.constant();
  const auto width = circular.num_tiles_width.constant();
  if (!height || !width || !device.dst_tiles) return ir::MakeArray(out);
  for (bool fp32 : {false, true}) {
    for (bool full_sync : {false, true}) {
      const int64_t dst_tiles = device.MaxDstTiles(fp32, full_sync);
      const plan::SubBlock block = plan::LargestSubBlock(*height, *width, dst_tiles);
      out.push_back(ir::MakeMap({{key::kFp32, Value(fp32)},
                                 {key::kFullSync, Value(full_sync)},
                                 {key::kDstTiles, dst_tiles},
                                 {key::kSubBlock, ir::MakeArray({block.height, block.width})}}));
    }
  }
  return ir::MakeArray(out);
}

Value AccumulatorEntry(size_t position, const OnChipAllocation& allocation,
                       const plan::CircularBuffer& circular, const device::Device& device) {
  return ir::MakeMap({{key::kName, allocation.name},
                      {key::kCircularBuffer, static_cast<int64_t>(position)},
                      {key::kNumTilesHeight, ToValue(circular.num_tiles_height)},
                      {key::kNumTilesWidth, ToValue(circular.num_tiles_width)},
                      {key::kSubBlocks, SubBlocks(circular, device)}});
}

Value MakeEntry(const std::vector<OnChipAllocation>& allocations, const OnChipContext& context) {
  const device::Device& device = context.device;
  std::vector<plan::CircularBuffer> circular;
  std::vector<Value> entries;
  std::vector<Value> accumulators;
  for (const OnChipAllocation& allocation : allocations) {
    circular.push_back(plan::MakeCircularBuffer(ToPlan(allocation), context.tile));
    if (allocation.accumulates) {
      accumulators.push_back(AccumulatorEntry(entries.size(), allocation, circular.back(), device));
    }
    entries.push_back(CircularBufferEntry(allocation, circular.back(), context));
  }
  ir::Entries out = {{key::kCircularBuffers, ir::MakeArray(entries)},
                     {key::kNumCircularBuffers, static_cast<int64_t>(entries.size())},
                     {key::kAccumulators, ir::MakeArray(accumulators)}};
  if (device.cb_alignment) {
    out.emplace_back(key::kL1Bytes, ToValue(plan::BytesOfL1(circular, *device.cb_alignment)));
  }
  if (const auto available = plan::AvailableL1(device, context.tensor_bytes)) {
    out.emplace_back(key::kL1Available, ToValue(*available));
  }
  if (device.circular_buffers) {
    out.emplace_back(key::kMaxCircularBuffers, *device.circular_buffers);
  }
  return ir::MakeMap(out);
}

std::vector<plan::CapacityProblem> CheckCapacity(const std::vector<OnChipAllocation>& allocations,
                                                 const OnChipContext& context) {
  std::vector<plan::OnChipBuffer> buffers;
  for (const OnChipAllocation& allocation : allocations) buffers.push_back(ToPlan(allocation));
  return plan::CheckCapacity(buffers, context.tensor_bytes, context.tile, context.device);
}

}  // namespace

/*! Remembered: maps are costly to build, and the kernels of a module allocate alike. */
OnChipNeeds OnChipNeedsOf(std::vector<OnChipAllocation> launch, const OnChipContext& context) {
  using Number = device::Device::Number;
  using Key = std::tuple<std::vector<OnChipAllocation>, std::array<Number, 5>, device::TileShape,
                         std::string, Int>;
  static auto* cache = new Cache<Key, OnChipNeeds>;
  std::erase_if(launch, [&](const OnChipAllocation& allocation) {
    return !NeedsCircularBuffer(allocation, context.tile);
  });
  const device::Device& device = context.device;
  const Key key = {std::move(launch),
                   {device.l1_size, device.l1_base, device.cb_alignment, device.circular_buffers,
                    device.dst_tiles},
                   context.tile,
                   std::string(context.format),
                   context.tensor_bytes};
  return cache->Get(key, [&]() -> OnChipNeeds {
    const auto& allocations = std::get<0>(key);
    return {MakeEntry(allocations, context), CheckCapacity(allocations, context)};
  });
}

}  // namespace tt::transform
