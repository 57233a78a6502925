// Which values an index takes while the loops over elements run.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "core/int.h"
#include "ir/ffi.h"

namespace tt::ir {

using Bound = std::optional<int64_t>;

/*! Loops over elements, by their variables: few enough to need no memory of their own. */
class ElementLoops {
 public:
  ElementLoops() = default;
  explicit ElementLoops(const TVMFFIObject* loop) : size_(1) { loops_[0] = loop; }

  std::span<const TVMFFIObject* const> loops() const { return {loops_.data(), size_}; }
  bool empty() const { return size_ == 0; }
  bool Contains(const TVMFFIObject* loop) const {
    return std::ranges::find(loops(), loop) != loops().end();
  }
  /*! Those of two indices; none where one counts twice, or where they are too many. */
  std::optional<ElementLoops> With(const ElementLoops& others) const {
    ElementLoops out = *this;
    for (const TVMFFIObject* loop : others.loops()) {
      if (Contains(loop) || out.size_ == kMost) return std::nullopt;
      out.loops_[out.size_++] = loop;
    }
    return out;
  }
  friend bool SameLoops(const ElementLoops& a, const ElementLoops& b) {
    return a.size_ == b.size_ &&
           std::ranges::all_of(a.loops(), [&](const auto* loop) { return b.Contains(loop); });
  }

 private:
  static constexpr size_t kMost = 6;
  std::array<const TVMFFIObject*, kMost> loops_{};
  size_t size_ = 0;
};

/*! first, first + step, ...: `count` values. Arithmetic on it is exact or none. */
struct Progression {
  Int first;  // over everything but the loops over elements
  int64_t step = 1;
  Int count = 1;
  Bound least, greatest;             // of `first`
  int64_t modulus = 1, residue = 0;  // first % modulus == residue; modulus 0: it is residue
  ElementLoops elements;             // that it moves with

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
