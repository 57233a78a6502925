// Whose memory a name stands for, through every alias that a kernel makes.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/ffi.h"
#include "ir/node.h"
#include "ir/parameters.h"
#include "ir/tile_ops.h"

namespace tt::ir {

/*! Something that is stored to and loaded from: the variable that names it first. */
using Memory = const TVMFFIObject*;
using Memories = std::vector<Memory>;

/*! What a call says about a range of memory that it hands on. */
struct MemoryRange {
  Memories memories;
  View buffer;  // none for a range behind a bare pointer
  Access access;
};

/*!
 * Follows a kernel in program order. Most names stand for one memory; a pointer that is chosen at
 * run time stands for several, and each of them may be meant.
 */
class MemoryMap {
 public:
  explicit MemoryMap(const std::vector<Parameter>& parameters);

  /*!
   * Takes note of a statement that allocates memory or gives it another name, and pushes what such
   * a statement executes besides.
   * \return Whether it was one; a block is one and has a body to be visited all the same.
   */
  bool Follow(View stmt, Walker* walker);

  /*!
   * The range that a call describes, such as tl.region(load, mask, extents...), and none for any
   * other node. What the call executes besides is pushed.
   */
  std::optional<MemoryRange> RangeOf(View node, Walker* walker) const;

  /*! What a variable stands for; nothing where no statement has said it. */
  std::span<const Memory> Find(View var) const;
  /*! From here on a variable stands for memory of its own. */
  void Allocate(View var) { names_[var.object()] = var.object(); }

 private:
  void FollowBlock(View block, Walker* walker);
  bool FollowBinding(View bind, Walker* walker);
  void Alias(View name, std::span<const Memory> memories);
  Memories PointeesOf(View pointer, Walker* walker) const;

  std::unordered_map<const TVMFFIObject*, Memory> names_;
  std::unordered_map<const TVMFFIObject*, Memories> choices_;  // names of several
};

/*! The buffer of a load, a store or a region. */
View BufferOf(View node);

/*! The name of the operation that is called; empty where a function is. */
std::string CalleeOf(View call);

}  // namespace tt::ir
