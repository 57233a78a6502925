// The pybind11 module _native: plan/ and device/ for Python, numbers and numpy arrays only.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/int.h"
#include "device/data_format.h"
#include "device/device.h"
#include "plan/schedule.h"
#include "plan/tensor_layout.h"
#include "plan/work_split.h"

namespace py = pybind11;

namespace tt::bind {
namespace {

using Rectangle = std::array<int64_t, 4>;

std::vector<Rectangle> ToRectangles(const std::vector<CoreRange>& ranges) {
  std::vector<Rectangle> out;
  for (const CoreRange& r : ranges) out.push_back({r.x0, r.y0, r.x1, r.y1});
  return out;
}

plan::CoreSet ToCoreSet(const std::vector<Rectangle>& rectangles) {
  std::vector<CoreRange> ranges;
  for (const Rectangle& r : rectangles) ranges.push_back({r[0], r[1], r[2], r[3]});
  return plan::CoreSet(std::move(ranges));
}

void CheckUnits(int64_t units) {
  if (units < 0) {
    throw Error(ErrorCode::kNegativeWork,
                std::to_string(units) + " work units; expected 0 or more");
  }
}

py::tuple SplitWork(const std::vector<Rectangle>& cores, int64_t units, const std::string& order) {
  CheckUnits(units);
  const plan::WorkSplit split =
      plan::SplitWork(ToCoreSet(cores), units, plan::ParseCoreOrder(order));
  return py::make_tuple(split.num_cores, ToRectangles(split.all_cores), ToRectangles(split.group_1),
                        ToRectangles(split.group_2), split.units_1, split.units_2);
}

py::array_t<int64_t> TilesPerCore(const std::vector<Rectangle>& cores, int64_t num_tiles,
                                  const std::string& order) {
  CheckUnits(num_tiles);
  const auto schedule =
      plan::ScheduleContiguous(num_tiles, ToCoreSet(cores), plan::ParseCoreOrder(order));
  const auto count = static_cast<py::ssize_t>(schedule.tiles_per_core.size());
  py::array_t<int64_t> out({count, py::ssize_t{2}});
  auto rows = out.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < count; ++i) {
    rows(i, 0) = schedule.tiles_per_core[i].start;
    rows(i, 1) = schedule.tiles_per_core[i].count;
  }
  return out;
}

py::dict LayOutTiled(const std::vector<int64_t>& shape, const std::string& dtype,
                     std::array<int64_t, 2> tile, const std::string& device_name) {
  const device::TileShape tile_shape = {tile[0], tile[1]};
  device::CheckTileShape(tile_shape);
  const plan::TensorLayout layout = plan::LayOutTiled(shape, device::FormatOf(dtype, "Float16"),
                                                      tile_shape, device::FindDevice(device_name));
  py::dict out;
  out["data_format"] = std::string(layout.format->name);
  out["num_matrices"] = layout.num_matrices;
  out["num_tiles_height"] = layout.num_tiles_height;
  out["num_tiles_width"] = layout.num_tiles_width;
  out["needs_padding"] = layout.needs_padding;
  out["padded_shape"] = layout.padded_shape;
  out["page_size"] = layout.page_size;
  out["aligned_page_size"] = layout.aligned_page_size;
  out["num_pages"] = layout.num_pages;
  out["accessor_ct_args"] = layout.accessor_ct_args;
  return out;
}

py::list Devices() {
  py::list out;
  for (const device::Device& device : device::Devices()) {
    py::dict fields;
    fields["name"] = std::string(device.name);
    fields["arch"] = std::string(device.arch);
    fields["worker_grid"] = py::make_tuple(device.worker_grid.x, device.worker_grid.y);
    fields["dram_banks"] = device.dram_banks;
    fields["dram_alignment"] = device.dram_alignment;
    out.append(fields);
  }
  return out;
}

std::string Simplify(const std::string& expression, const Sizes& sizes) {
  return Int::Parse(expression).Substitute(sizes).ToString();
}

int64_t Evaluate(const std::string& expression, const Sizes& sizes) {
  return Int::Parse(expression).Evaluate(sizes);
}

/*! (code, class, title) of every error. */
py::list ErrorTable() {
  py::list out;
  for (const ErrorEntry& entry : kErrorTable) {
    out.append(py::make_tuple(ToString(entry.code), ErrorClass(entry.kind), entry.title));
  }
  return out;
}

/*! Raises the class of tilelang/tt/errors.py that the kind names. */
void Raise(const Error& error) {
  const py::object errors = py::module_::import("tilelang.tt.errors");
  py::set_error(errors.attr(ErrorClass(error.kind())), error.text().c_str());
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "The decisions of tilelang.tt as functions on numbers.";
  py::register_local_exception_translator([](std::exception_ptr raised) {
    try {
      if (raised) std::rethrow_exception(raised);
    } catch (const Error& error) {
      Raise(error);
    }
  });
  module.def("split_work", &SplitWork, py::arg("cores"), py::arg("units"), py::arg("order"));
  module.def("tiles_per_core", &TilesPerCore, py::arg("cores"), py::arg("num_tiles"),
             py::arg("order"));
  module.def("lay_out_tiled", &LayOutTiled, py::arg("shape"), py::arg("dtype"), py::arg("tile"),
             py::arg("device"));
  module.def("error_table", &ErrorTable);
  module.def("devices", &Devices);
  module.def("simplify", &Simplify, py::arg("expression"), py::arg("sizes"));
  module.def("evaluate", &Evaluate, py::arg("expression"), py::arg("sizes"));
}

}  // namespace tt::bind
