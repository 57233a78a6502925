// Finding the launches of a function, in every form in which hosts write them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/ffi.h"
#include "ir/persistent.h"
#include "plan/schedule.h"

namespace tt::ir {

/*! The order of work tiles that a kernel asks for with T.use_swizzle. */
struct Swizzle {
  std::string order;    // by the name of tt_schedule_order; empty where it is none of them
  int64_t panel;        // rows or columns of a panel
  std::string pattern;  // as the kernel has it
  View stmt;
};

struct Launch {
  plan::Grid grid;  // of a persistent launch, the domain that its loop walks over
  View root;        // the outermost statement of the launch; none where only attributes state it
  std::optional<Swizzle> swizzle;
  std::optional<Persistence> persistence;
};

/*!
 * The launches of a PrimFunc in program order; none where the function is not a kernel.
 *
 * Understood are loops bound to block indices, thread_extent attributes, TIRx device scopes, the
 * loops around TileLang's root block after its CPU lowering, and the function attributes
 * tl_grid_x/y/z and thread_extent. Axes are told by their tags, never by the order of the nest. A
 * launch without block indices is a grid of one work tile. Extents are sizes, as ReadInt has them.
 *
 * \throw tt::Error for a grid that is not positive and consistent, for launches inside of loops and
 *        of each other, and for a kernel of foreign source text.
 */
std::vector<Launch> FindLaunches(View func);

/*!
 * What each launch of a PrimFunc executes, in program order: of a single one, the whole body; none
 * where the function is not a kernel. Whether the launches are sound is not looked at.
 */
std::vector<View> LaunchBodies(View func);

/*!
 * The loops over the grid of a T.Kernel that the host has lowered to plain loops, outermost first,
 * which is x; none where this is not the outermost of such. One more than there are axes is enough
 * to see that there are too many.
 */
std::vector<View> LoweredGrid(View loop);

/*!
 * Whether a function, of whatever kind, is a PrimFunc with a launch. Whether that launch is a sound
 * one is not looked at, which is much cheaper than FindLaunches.
 */
bool IsKernel(View func);

}  // namespace tt::ir
