#pragma once

#include <string>
#include <vector>

#include "ir/ffi.h"

namespace tt::transform {

/*! The pass tt.InferDefaultTTSchedule. */
ir::Value InferDefaultTTSchedule();

/*! The keys that it writes. */
const std::vector<std::string>& ScheduleKeys();

}  // namespace tt::transform
