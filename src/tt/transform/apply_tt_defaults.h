#pragma once

#include "ir/ffi.h"

namespace tt::transform {

/*!
 * The pass tt.ApplyTTDefaults.
 * \param overrides A map from input keys to values that win over what a function says.
 */
ir::Value ApplyTTDefaults(ir::Value overrides);

}  // namespace tt::transform
