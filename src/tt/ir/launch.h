// Finding the launches of a function, in every form in which hosts write them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
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

/*! The iteration variable that a statement binds to a hardware index; none for other statements. */
View BoundIterVar(View stmt);

/*! The axis of the grid that a thread tag names: 0 of "blockIdx.x"; none for all that is no axis. */
std::optional<size_t> GridAxisOf(std::string_view tag);

/*! Whether a statement is the root block of a T.Kernel. */
bool IsRootBlock(View node);

/*! Whether a statement begins the part of a function that TIRx runs on the device. */
bool IsDeviceEntry(View node);

/*! Whether a statement names a thread of a T.Kernel that the host has not lowered. */
bool NamesThread(View stmt);

/*! Whether a node ends the loop around it, or a turn of it. */
bool LeavesLoop(View node);

/*! What a TIRx scope tells apart, by the number that a host's ScopeIdDef keeps. */
enum ScopeBinding : int64_t { kKernelCluster = 0, kKernelCta = 1, kClusterCta = 2, kCtaPair = 9 };

/*! Whether GridToPersistent has made a function what one core runs: it is no kernel any more. */
bool IsCoreProgram(View func);

/*!
 * Whether a function, of whatever kind, is a PrimFunc with a launch. Whether that launch is a sound
 * one is not looked at, which is much cheaper than FindLaunches.
 */
bool IsKernel(View func);

}  // namespace tt::ir
