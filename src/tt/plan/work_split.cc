#include "plan/work_split.h"

#include <algorithm>
#include <string>

#include "core/checked.h"

namespace tt::plan {
namespace {

CoreRange Transpose(const CoreRange& r) { return {r.y0, r.x0, r.y1, r.x1}; }

/*! The cores [start, start + count) of one rectangle, numbered along its rows. */
void CoverRows(const CoreRange& rect, int64_t start, int64_t count, std::vector<CoreRange>* out) {
  const int64_t width = rect.width();
  int64_t x = rect.x0 + start % width;
  int64_t y = rect.y0 + start / width;
  if (x != rect.x0 && count > rect.x1 - x + 1) {
    out->push_back({x, y, rect.x1, y});
    count -= rect.x1 - x + 1;
    x = rect.x0;
    ++y;
  }
  if (count > width) {
    const int64_t lines = count / width;
    out->push_back({rect.x0, y, rect.x1, y + lines - 1});
    count -= lines * width;
    y += lines;
  }
  if (count > 0) out->push_back({x, y, x + count - 1, y});
}

void CoverRect(const CoreRange& rect, int64_t start, int64_t count, CoreOrder order,
               std::vector<CoreRange>* out) {
  if (order == CoreOrder::kRowMajor) return CoverRows(rect, start, count, out);
  std::vector<CoreRange> transposed;
  CoverRows(Transpose(rect), start, count, &transposed);
  std::ranges::transform(transposed, std::back_inserter(*out), Transpose);
}

/*! 1 where lo <= number < hi, else 0. */
Int IsWithin(const Int& number, int64_t lo, int64_t hi) {
  const auto reaches = [&](int64_t bound) { return Min(Max(number - (bound - 1), 0), 1); };
  return reaches(lo) - reaches(hi);
}

}  // namespace

std::string ToString(const CoreRange& r) {
  return "[" + std::to_string(r.x0) + ", " + std::to_string(r.y0) + ", " + std::to_string(r.x1) +
         ", " + std::to_string(r.y1) + "]";
}

CoreOrder ParseCoreOrder(std::string_view name) {
  if (name == "row_major") return CoreOrder::kRowMajor;
  if (name == "column_major") return CoreOrder::kColumnMajor;
  throw Error(ErrorCode::kCoreOrder, "unknown core order \"" + std::string(name) +
                                         "\"; expected one of: row_major, column_major");
}

std::string_view ToString(CoreOrder order) {
  return order == CoreOrder::kRowMajor ? "row_major" : "column_major";
}

CoreSet::CoreSet(std::vector<CoreRange> ranges) : ranges_(std::move(ranges)), size_(0) {
  if (ranges_.empty()) {
    throw Error(ErrorCode::kNoCores,
                "no cores to split work over; expected at least one rectangle");
  }
  for (size_t i = 0; i < ranges_.size(); ++i) {
    const CoreRange& range = ranges_[i];
    if (range.x0 < 0 || range.y0 < 0 || range.x1 < range.x0 || range.y1 < range.y0) {
      throw Error(ErrorCode::kCoreRectangle, "core rectangle " + ToString(range) +
                                                 " is not [x0, y0, x1, y1] with 0 <= x0 <= x1 and "
                                                 "0 <= y0 <= y1 (both corners are inclusive)");
    }
    for (size_t j = 0; j < i; ++j) {
      if (range.Overlaps(ranges_[j])) {
        throw Error(ErrorCode::kCoresOverlap, "core rectangles " + ToString(ranges_[j]) + " and " +
                                                  ToString(range) +
                                                  " overlap; each core may be listed once");
      }
    }
    size_ = CheckedAdd(size_, range.size());
  }
}

void CheckOnDevice(const CoreRange& range, const device::Device& device) {
  const CoreRange workers = device.AllWorkers();
  if (range.x1 <= workers.x1 && range.y1 <= workers.y1) return;
  throw Error(ErrorCode::kCoresOutside, "core rectangle " + ToString(range) + " leaves the " +
                                            std::to_string(device.worker_grid.x) + "x" +
                                            std::to_string(device.worker_grid.y) +
                                            " worker grid of " + device.name + ", which is " +
                                            ToString(workers));
}

CoreRange CoreSet::Bounds() const {
  CoreRange out = ranges_.front();
  for (const CoreRange& range : ranges_) {
    out = {std::min(out.x0, range.x0), std::min(out.y0, range.y0), std::max(out.x1, range.x1),
           std::max(out.y1, range.y1)};
  }
  return out;
}

std::pair<Int, Int> CoreSet::PositionOf(const Int& core_id, CoreOrder order) const {
  const CoreRange bounds = Bounds();
  const bool by_rows = order == CoreOrder::kRowMajor;
  Int column, row;
  int64_t first = 0;
  for (const CoreRange& range : ranges_) {
    const Int is_here = ranges_.size() == 1 ? 1 : IsWithin(core_id, first, first + range.size());
    const Int line = by_rows ? range.width() : range.height();
    const Int along = FloorMod(core_id - first, line);
    const Int across = FloorDiv(core_id - first, line);
    column = column + is_here * ((by_rows ? along : across) + (range.x0 - bounds.x0));
    row = row + is_here * ((by_rows ? across : along) + (range.y0 - bounds.y0));
    first += range.size();
  }
  return {column, row};
}

std::vector<CoreRange> CoreSet::Cover(int64_t start, int64_t count, CoreOrder order) const {
  std::vector<CoreRange> out;
  for (const CoreRange& range : ranges_) {
    if (count == 0) break;
    const int64_t here = std::min(count, std::max<int64_t>(range.size() - start, 0));
    if (here > 0) CoverRect(range, start, here, order, &out);
    start = std::max<int64_t>(start - range.size(), 0);
    count -= here;
  }
  return out;
}

WorkSplit SplitWork(const CoreSet& cores, int64_t units, CoreOrder order) {
  const int64_t active = std::min(units, cores.size());
  if (active == 0) return {0, {}, {}, {}, 0, 0};
  const int64_t base = units / active;
  const int64_t remainder = units % active;
  std::vector<CoreRange> all = cores.Cover(0, active, order);
  if (remainder == 0) return {active, all, all, {}, base, 0};
  return {active,
          std::move(all),
          cores.Cover(0, remainder, order),
          cores.Cover(remainder, active - remainder, order),
          base + 1,
          base};
}

}  // namespace tt::plan
