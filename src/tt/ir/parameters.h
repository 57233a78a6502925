// The parameters of a kernel: buffers on every host, and scalars.
#pragma once

#include <string>
#include <vector>

#include "ir/ffi.h"

namespace tt::ir {

struct Parameter {
  int64_t index;
  Value var;
  Value memory;       // whose identity stands for the memory; none for a scalar
  Value description;  // the Buffer or the BufferType; none for a scalar or a raw pointer
};

std::vector<Parameter> Parameters(const Value& func);

/*! The name as the user wrote it. */
std::string NameOf(const Parameter& parameter);

/*! What a host says about a tensor parameter. */
struct Buffer {
  std::string dtype;  // of an element
  Value shape;        // arrays of expressions
  Value strides;      // empty: row-major and compact
  Value elem_offset;  // an expression
  bool row_major;     // no axis separators, and no layout of TIRx that says otherwise
  std::string scope;  // "global" in DRAM
};

Buffer ReadBuffer(const Parameter& parameter);

/*! The variable whose identity stands for the memory of a buffer, wherever the host keeps it. */
Value MemoryOf(const Value& buffer);

/*! The storage scope of a buffer, such as "global" or "shared.dyn". */
std::string ScopeOf(const Value& buffer);

}  // namespace tt::ir
