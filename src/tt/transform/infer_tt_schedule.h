#pragma once

#include <string>
#include <vector>

#include "ir/ffi.h"

namespace tt::transform {

/*! The pass tt.InferDefaultTTSchedule. */
ir::Value InferDefaultTTSchedule();

/*! What the pass does to one function. */
ir::Value InferSchedule(const ir::Value& func);

/*! The keys that it writes. */
const std::vector<std::string>& ScheduleKeys();

}  // namespace tt::transform
