#pragma once

#include <string>
#include <vector>

#include "ir/ffi.h"

namespace tt::transform {

/*! The pass tt.InferDefaultTTShard. */
ir::Value InferDefaultTTShard();

/*! The keys that it writes. */
const std::vector<std::string>& ShardKeys();

}  // namespace tt::transform
