// The result tt_on_chip: the circular buffers and the L1 that the launches of a kernel need.
#pragma once

#include <string_view>
#include <vector>

#include "core/int.h"
#include "device/device.h"
#include "device/tile_shape.h"
#include "ir/ffi.h"
#include "ir/on_chip.h"
#include "plan/on_chip.h"

namespace tt::transform {

/*! What decides how a launch lies on the chip. */
struct OnChipContext {
  const device::Device& device;
  device::TileShape tile;
  std::string_view format;  // chosen for all tensors; empty where none is
  Int tensor_bytes = 0;     // of each core's L1, for tensors
};

struct OnChipNeeds {
  ir::Value entry;                              // of tt_on_chip, for one launch
  std::vector<plan::CapacityProblem> problems;  // what the device has too little of
};

OnChipNeeds OnChipNeedsOf(std::vector<ir::OnChipAllocation> launch, const OnChipContext& context);

}  // namespace tt::transform
