// The parameters of a kernel: buffers on every host, and scalars.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/ffi.h"

namespace tt::ir {

struct Buffer {
  Value shape;        // arrays of expressions
  Value strides;      // empty: row-major and compact
  Value elem_offset;  // an expression
  bool row_major;     // no axis separators, and no layout of TIRx that says otherwise
  std::string scope;  // "global" in DRAM
};

struct Parameter {
  int64_t index;
  std::string name;   // as the user wrote it
  std::string dtype;  // of an element, or of the scalar
  Value var;
  std::optional<Buffer> buffer;  // none for a scalar or a raw pointer
  Value memory;                  // whose address stands for the memory; none for a scalar
};

std::vector<Parameter> Parameters(const Value& func);

/*! The variable whose identity stands for the memory of a buffer, wherever the host keeps it. */
Value MemoryOf(const Value& buffer);

/*! The storage scope of a buffer, such as "global" or "shared.dyn". */
std::string ScopeOf(const Value& buffer);

}  // namespace tt::ir
