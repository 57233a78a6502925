// Building the host's own pass objects from functions on PrimFuncs.
#pragma once

#include <functional>

#include "core/error.h"
#include "ir/diagnostic.h"
#include "ir/ffi.h"

namespace tt::transform {

/*! PrimFunc in, PrimFunc out; the same object where nothing changes. */
using FunctionTransform = std::function<ir::Value(const ir::Value& func)>;

/*!
 * A pass of the host's, for Sequential, PassContext and instruments alike, that runs so on every
 * function.
 */
ir::Value MakePass(const char* name, FunctionTransform transform);

/*! The result of a transform; what the layers below refuse becomes a refusal that names the function. */
ir::Value RunOn(const ir::Value& func, const FunctionTransform& transform);

/*! What a layer below refused, as a diagnostic of the function as a whole. */
ir::Diagnostic ToDiagnostic(const Error& error);

}  // namespace tt::transform
