// Integers that are known, or that depend on shape variables.
//
// The text of an expression is what stands in attributes. Its grammar, with Python's meaning and
// Python's precedence, all operators associating to the left:
//
//   sum     = product (("+" | "-") product)*
//   product = factor (("*" | "//" | "%") factor)*
//   factor  = number | name | ("min" | "max") "(" sum "," sum ")" | "(" sum ")" | "-" factor
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace tt {

/*! Values of variables by name. */
using Sizes = std::map<std::string, int64_t, std::less<>>;

/*!
 * An integer. Arithmetic on constants is checked: what does not fit 64 bits is refused. Arithmetic
 * on expressions simplifies by rules that hold for every value of the variables.
 */
class Int {
 public:
  Int(int64_t value = 0) : value_(value) {}  // NOLINT: a number is an integer
  /*! Refuses what is no identifier, and the words of the grammar. */
  static Int Variable(std::string_view name);
  /*! Refuses what the grammar does not derive, with the column. */
  static Int Parse(std::string_view text);

  bool is_constant() const { return node_ == nullptr; }
  /*! The value where it is known. */
  std::optional<int64_t> constant() const {
    return is_constant() ? std::optional(value_) : std::nullopt;
  }
  std::string ToString() const;
  std::set<std::string> Variables() const;
  /*! Refuses a variable that has no value, a divisor below 1, and what does not fit 64 bits. */
  int64_t Evaluate(const Sizes& sizes) const;
  /*! With the given variables replaced by their values. */
  Int Substitute(const Sizes& sizes) const;

  enum class Op { kVariable, kAdd, kMul, kFloorDiv, kFloorMod, kMin, kMax };
  struct Operation;
  /*! The outermost operation, for whoever writes the expression in other words; none of a number. */
  std::optional<Operation> operation() const;

  /*! Whether both are the same text, which says nothing where it is not. */
  friend bool operator==(const Int& a, const Int& b) {
    return a.is_constant() && b.is_constant() ? a.value_ == b.value_ : a.Compare(b) == 0;
  }
  /*! A total order for containers: numbers first, then texts. */
  friend std::strong_ordering operator<=>(const Int& a, const Int& b) {
    if (a.is_constant() && b.is_constant()) return a.value_ <=> b.value_;
    return a.Compare(b) <=> 0;
  }

  friend Int operator+(const Int& a, const Int& b);
  friend Int operator-(const Int& a, const Int& b);
  friend Int operator*(const Int& a, const Int& b);
  /*! Both round down and refuse a constant divisor below 1. */
  friend Int FloorDiv(const Int& a, const Int& b);
  friend Int FloorMod(const Int& a, const Int& b);
  friend Int Min(const Int& a, const Int& b);
  friend Int Max(const Int& a, const Int& b);

 private:
  struct Node;

  static Int Make(Op op, Int a, Int b);
  static Int Combine(Op op, const Int& a, const Int& b);
  static Int AddConstant(const Int& a, int64_t b);
  static Int MulConstant(const Int& a, int64_t b);
  static Int DivConstant(const Int& a, int64_t b);
  static Int ModConstant(const Int& a, int64_t b);
  /*! A base and the constant that it is multiplied with. */
  std::pair<Int, int64_t> AsTerm() const;
  static std::optional<Int> Join(const Int& sum, const Int& term);
  bool Is(Op op) const;
  /*! A constant below zero whose magnitude is a number too. */
  bool IsNegative() const;
  int Compare(const Int& other) const;

  int64_t value_ = 0;
  std::shared_ptr<const Node> node_;  // none for a constant
};

struct Int::Operation {
  Op op;
  Int a, b;  // the operands; of a variable, whose name is its text, there are none
};

Int operator+(const Int& a, const Int& b);
Int operator-(const Int& a, const Int& b);
Int operator*(const Int& a, const Int& b);
Int FloorDiv(const Int& a, const Int& b);
Int FloorMod(const Int& a, const Int& b);
Int Min(const Int& a, const Int& b);
Int Max(const Int& a, const Int& b);

/*! ceil(a / b) for b > 0. */
Int CeilDiv(const Int& a, const Int& b);

/*! The smallest multiple of b that is at least a, for a >= 0, b > 0. */
Int RoundUp(const Int& a, const Int& b);

}  // namespace tt
