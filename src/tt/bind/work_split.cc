#include "bind/work_split.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "plan/work_split.h"

namespace py = pybind11;

namespace tt::bind {
namespace {

void CheckUnits(int64_t units) {
  if (units >= 0) return;
  throw Error(ErrorCode::kNegativeWork, std::to_string(units) + " work units; expected 0 or more");
}

void CheckNumCores(int64_t count, int64_t available) {
  if (count >= 0 && count <= available) return;
  throw Error(ErrorCode::kCoreCount, std::to_string(count) + " cores of " +
                                         std::to_string(available) +
                                         "; expected at least 0, and no more than there are");
}

int64_t ToInt(py::handle number) {
  const int64_t value = PyLong_AsLongLong(number.ptr());
  if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
  return value;
}

/*! [x0, y0, x1, y1] of each, as sequences of four integers. */
std::vector<CoreRange> ToRanges(const py::sequence& rectangles) {
  std::vector<CoreRange> out;
  // Objects, not handles: the rows of an array live only as long as somebody holds them.
  for (const py::object rectangle : rectangles) {
    const auto corners = rectangle.cast<std::array<int64_t, 4>>();
    out.push_back({corners[0], corners[1], corners[2], corners[3]});
  }
  return out;
}

/*! Rectangles that nobody can change, and that many results can share. */
py::tuple ToTuples(const std::vector<CoreRange>& ranges) {
  py::tuple out(ranges.size());
  for (size_t i = 0; i < ranges.size(); ++i) {
    out[i] = py::make_tuple(ranges[i].x0, ranges[i].y0, ranges[i].x1, ranges[i].y1);
  }
  return out;
}

/*!
 * Splits over the same cores. Their rectangles follow from how many units there are, where that is
 * fewer than cores, else from how many are left over: so there are few of them, made once.
 */
class Splitter {
 public:
  Splitter(plan::CoreSet cores, plan::CoreOrder order) : cores_(std::move(cores)), order_(order) {}

  const plan::CoreSet& cores() const { return cores_; }
  plan::CoreOrder order() const { return order_; }

  py::tuple Split(int64_t units) {
    if (units == 0) return py::make_tuple(0, py::tuple(), py::tuple(), py::tuple(), 0, 0);
    const int64_t num_cores = std::min(units, cores_.size());
    const int64_t base = units / num_cores;
    const bool is_even = units % num_cores == 0;
    const Groups& groups = GroupsOf(units);
    return py::make_tuple(num_cores, groups.all, groups.first, groups.second,
                          is_even ? base : base + 1, is_even ? 0 : base);
  }

  /*! Equal for units whose splits have the same rectangles. */
  int64_t KeyOf(int64_t units) const {
    const int64_t num_cores = cores_.size();
    return units < num_cores ? units : num_cores + units % num_cores;
  }

 private:
  struct Groups {
    py::tuple all, first, second;
  };

  const Groups& GroupsOf(int64_t units) {
    constexpr size_t kCapacity = 4096;
    const int64_t key = KeyOf(units);
    if (const auto found = groups_.find(key); found != groups_.end()) return found->second;
    const plan::WorkSplit split = plan::SplitWork(cores_, units, order_);
    if (groups_.size() >= kCapacity) groups_.clear();
    return groups_[key] = {ToTuples(split.all_cores), ToTuples(split.group_1),
                           ToTuples(split.group_2)};
  }

