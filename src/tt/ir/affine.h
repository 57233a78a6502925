// Indices as sums of multiples of variables.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ir/ffi.h"

namespace tt::ir {

/*! What names of a kernel stand for: variables, and buffers of one element, by their identity. */
class Names {
 public:
  void Bind(View variable, Value value) { values_[variable.object()] = std::move(value); }
  /*! An element that is stored to several times stands for nothing. */
  void Store(View memory, View value) {
    const auto [name, is_new] = values_.try_emplace(memory.object(), value);
    if (!is_new) name->second = Value();
  }
  /*! The value of a variable, or of a load from such an element; none where there is not one. */
  View Find(View node) const;

 private:
  std::unordered_map<const TVMFFIObject*, Value> values_;
};

/*! constant + sum of factor * variable, each variable once and by its identity. */
struct Affine {
  using Term = std::pair<const TVMFFIObject*, int64_t>;
  int64_t constant = 0;
  std::vector<Term> terms;

  int64_t FactorOf(const TVMFFIObject* variable) const;
};

/*!
 * Reads +, -, * by constants, exact division by constants, and casts, through names; none for any
 * other expression and for numbers beyond 64 bits.
 */
std::optional<Affine> ReadAffine(View expr, const Names& names);

}  // namespace tt::ir
