// Finding the launch grid of a function, in every form in which hosts write it.
#pragma once

#include <optional>

#include "ir/ffi.h"
#include "plan/schedule.h"

namespace tt::ir {

/*!
 * The launch grid of a PrimFunc; none where the function is not a kernel.
 *
 * Understood are loops bound to block indices, thread_extent attributes, TIRx device scopes, the
 * loops around TileLang's root block after its CPU lowering, and the function attributes
 * tl_grid_x/y/z and thread_extent. Axes are told by their tags, never by the order of the nest. A
 * launch without block indices is a grid of one work tile.
 *
 * \throw tt::Error for a grid that is not static, positive and consistent, for several launches in
 *        one function, and for a kernel of foreign source text.
 */
std::optional<plan::Grid> FindGrid(const Value& func);

/*!
 * Whether a function, of whatever kind, is a PrimFunc with a launch grid. Whether that grid is a
 * sound one is not looked at, which is much cheaper than FindGrid.
 */
bool IsKernel(const Value& func);

}  // namespace tt::ir
