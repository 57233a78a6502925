#pragma once

#include "ir/ffi.h"

namespace tt::transform {

/*! The pass tt.VerifyTTMetadata. */
ir::Value VerifyTTMetadata();

}  // namespace tt::transform
