#include "device/device.h"

#include <array>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/join.h"

namespace tt::device {
namespace {

// Sources, all of tt-metal as shipped in the ttnn 0.81.1 wheel:
//   worker grid     tt_metal/core_descriptors/wormhole_b0_80_arch.yaml, n150 with fast dispatch:
//   one
//                   of 10 rows is harvested, the last remaining one dispatches. Read back from a
//                   mock device with compute_with_storage_grid_size().
//   DRAM banks      tt_metal/soc_descriptors/wormhole_b0_80_arch.yaml: 6 channels of two banks.
//   DRAM alignment  tt_metal/hw/inc/internal/tt-1xx/wormhole/noc/noc_parameters.h, NoC DRAM reads.
//   L1 alignment    the same, NoC L1 reads.
constexpr std::array<Device, 1> kDevices = {{
    {.name = "wormhole_n150",
     .arch = "wormhole_b0",
     .worker_grid = {8, 8},
     .dram_banks = 12,
     .dram_alignment = 32,
     .l1_alignment = 16},
}};

}  // namespace

std::span<const Device> Devices() { return kDevices; }

const Device& FindDevice(std::string_view name) {
  for (const Device& device : kDevices) {
    if (device.name == name) return device;
  }
  std::vector<std::string_view> known;
  for (const Device& device : kDevices) known.push_back(device.name);
  throw Error(ErrorCode::kUnknownDevice,
              "unknown device \"" + std::string(name) + "\"; expected one of: " + Join(known));
}

}  // namespace tt::device