  plan::CoreSet cores_;
  plan::CoreOrder order_;
  std::unordered_map<int64_t, Groups> groups_;
};

/*! The splitter of a core set; the last one is kept, as loops mostly ask for the same. */
Splitter& SplitterFor(std::vector<CoreRange> ranges, bool row_wise) {
  // Never destroyed, as Python is gone when static objects are.
  static std::unique_ptr<Splitter>& last = *new std::unique_ptr<Splitter>;
  const auto order = row_wise ? plan::CoreOrder::kRowMajor : plan::CoreOrder::kColumnMajor;
  if (last == nullptr || last->order() != order || last->cores().ranges() != ranges) {
    last = std::make_unique<Splitter>(plan::CoreSet(std::move(ranges)), order);
  }
  return *last;
}

std::vector<CoreRange> WholeGrid(int64_t columns, int64_t rows) {
  return {{0, 0, columns - 1, rows - 1}};
}

/*! Of ttnn's grid_size, (x, y), or its core_grid, which is rectangles. */
std::vector<CoreRange> ToCores(const py::sequence& cores) {
  const auto items = py::reinterpret_steal<py::object>(PySequence_Fast(cores.ptr(), ""));
  if (!items) throw py::error_already_set();
  PyObject** item = PySequence_Fast_ITEMS(items.ptr());
  if (PySequence_Fast_GET_SIZE(items.ptr()) == 2 && PyIndex_Check(item[0])) {
    return WholeGrid(ToInt(item[0]), ToInt(item[1]));
  }
  return ToRanges(cores);
}

py::tuple SplitWorkToCores(const py::sequence& cores, int64_t units, bool row_wise) {
  Splitter& splitter = SplitterFor(ToCores(cores), row_wise);
  CheckUnits(units);
  return splitter.Split(units);
}

/*! Rectangles as rows of four, for each split `width` of them; what a split has not is -1. */
py::array_t<int64_t> ToTable(const std::vector<plan::WorkSplit>& splits, size_t width,
                             std::vector<CoreRange> plan::WorkSplit::* group) {
  py::array_t<int64_t> out({splits.size(), width, size_t{4}});
  int64_t* corner = out.mutable_data();
  for (const plan::WorkSplit& split : splits) {
    std::vector<CoreRange> ranges = split.*group;
    ranges.resize(width, CoreRange{-1, -1, -1, -1});
    for (const CoreRange& r : ranges) {
      for (const int64_t value : {r.x0, r.y0, r.x1, r.y1}) *corner++ = value;
    }
  }
  return out;
}

/*! A column for each number of a split, and a table of the rectangles with the row of each split. */
py::tuple SplitWorkToCoresBulk(const py::sequence& cores, const py::array_t<int64_t>& units,
                               bool row_wise) {
  const Splitter& splitter = SplitterFor(ToCores(cores), row_wise);
  const int64_t all = splitter.cores().size();
  const py::ssize_t count = units.size();
  const auto of = units.unchecked<1>();
  py::array_t<int64_t> num_cores(count), size_1(count), size_2(count), units_1(count),
      units_2(count), rows(count);
  auto *n = num_cores.mutable_data(), *n1 = size_1.mutable_data(), *n2 = size_2.mutable_data(),
       *u1 = units_1.mutable_data(), *u2 = units_2.mutable_data(), *row = rows.mutable_data();
  std::unordered_map<int64_t, int64_t> row_of_key;
  std::vector<plan::WorkSplit> splits;
  for (py::ssize_t i = 0; i < count; ++i) {
    CheckUnits(of(i));
    const int64_t key = splitter.KeyOf(of(i));
    const auto [found, is_new] = row_of_key.try_emplace(key, splits.size());
    if (is_new) splits.push_back(plan::SplitWork(splitter.cores(), of(i), splitter.order()));
    row[i] = found->second;
    n[i] = std::min(of(i), all);
    const int64_t base = of(i) < all ? of(i) > 0 : of(i) / all;
    n2[i] = of(i) - base * n[i] == 0 ? 0 : n[i] - (of(i) - base * n[i]);
    n1[i] = n[i] - n2[i];
    u1[i] = n2[i] == 0 ? base : base + 1;
    u2[i] = n2[i] == 0 ? 0 : base;
  }
  size_t width = 0;
  for (const plan::WorkSplit& split : splits) {
    width = std::max({width, split.all_cores.size(), split.group_1.size(), split.group_2.size()});
  }
  return py::make_tuple(num_cores, ToTable(splits, width, &plan::WorkSplit::all_cores),
                        ToTable(splits, width, &plan::WorkSplit::group_1),
                        ToTable(splits, width, &plan::WorkSplit::group_2), units_1, units_2, size_1,
                        size_2, rows);
}

/*! Rectangles of `count` cores of a grid, from the core `start` on. */
py::tuple CoverGrid(std::pair<int64_t, int64_t> start, int64_t count,
                    std::pair<int64_t, int64_t> grid, bool row_wise) {
  const auto [columns, rows] = grid;
  const plan::CoreSet cores(WholeGrid(columns, rows));
  const auto [x, y] = start;
  if (x < 0 || y < 0 || x >= columns || y >= rows) {
    throw Error(ErrorCode::kStartOutside,
                "start core (" + std::to_string(x) + ", " + std::to_string(y) + ") is not in the " +
                    std::to_string(columns) + "x" + std::to_string(rows) + " grid");
  }
  const int64_t first = row_wise ? y * columns + x : x * rows + y;
  CheckNumCores(count, cores.size() - first);
  const auto order = row_wise ? plan::CoreOrder::kRowMajor : plan::CoreOrder::kColumnMajor;
  return ToTuples(cores.Cover(first, count, order));
}

/*! (x, y) of the first `count` cores, or of all of them. */
py::list ListCores(const py::sequence& cores, std::optional<int64_t> count, bool row_wise) {
  const plan::CoreSet set(ToCores(cores));
  if (count) CheckNumCores(*count, set.size());
  const auto order = row_wise ? plan::CoreOrder::kRowMajor : plan::CoreOrder::kColumnMajor;
  py::list out;
  for (const CoreRange& piece : set.Cover(0, count.value_or(set.size()), order)) {
    const bool by_rows = order == plan::CoreOrder::kRowMajor;
    for (int64_t i = 0; i < piece.size(); ++i) {
      const int64_t along = i % (by_rows ? piece.width() : piece.height());
      const int64_t across = i / (by_rows ? piece.width() : piece.height());
      out.append(by_rows ? py::make_tuple(piece.x0 + along, piece.y0 + across)
                         : py::make_tuple(piece.x0 + across, piece.y0 + along));
    }
  }
  return out;
}

}  // namespace

void DefineWorkSplit(py::module_& module) {
  module.def("split_work_to_cores", &SplitWorkToCores, py::arg("cores"), py::arg("units"),
             py::arg("row_wise"));
  module.def("split_work_to_cores_bulk", &SplitWorkToCoresBulk, py::arg("cores"), py::arg("units"),
             py::arg("row_wise"));
  module.def("cover_grid", &CoverGrid, py::arg("start"), py::arg("count"), py::arg("grid"),
             py::arg("row_wise"));
  module.def("list_cores", &ListCores, py::arg("cores"), py::arg("count"), py::arg("row_wise"));
}

}  // namespace tt::bind
