// How a number of equal work units splits over cores, as ttnn's split_work_to_cores does it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/core_range.h"
#include "core/int.h"
#include "device/device.h"

namespace tt::plan {

/*! In which order the cores of a rectangle are numbered. */
enum class CoreOrder { kRowMajor, kColumnMajor };

/*! "row_major" or "column_major"; refuses every other name. */
CoreOrder ParseCoreOrder(std::string_view name);
std::string_view ToString(CoreOrder order);

/*! As messages show a rectangle: "[x0, y0, x1, y1]". */
std::string ToString(const CoreRange& range);

/*!
 * Rectangles of cores in list order. Linear core ids run through the rectangles in that order, and
 * inside each in the given CoreOrder.
 */
class CoreSet {
 public:
  /*! Refuses an empty list, an inverted rectangle and overlapping ones. */
  explicit CoreSet(std::vector<CoreRange> ranges);

  const std::vector<CoreRange>& ranges() const { return ranges_; }
  int64_t size() const { return size_; }
  /*! The smallest rectangle that holds all of them. */
  CoreRange Bounds() const;
  /*! Column and row, counted from the corner of Bounds(), of the core of an id that is in range. */
  std::pair<Int, Int> PositionOf(const Int& core_id, CoreOrder order) const;

  /*!
   * The cores with ids [start, start + count) as rectangles, decomposed as ttnn does it: per listed
   * rectangle at most a partial first line, a block of full lines and a tail.
   */
  std::vector<CoreRange> Cover(int64_t start, int64_t count, CoreOrder order) const;

 private:
  std::vector<CoreRange> ranges_;
  int64_t size_;
};

/*! Refuses a rectangle that leaves the device's worker grid. */
void CheckOnDevice(const CoreRange& range, const device::Device& device);

/*!
 * The first group1.units of each core of group 1 and then of group 2 are contiguous.
 * Source of the rule: tt_metal/common/work_split.cpp of ttnn 0.81.1.
 */
struct WorkSplit {
  int64_t num_cores;  // cores that have work
  std::vector<CoreRange> all_cores, group_1, group_2;
  int64_t units_1, units_2;  // per core of each group
};

/*! Splits `units` >= 0 over the cores. */
WorkSplit SplitWork(const CoreSet& cores, int64_t units, CoreOrder order);

}  // namespace tt::plan
