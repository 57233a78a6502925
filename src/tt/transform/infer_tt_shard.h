#pragma once

#include <vector>

#include "ir/diagnostic.h"
#include "ir/ffi.h"
#include "transform/attributes.h"

namespace tt::transform {

/*! The pass tt.InferDefaultTTShard. */
ir::Value InferDefaultTTShard();

/*! What the pass does to one function; it warns of what it adds to the warnings. */
ir::Value InferShard(const ir::Value& func, std::vector<ir::Warning>* warnings);

/*! The keys that it writes. */
const Keys& ShardKeys();

}  // namespace tt::transform
