// Where cores are for kernels that address each other.
#pragma once

#include "core/core_range.h"
#include "device/device.h"

namespace tt::device {

/*! The translated NoC coordinates of a worker, which are the ones that kernels use. */
CoreCoord TranslatedCoord(CoreCoord worker, const Device& device);

}  // namespace tt::device
