// The result tt_traffic: what the work tiles of a launch move and multiply.
#pragma once

#include "ir/ffi.h"
#include "ir/traffic.h"

namespace tt::transform {

/*! The entry of one launch. */
ir::Value TrafficEntry(const ir::Traffic& traffic);

}  // namespace tt::transform
