#include "plan/work_split.h"

#include <algorithm>
#include <string>

#include "core/checked.h"

namespace tt::plan {
namespace {

std::string ToString(const CoreRange& r) {
  return "[" + std::to_string(r.x0) + ", " + std::to_string(r.y0) + ", " + std::to_string(r.x1) +
         ", " + std::to_string(r.y1) + "]";
}

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

}  // namespace

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
