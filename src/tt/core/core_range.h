// Cores and rectangles of cores, in the device's logical coordinates.
#pragma once

#include <compare>
#include <cstdint>

#include "core/checked.h"

namespace tt {

struct CoreCoord {
  int64_t x;
  int64_t y;
  friend bool operator==(const CoreCoord&, const CoreCoord&) = default;
};

/*! An inclusive rectangle of cores. */
struct CoreRange {
  int64_t x0, y0, x1, y1;

  int64_t width() const { return CheckedAdd(x1 - x0, 1); }
  int64_t height() const { return CheckedAdd(y1 - y0, 1); }
  int64_t size() const { return CheckedMul(width(), height()); }
  bool Overlaps(const CoreRange& other) const {
    return x0 <= other.x1 && other.x0 <= x1 && y0 <= other.y1 && other.y0 <= y1;
  }
  friend auto operator<=>(const CoreRange&, const CoreRange&) = default;
};

}  // namespace tt
