// What the tile operations of TileLang and TIRx do to the memory they name.
#pragma once

#include <span>
#include <string_view>

#include "ir/ffi.h"

namespace tt::ir {

/*! The bits of TVM's own access masks. */
enum Access : int { kNone = 0, kRead = 1, kWrite = 2, kReadWrite = 3 };

/*! Whether a TileLang operation reads its destination although the region's mask says "write". */
bool UpdatesDestination(std::string_view op);

/*! Whether values may be accumulated where this operation, of whatever dialect, is called. */
bool MayAccumulate(std::string_view op);

/*! Whether what this operation, of whatever dialect, writes is a product of matrices. */
bool MultipliesMatrices(std::string_view op);

/*! One call of a tile primitive of TIRx, an operation named tirx.tile.*. */
class TilePrimitive {
 public:
  TilePrimitive(std::string_view op, std::span<const TVMFFIAny> args);

  /*! What happens to the region that stands at this position. */
  Access AccessOf(size_t position) const;
  /*! Whether values may be accumulated. */
  bool accumulates() const { return accumulates_; }

 private:
  size_t destinations_;   // how many of the first arguments are written
  bool updates_ = false;  // they are read as well
  bool opaque_ = false;   // nothing is known of it
  bool accumulates_ = true;
};

}  // namespace tt::ir
