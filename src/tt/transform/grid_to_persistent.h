#pragma once

#include "ir/ffi.h"

namespace tt::transform {

/*! The pass tt.GridToPersistent. */
ir::Value GridToPersistent();

}  // namespace tt::transform
