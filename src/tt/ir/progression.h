// Which values an index takes while the loops over elements run.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/int.h"
#include "ir/ffi.h"

namespace tt::ir {

using Bound = std::optional<int64_t>;

/*! first, first + step, ...: `count` values. Arithmetic on it is exact or none. */
struct Progression {
  Int first;  // over everything but the loops over elements
  int64_t step = 1;
  Int count = 1;
  Bound least, greatest;             // of `first`
  int64_t modulus = 1, residue = 0;  // first % modulus == residue; modulus 0: it is residue
  std::vector<const TVMFFIObject*> elements;  // the loops over elements that it moves with

  static Progression Of(int64_t constant) {
    return {constant, 1, 1, constant, constant, 0, constant, {}};
  }
  bool is_single() const { return elements.empty(); }
  Int last() const { return first + (count - Int(1)) * Int(step); }
  /*! The greatest of all values, where it is known. */
  Bound greatest_of_all() const;
};

/*! None for sums whose values have gaps of their own, or in which one loop counts twice. */
std::optional<Progression> Sum(const Progression& a, const Progression& b);
Progression Scale(const Progression& a, int64_t factor);
/*! Both round down, for a divisor of at least 1. */
std::optional<Progression> Quotient(const Progression& a, int64_t divisor);
std::optional<Progression> Remainder(const Progression& a, int64_t divisor);

}  // namespace tt::ir
