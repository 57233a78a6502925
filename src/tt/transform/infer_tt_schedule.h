#pragma once

#include "ir/ffi.h"
#include "transform/attributes.h"

namespace tt::transform {

/*! The pass tt.InferDefaultTTSchedule. */
ir::Value InferDefaultTTSchedule();

/*! What the pass does to one function. */
ir::Value InferSchedule(const ir::Value& func);

/*! The keys that it writes. */
const Keys& ScheduleKeys();

}  // namespace tt::transform
