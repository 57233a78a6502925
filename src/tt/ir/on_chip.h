// What a launch keeps on the chip: the buffers that it allocates there, and what it does to them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/int.h"
#include "ir/ffi.h"
#include "ir/parameters.h"

namespace tt::ir {

/*! A buffer that a launch allocates in a core's own memory. */
struct OnChipAllocation {
  std::string name;
  std::string scope;
  std::string dtype;
  int64_t element_bits;
  std::vector<Int> shape;
  bool is_private;                 // of one thread on a GPU: what is small stays out of L1
  bool accumulates = false;        // matrices are multiplied into it
  int64_t num_stages = 1;          // of the pipelined loop that fills it from DRAM
  std::optional<size_t> pipeline;  // which loop of the launch that is

  friend bool operator<(const OnChipAllocation& a, const OnChipAllocation& b);
};

/*!
 * The buffers that the statements at and below a launch allocate in shared memory, fragments and
 * thread-private memory, in program order. Scalars and barriers are left out.
 *
 * \throw tt::Error for a size that is no constant and no expression over shape variables.
 */
std::vector<OnChipAllocation> ReadOnChip(View launch, const std::vector<Parameter>& parameters);

}  // namespace tt::ir
