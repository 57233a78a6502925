// The products that a kernel adds up, and what else it does to the memory that they are in.
#pragma once

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "ir/affine.h"
#include "ir/ffi.h"
#include "ir/flow.h"
#include "ir/memory.h"
#include "ir/parameters.h"

namespace tt::ir {

/*! A statement that decides whether or how often those below it run. */
struct Scope {
  enum Kind { kRoot, kLoop, kWhile, kCondition, kBlock };
  Kind kind;
  size_t parent;
  size_t depth;
  Value node;  // the loop; of a block that initializes its sum, what its reduce axes are bound to
};

class Scopes {
 public:
  size_t Add(Scope::Kind kind, size_t parent, Value node) {
    scopes_.push_back({kind, parent, scopes_[parent].depth + 1, std::move(node)});
    return scopes_.size() - 1;
  }
  const Scope& operator[](size_t id) const { return scopes_[id]; }
  auto begin() const { return scopes_.begin(); }
  auto end() const { return scopes_.end(); }

  /*! The innermost scope that holds both. */
  size_t Common(size_t a, size_t b) const;
  /*! Whether what is in `inner` may be left out while `outer` runs. */
  bool IsConditional(size_t inner, size_t outer) const;

 private:
  std::vector<Scope> scopes_{{Scope::kRoot, 0, 0, {}}};
};

/*! Elements of a buffer: one element, or the first of a region and the region's extents. */
struct Place {
  Memory memory = nullptr;
  View buffer;
  View indices;
  std::vector<std::optional<int64_t>> extents;  // none of a single element
};

/*! A factor of a product. */
struct Operand {
  View expr;                   // of a single element: the factor as it is written
  Place place;                 // where it comes from, if it comes from one place
  std::optional<size_t> axis;  // of a region: the one that is summed over
};

/*! accumulator += the sum of products of operands. */
struct Product {
  Place accumulator;
  size_t scope;
  std::vector<Operand> operands;
  std::optional<int64_t> block;  // how many elements one call sums over; none of single elements
  enum { kKeeps, kClears, kMayClear } clear = kKeeps;  // what is in the accumulator
};

/*! A statement that writes to memory on other terms than adding a product. */
struct Write {
  enum Kind { kReset, kCopy, kUnclear };
  Kind kind;
  Place place;
  size_t scope;
  Memories sources;
  Place copied;  // of a copy
};

struct Kernel {
  Scopes scopes;
  Names names;
  std::vector<std::pair<View, View>> grid;  // variables of the launch and their extents
  std::vector<Product> gemms, sums;  // of whole regions by gemm operations; of single elements
  std::vector<Write> writes;
  Flow flow;            // without what flows from a memory straight to itself
  std::string problem;  // why there may be products that are not here; empty where there are none
  std::string problem_of_sums;  // the same of the sums
};

Kernel FindProducts(View body, const std::vector<Parameter>& parameters);

/*! The extents of a buffer, as an array of expressions. */
View ShapeOf(View buffer);

/*! A problem is said once: the first. */
void SetOnce(std::string* problem, const std::string& text);

}  // namespace tt::ir
