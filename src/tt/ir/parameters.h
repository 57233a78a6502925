// The parameters of a kernel: buffers on every host, and scalars.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/int.h"
#include "ir/ffi.h"

namespace tt::ir {

struct Parameter {
  int64_t index;
  View var;
  View memory;       // whose identity stands for the memory; none for a scalar
  View description;  // the Buffer or the BufferType; none for a scalar or a raw pointer
};

std::vector<Parameter> Parameters(View func);

/*! The name as the user wrote it. */
std::string NameOf(const Parameter& parameter);

/*! What a host says about a tensor parameter. */
struct Buffer {
  std::string dtype;  // of an element
  View shape;         // arrays of expressions
  View strides;       // empty: row-major and compact
  View elem_offset;   // an expression
  View axis_separators;
  View layout;        // TIRx's own; none where the strides say all
  std::string scope;  // "global" in DRAM
};

Buffer ReadBuffer(const Parameter& parameter);

/*! An integer of the kernel's, and the least that it can be where that is known. */
struct Size {
  Int value;
  std::optional<int64_t> at_least;
};

/*!
 * The variables that sizes may depend on: those of the parameters' shapes, strides and offsets, and
 * integer scalar parameters. One that is a dimension by itself is never negative.
 */
class ShapeVariables {
 public:
  /*! \param parameters Must outlive this; they are looked at when the first variable is met. */
  explicit ShapeVariables(const std::vector<Parameter>& parameters) : parameters_(parameters) {}
  explicit ShapeVariables(std::vector<Parameter>&& parameters) = delete;

  /*!
   * What a variable stands for; none for one that sizes may not depend on.
   * \throw tt::Error for a name that two of the variables share, or that texts cannot hold.
   */
  std::optional<Size> Find(View var) const;
  /*! From here on, a variable that the body defines stands for this. */
  void Define(View var, Size size) { defined_[var.object()] = std::move(size); }
  /*! The variables of the parameters, in their order. */
  std::vector<Value> All() const;
  /*! Their names in parameter order, with commas between; for messages. */
  std::string Names() const;

 private:
  struct Variable {
    View var;
    std::string name;
    bool non_negative;
  };

  /*! The variables of the parameters; most kernels have none, and nobody asks. */
  const std::vector<Variable>& Variables() const;
  void Collect() const;
  /*! The variables of an expression; it is not negative itself where that is said. */
  void AddAll(View expr, bool non_negative) const;
  void Add(View var, bool non_negative) const;

  const std::vector<Parameter>& parameters_;
  mutable bool collected_ = false;
  mutable std::vector<Variable> variables_;
  std::unordered_map<const TVMFFIObject*, Size> defined_;
};

/*! The dtype of an expression, such as "int32". */
std::string DtypeOfExpr(View expr);

/*! Whether an expression is one integer, of whatever width; a truth value is none. */
bool IsInteger(View expr);

/*! The variable whose identity stands for the memory of a buffer, wherever the host keeps it. */
View MemoryOf(View buffer);

/*! The storage scope of a buffer, such as "global" or "shared.dyn". */
std::string ScopeOf(View buffer);

}  // namespace tt::ir
