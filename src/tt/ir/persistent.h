// The loop of a persistent kernel, and the domain that it walks over.
#pragma once

#include <string>
#include <vector>

#include "core/int.h"
#include "ir/ffi.h"
#include "ir/parameters.h"
#include "plan/schedule.h"

namespace tt::ir {

/*! What T.Persistent(domain, wave, index, group_size) has become. */
struct PersistentLoop {
  View launch;                    // the outermost statement of the launch
  View loop;                      // the For over waves
  std::vector<View> coordinates;  // the Binds before it, that of the last axis first
  View block;                     // the variable of blockIdx.x
};

/*!
 * How a persistent loop numbers the cells of its domain: groups of `group_size` cells on the last
 * axis, one group after the other; in a group the axes in their order, the last one fastest.
 */
struct Persistence {
  plan::Grid domain;
  std::string loop;  // the name of its variable
  Int wave;          // blocks that are launched
  Int group_size;
  std::string order;  // that numbering by the name of tt_schedule_order; empty where it is none
  std::vector<View> axes;   // the variable of each axis of the domain
  std::vector<View> stmts;  // all that only walks over the domain: its Binds, its loop, its guards
};

/*!
 * Recovers the domain. Every cell of it is executed exactly once, and nothing of the kernel depends
 * on which block and which wave does it.
 * Source of the form: PersistentFor in src/ir.cc of tilelang 0.1.15.
 *
 * \param grid The grid of the launch.
 * \throw tt::Error that says what is in the way.
 */
Persistence ReadPersistent(const PersistentLoop& persistent, const plan::Grid& grid,
                           const ShapeVariables& variables);

}  // namespace tt::ir
