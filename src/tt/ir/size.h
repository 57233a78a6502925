// Reading sizes: integer expressions of the IR over shape variables.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/int.h"
#include "ir/ffi.h"
#include "ir/parameters.h"

namespace tt::ir {

/*!
 * The integer that an expression stands for. Understood are constants, variables, +, -, *, minimum,
 * maximum, division and remainder rounding down, truncated ones of operands that are provably not
 * negative, shifts by constants, and casts between integer types of at least 32 bits.
 *
 * A size is what arithmetic without limits gives: where the host's integers would wrap around, the
 * kernel has a size that it does not mean. A cast to a narrower type, or one that may drop a sign,
 * is not understood.
 *
 * \throw tt::Error for anything else, saying what it is.
 */
Int ReadInt(View expr, const ShapeVariables& variables);

/*!
 * The reverse of ReadInt: an expression of a signed dtype for an integer.
 *
 * \param variable Gives the expression, of that dtype, that a variable of the integer stands for.
 */
Value WriteInt(const Int& number, std::string_view dtype,
               const std::function<Value(const std::string&)>& variable);

/*! ReadInt, and the least that the integer can be where that is known. */
Size ReadSize(View expr, const ShapeVariables& variables);

/*! Whether a buffer counts its elements in memory, the last axis fastest and without gaps. */
bool IsRowMajor(const Buffer& buffer, const ShapeVariables& variables);

}  // namespace tt::ir
