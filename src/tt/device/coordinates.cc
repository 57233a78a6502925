#include "device/coordinates.h"

#include "core/error.h"

namespace tt::device {

CoreCoord TranslatedCoord(CoreCoord worker, const Device& device) {
  switch (device.arch) {
    // Source: device.worker_core_from_logical_core() of ttnn 0.81.1 on mock devices. Harvested rows
    // are pushed to the end, so that translated workers are contiguous.
    case Arch::kWormholeB0: return {worker.x + 18, worker.y + 18};
    // The same on Blackhole: columns 8 and 9 of its NoC hold no workers.
    case Arch::kBlackhole: return {worker.x < 7 ? worker.x + 1 : worker.x + 3, worker.y + 2};
    case Arch::kGrayskull: break;
  }
  throw Error(ErrorCode::kDeviceNumber,
              "the translated coordinates of " + device.name + "'s cores are not known");
}

}  // namespace tt::device
