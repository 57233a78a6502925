// What can be proven of an index: that it stays inside of an extent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ir/ffi.h"

namespace tt::ir {

/*! Where a range of indices ends, against an extent. */
enum class Reach {
  kInside,   // never beyond it
  kOutside,  // for all that is known beyond it
  kUnknown,  // it depends on what is not understood, such as a value in memory
};

/*!
 * Follows a kernel in program order: ranges of variables, names of values, and conditions. What is
 * proven holds for every execution; index arithmetic is taken to be that of the integers.
 */
class IndexBounds {
 public:
  /*! The conditions and loops around a statement; 0 for none. Such a number fits a Walker's. */
  using Guards = size_t;

  /*! From here on min <= var < min + extent, which follows for the sizes only inside. */
  void Define(View var, View min, View extent, Guards inside);
  /*! From here on a variable stands for a value. */
  void Bind(View var, View value, Guards guards);
  /*! From here on a cell, a memory of one element that is stored to only here, has a value. */
  void Store(View buffer, View value, Guards guards);
  /*! Inside of a loop. */
  Guards Enter(Guards outside);
  /*! The guards outside, and that a condition holds, or that it does not. */
  Guards Assume(Guards outside, View condition, bool holds);

  /*! Whether 0 <= index and index + count <= extent, for a constant count. */
  Reach Check(View index, int64_t count, View extent, Guards guards);
  /*! Whether two expressions depend on one variable. */
  bool ShareVariable(View a, View b);

 private:
  /*! A sum of atoms times numbers, and a number. */
  struct Linear {
    std::map<size_t, int64_t> terms;
    int64_t constant = 0;
    friend auto operator<=>(const Linear&, const Linear&) = default;
  };
  struct Interval {
    std::optional<int64_t> low, high;
  };
  /*! What arithmetic does not look into: a variable, a quotient, whatever is not understood. */
  struct Atom {
    Interval interval;
    bool is_opaque;
  };
  enum class Operator { kFloorDiv, kFloorMod, kMin, kMax };

  Linear Read(View expr, Guards guards);
  Linear Read(View expr);
  Linear ReadNode(View expr);
  Linear ReadCast(View cast);
  Linear ReadDivision(const Linear& a, int64_t divisor, Operator op);
  Linear ReadExtremum(const Linear& a, const Linear& b, Operator op);
  Linear OfVariable(View var);
  Linear OfCell(View load);
  Linear OfAtom(size_t atom) const;
  Linear Opaque() { return OfAtom(NewAtom({}, true)); }
  size_t NewAtom(Interval interval, bool is_opaque);
  /*! The atom of such an operation, which is a new one where there is none yet. */
  std::pair<size_t, bool> FindAtom(Operator op, const Linear& a, const Linear& b);

  /*! a + factor * b, and none where that does not fit 64 bits. */
  static std::optional<Linear> Sum(const Linear& a, int64_t factor, const Linear& b);
  using Intervals = std::map<size_t, Interval>;
  /*! By what is known of each atom, everywhere and here. */
  Interval IntervalOf(const Linear& linear, const Intervals& here = {}) const;
  /*! What the guards say of single atoms. */
  Intervals NarrowedBy(Guards guards) const;
  bool IsOpaque(const Linear& linear) const;
  bool IsNeverPositive(const Linear& linear, Guards guards) const;

  void Learn(View condition, bool holds, std::vector<Linear>* facts);
  void LearnOrder(const Linear& smaller, const Linear& larger, int64_t least_gap,
                  std::vector<Linear>* facts);

  struct Cell {
    Linear value;
    Guards guards;  // where it is stored to
  };
  struct Scope {
    Guards outside;
    std::vector<Linear> facts;  // none of them is positive
  };

  std::vector<Atom> atoms_;
  std::unordered_map<const TVMFFIObject*, Linear> variables_;
  std::map<std::tuple<Operator, Linear, Linear>, size_t> operations_;
  std::unordered_map<const TVMFFIObject*, Cell> cells_;
  std::vector<Scope> scopes_{1};  // the first for no condition: its facts hold everywhere
  Guards guards_ = 0;             // around the expression that is read
  int budget_ = 0;                // of nodes that it may have
};

}  // namespace tt::ir
