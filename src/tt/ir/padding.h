// What the padding of a kernel's tensors holds, and who would be misled by it.
#pragma once

#include <string>
#include <vector>

#include "ir/ffi.h"
#include "ir/parameters.h"

namespace tt::ir {

/*! A reduction that takes padding for elements. */
struct PaddingTrap {
  size_t parameter;      // whose padding it is
  std::string value;     // that the padding holds
  std::string consumer;  // which operation over which dimension of which buffer
  std::string needed;    // the value that would do no harm
  std::string remedy;    // what to write in the kernel
  Value node;            // the operation, or what says where it stands
};

struct PaddingFacts {
  /*!
   * By parameter, for those that were asked for: a number, "any" where the padding is proven
   * unread, or "unknown". Empty for the others.
   */
  std::vector<std::string> values;
  std::vector<PaddingTrap> traps;  // in program order
  bool is_tilelang = false;        // a read over the edge has a meaning
};

/*!
 * In a kernel of TileLang a read over the edge gives the value of T.annotate_safe_value, or 0. In
 * one of TIRx such a read has no meaning: its padding may hold anything where every access is
 * proven to stay inside.
 *
 * \param padded By parameter, whether it is a tensor that has padding.
 */
PaddingFacts ReadPadding(View func, const std::vector<Parameter>& parameters,
                         const std::vector<bool>& padded);

}  // namespace tt::ir
