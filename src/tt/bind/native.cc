// The pybind11 module _native: plan/ and device/ for Python, numbers and numpy arrays only.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bind/tilize.h"
#include "bind/work_split.h"
#include "core/error.h"
#include "core/int.h"
#include "device/data_format.h"
#include "device/device.h"
#include "plan/on_chip.h"
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

std::vector<CoreRange> ToRanges(const std::vector<Rectangle>& rectangles) {
  std::vector<CoreRange> out;
  for (const Rectangle& r : rectangles) out.push_back({r[0], r[1], r[2], r[3]});
  return out;
}

plan::CoreSet ToCoreSet(const std::vector<Rectangle>& rectangles) {
  return plan::CoreSet(ToRanges(rectangles));
}

plan::Grid ToGrid(const std::array<std::string, 3>& extents) {
  return {Int::Parse(extents[0]), Int::Parse(extents[1]), Int::Parse(extents[2])};
}

/*! A number; text where it depends on shape variables. */
py::object ToPython(const Int& number) {
  if (const auto constant = number.constant()) return py::int_(*constant);
  return py::str(number.ToString());
}

/*! start, count and runs. */
py::tuple ToPython(const plan::CoreShare& share) {
  py::list runs;
  for (const plan::TileRun& run : share.runs) {
    runs.append(py::make_tuple(ToPython(run.start), ToPython(run.length), ToPython(run.stride),
                               ToPython(run.repeat)));
  }
  return py::make_tuple(ToPython(share.start), ToPython(share.count), runs);
}

py::dict MakeSchedule(const std::array<std::string, 3>& extents,
                      const std::vector<Rectangle>& cores, const std::string& core_order,
                      const std::string& policy, std::optional<int64_t> block_size,
                      const std::string& order, std::optional<int64_t> panel) {
  const plan::Schedule schedule(ToGrid(extents), ToCoreSet(cores), plan::ParseCoreOrder(core_order),
                                plan::ParsePolicy(policy, block_size),
                                plan::ParseTileOrder(order, panel));
  py::dict out;
  out["num_tiles"] = ToPython(schedule.num_tiles());
  out["num_active_cores"] = ToPython(schedule.NumActiveCores());
  out["active_ranges"] = ToRectangles(schedule.ActiveRanges());
  if (!schedule.num_tiles().is_constant()) {
    out["share"] = ToPython(schedule.ShareOf(Int::Variable("core_id")));
    return out;
  }
  py::list shares;
  for (int64_t core = 0; core < schedule.cores().size(); ++core) {
    shares.append(ToPython(schedule.ShareOf(core)));
  }
  out["shares"] = shares;
  return out;
}

/*! Refuses grids that are empty or too large. */
plan::TileCoord<int64_t> CheckedExtents(const std::array<int64_t, 3>& extents) {
  plan::NumTiles({extents[0], extents[1], extents[2]});
  return {extents[0], extents[1], extents[2]};
}

[[noreturn]] void RefuseTile(const std::string& found, const std::array<int64_t, 3>& extents) {
  throw Error(ErrorCode::kTileOutside, found + " is not in the " + std::to_string(extents[0]) +
                                           "x" + std::to_string(extents[1]) + "x" +
                                           std::to_string(extents[2]) + " grid");
}

py::array_t<int64_t> TileCoordinates(const std::array<int64_t, 3>& extents,
                                     const py::array_t<int64_t>& tile_ids, const std::string& order,
                                     std::optional<int64_t> panel) {
  const plan::TileCoord<int64_t> grid = CheckedExtents(extents);
  const plan::TileOrder tile_order = plan::ParseTileOrder(order, panel);
  const auto ids = tile_ids.unchecked<1>();
  py::array_t<int64_t> out({ids.shape(0), py::ssize_t{3}});
  auto rows = out.mutable_unchecked<2>();
  const int64_t num_tiles = grid.x * grid.y * grid.z;
  for (py::ssize_t i = 0; i < ids.shape(0); ++i) {
    if (ids(i) < 0 || ids(i) >= num_tiles) {
      RefuseTile("work tile " + std::to_string(ids(i)), extents);
    }
    const plan::TileCoord<int64_t> at = plan::CoordOfTile(grid, tile_order, ids(i));
    rows(i, 0) = at.x;
    rows(i, 1) = at.y;
    rows(i, 2) = at.z;
  }
  return out;
}

py::array_t<int64_t> TileIds(const std::array<int64_t, 3>& extents,
                             const py::array_t<int64_t>& coordinates, const std::string& order,
                             std::optional<int64_t> panel) {
  const plan::TileCoord<int64_t> grid = CheckedExtents(extents);
  const plan::TileOrder tile_order = plan::ParseTileOrder(order, panel);
  const auto cells = coordinates.unchecked<2>();
  py::array_t<int64_t> out(cells.shape(0));
  auto ids = out.mutable_unchecked<1>();
  for (py::ssize_t i = 0; i < cells.shape(0); ++i) {
    const plan::TileCoord<int64_t> at = {cells(i, 0), cells(i, 1), cells(i, 2)};
    if (at.x < 0 || at.y < 0 || at.z < 0 || at.x >= grid.x || at.y >= grid.y || at.z >= grid.z) {
      RefuseTile("cell (" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " +
                     std::to_string(at.z) + ")",
                 extents);
    }
    ids(i) = plan::TileOfCoord(grid, tile_order, at);
  }
  return out;
}

py::list ToPython(const std::vector<Int>& numbers) {
  py::list out;
  for (const Int& number : numbers) out.append(ToPython(number));
  return out;
}

/*! Extents are numbers, or texts over shape variables. */
plan::Shape ToShape(const py::sequence& extents) {
  plan::Shape out;
  for (const py::object extent : extents) {
    out.push_back(py::isinstance<py::str>(extent) ? Int::Parse(extent.cast<std::string>())
                                                  : Int(extent.cast<int64_t>()));
  }
  return out;
}

template <typename T>
T Option(const py::dict& options, const char* name, T otherwise) {
  return options.contains(name) ? options[name].cast<T>() : otherwise;
}

plan::ShardSpec ToShardSpec(const py::dict& options) {
  const std::string distribution = Option(options, "distribution", std::string("round_robin_1d"));
  plan::ShardSpec out = {
      .kind = plan::ParseShardKind(options["kind"].cast<std::string>()),
      .shape = options["shape"].cast<std::vector<int64_t>>(),
      .cores = ToRanges(options["cores"].cast<std::vector<Rectangle>>()),
      .orientation = plan::ParseCoreOrder(Option(options, "orientation", std::string("row_major"))),
      .distribution = plan::ParseDistribution(distribution)};
  return out;
}

/*! Options as in the attribute tt_buffer_layouts; what is absent has its default. */
plan::LayoutChoice ToChoice(const std::string& dtype, const py::dict& options) {
  using Tile = std::array<int64_t, 2>;
  const Tile tile = Option(options, "tile", Tile{32, 32});
  plan::LayoutChoice choice = {
      .format = &device::FormatOf(dtype, Option(options, "data_format", std::string())),
      .memory = plan::ParseMemory(Option(options, "memory", std::string("dram"))),
      .page_layout = plan::ParsePageLayout(Option(options, "page_layout", std::string("tile"))),
      .tile = {tile[0], tile[1]}};
  device::CheckTileShape(choice.tile);
  if (options.contains("shard")) choice.shard = ToShardSpec(options["shard"]);
  return choice;
}

plan::TensorLayout ToLayout(const py::sequence& shape, const std::string& dtype,
                            const std::string& device, const py::dict& options) {
  return plan::LayOut(ToShape(shape), ToChoice(dtype, options), device::FindDevice(device));
}

py::dict ToDict(const plan::Sharding& sharding) {
  py::dict out;
  out["kind"] = std::string(plan::ToString(sharding.kind));
  out["tensor_pages"] = sharding.tensor_pages;
  out["shard_pages"] = sharding.shard_pages;
  out["shard_grid"] = sharding.shard_grid;
  py::list cores;
  for (const CoreCoord& core : sharding.cores) cores.append(py::make_tuple(core.x, core.y));
  out["cores"] = cores;
  out["distribution"] = std::string(plan::ToString(sharding.distribution));
  out["num_shards"] = sharding.num_shards;
  out["shards_per_core"] = sharding.shards_per_core;
  out["pages_per_shard"] = sharding.pages_per_shard;
  return out;
}

py::dict LayOut(const py::sequence& shape, const std::string& dtype, const std::string& device,
                const py::dict& options) {
  const plan::TensorLayout layout = ToLayout(shape, dtype, device, options);
  py::dict out;
  out["num_matrices"] = ToPython(layout.num_matrices);
  out["num_tiles_height"] = ToPython(layout.num_tiles_height);
  out["num_tiles_width"] = ToPython(layout.num_tiles_width);
  out["needs_padding"] = layout.needs_padding;
  out["padded_shape"] = ToPython(layout.padded_shape);
  out["page_size"] = ToPython(layout.page_size);
  out["aligned_page_size"] = ToPython(layout.aligned_page_size);
  out["num_pages"] = ToPython(layout.num_pages);
  out["num_banks"] = layout.num_banks;
  out["bytes_per_bank"] = ToPython(layout.bytes_per_bank);
  out["padding_bytes"] = ToPython(layout.padding_bytes);
  out["padding_percent"] = ToPython(layout.padding_percent);
  out["accessor_ct_args"] = ToPython(layout.accessor_ct_args);
  if (layout.sharding) out["sharding"] = ToDict(*layout.sharding);
  if (layout.address_if_alone) out["address_if_alone"] = *layout.address_if_alone;
  return out;
}

py::tuple Locate(const py::sequence& shape, const std::string& dtype, const std::string& device,
                 const py::dict& options, int64_t page) {
  const plan::PageLocation at = plan::Locate(ToLayout(shape, dtype, device, options), page);
  return py::make_tuple(at.bank, at.offset);
}

/*! Buffers as (name, shape, bits of an element, stages, loop or None). */
std::vector<plan::OnChipBuffer> ToOnChipBuffers(const py::list& buffers) {
  std::vector<plan::OnChipBuffer> out;
  for (const py::handle entry : buffers) {
    const auto buffer = entry.cast<py::tuple>();
    plan::OnChipBuffer read{.name = buffer[0].cast<std::string>(),
                            .element_bits = buffer[2].cast<int64_t>(),
                            .shape = ToShape(buffer[1].cast<py::sequence>()),
                            .num_stages = buffer[3].cast<int64_t>(),
                            .pipeline = std::nullopt};
    if (!buffer[4].is_none()) read.pipeline = buffer[4].cast<size_t>();
    out.push_back(std::move(read));
  }
  return out;
}

py::dict CircularBuffers(const py::list& buffers, std::array<int64_t, 2> tile,
                         const std::string& device_name) {
  const device::TileShape shape = {tile[0], tile[1]};
  const device::Device& device = device::FindDevice(device_name);
  std::vector<plan::CircularBuffer> circular;
  py::list entries;
  for (const plan::OnChipBuffer& buffer : ToOnChipBuffers(buffers)) {
    circular.push_back(plan::MakeCircularBuffer(buffer, shape));
    entries.append(py::make_tuple(ToPython(circular.back().num_tiles), circular.back().page_size,
                                  ToPython(circular.back().bytes)));
  }
  const int64_t alignment = device.Known(&device::Device::cb_alignment);
  py::dict out;
  out["circular_buffers"] = entries;
  out["l1_bytes"] = ToPython(plan::BytesOfL1(circular, alignment));
  return out;
}

py::list CheckCapacity(const py::list& buffers, const py::object& tensor_bytes,
                       std::array<int64_t, 2> tile, const std::string& device) {
  py::list out;
  for (const plan::CapacityProblem& problem :
       plan::CheckCapacity(ToOnChipBuffers(buffers), ToShape(py::make_tuple(tensor_bytes))[0],
                           {tile[0], tile[1]}, device::FindDevice(device))) {
    out.append(py::make_tuple(ToString(problem.code), problem.message));
  }
  return out;
}

py::tuple LargestSubBlock(int64_t num_tiles_height, int64_t num_tiles_width, int64_t dst_tiles) {
  const plan::SubBlock block = plan::LargestSubBlock(num_tiles_height, num_tiles_width, dst_tiles);
  return py::make_tuple(block.height, block.width);
}

std::string TypeName(const py::handle& value) {
  return py::str(py::type::handle_of(value).attr("__name__"));
}

/*! None where Python's integer, or what can stand for one, does not fit. A truth value is no number. */
std::optional<int64_t> ToInteger(const py::handle& value) {
  if (PyBool_Check(value.ptr()) || !PyIndex_Check(value.ptr())) return std::nullopt;
  const int64_t number = PyNumber_AsSsize_t(value.ptr(), PyExc_OverflowError);
  if (number == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    return std::nullopt;
  }
  return number;
}

device::FieldValue ToField(const py::handle& value) {
  if (const auto number = ToInteger(value)) return *number;
  if (PyUnicode_Check(value.ptr())) {
    if (const char* text = PyUnicode_AsUTF8(value.ptr())) return std::string(text);
    PyErr_Clear();
    return device::Mistyped{"text that is no UTF-8"};
  }
  if (PyLong_Check(value.ptr()) && !PyBool_Check(value.ptr())) {
    return device::Mistyped{"an integer beyond 64 bits"};
  }
  if (!PyList_Check(value.ptr()) && !PyTuple_Check(value.ptr())) {
    return device::Mistyped{"of type " + TypeName(value)};
  }
  std::vector<int64_t> numbers;
  for (const py::handle element : value) {
    const auto number = ToInteger(element);
    if (!number) return device::Mistyped{"a list of more than integers of 64 bits"};
    numbers.push_back(*number);
  }
  return numbers;
}

device::Fields ToFields(const py::dict& fields) {
  device::Fields out;
  for (const auto& [name, value] : fields) {
    if (!value.is_none()) out.emplace(py::str(name), ToField(value));
  }
  return out;
}

/*! All fields, None where nothing is known. */
py::dict ToDict(const device::Device& device) {
  const device::Fields known = device::FieldsOf(device);
  py::dict out;
  device::VisitFields([&](const char* name, auto) {
    out[name] = py::none();
    const auto found = known.find(name);
    if (found == known.end()) return;
    if (const auto* number = std::get_if<int64_t>(&found->second)) out[name] = *number;
    if (const auto* text = std::get_if<std::string>(&found->second)) out[name] = *text;
    if (const auto* grid = std::get_if<std::vector<int64_t>>(&found->second)) {
      out[name] = py::tuple(py::cast(*grid));
    }
  });
  return out;
}

py::list Devices() {
  py::list out;
  for (const device::Device& device : device::Devices()) out.append(ToDict(device));
  return out;
}

py::dict FindDevice(const std::string& name) { return ToDict(device::FindDevice(name)); }

py::dict CompleteDevice(const py::dict& fields) {
  return ToDict(device::DeviceFrom(ToFields(fields)));
}

int64_t MaxDstTiles(const py::dict& fields, bool fp32_accumulation, bool full_sync) {
  return device::DeviceFrom(ToFields(fields)).MaxDstTiles(fp32_accumulation, full_sync);
}

py::tuple TileShapes() {
  py::list out;
  for (const device::TileShape& tile : device::TileShapes()) {
    out.append(py::make_tuple(tile.height, tile.width));
  }
  return out;
}

py::tuple DataFormats(const std::string& arch) {
  py::list out;
  for (const device::DataFormat& format : device::DataFormats()) {
    if (!format.only_arch || device::ToString(*format.only_arch) == arch) out.append(format.name);
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
  DefineTilize(module);
  DefineWorkSplit(module);
  module.def("schedule", &MakeSchedule, py::arg("grid"), py::arg("cores"), py::arg("core_order"),
             py::arg("policy"), py::arg("block_size"), py::arg("order"), py::arg("panel"));
  module.def("tile_coordinates", &TileCoordinates, py::arg("grid"), py::arg("tile_ids"),
             py::arg("order"), py::arg("panel"));
  module.def("tile_ids", &TileIds, py::arg("grid"), py::arg("coordinates"), py::arg("order"),
             py::arg("panel"));
  module.def("error_table", &ErrorTable);
  module.def("lay_out", &LayOut, py::arg("shape"), py::arg("dtype"), py::arg("device"),
             py::arg("options"));
  module.def("locate", &Locate, py::arg("shape"), py::arg("dtype"), py::arg("device"),
             py::arg("options"), py::arg("page"));
  module.def("circular_buffers", &CircularBuffers, py::arg("buffers"), py::arg("tile"),
             py::arg("device"));
  module.def("check_capacity", &CheckCapacity, py::arg("buffers"), py::arg("tensor_bytes"),
             py::arg("tile"), py::arg("device"));
  module.def("largest_subblock", &LargestSubBlock, py::arg("num_tiles_height"),
             py::arg("num_tiles_width"), py::arg("dst_tiles"));
  module.def("devices", &Devices);
  module.def("find_device", &FindDevice, py::arg("name"));
  module.attr("default_device") = py::str(std::string(device::kDefaultDevice));
  module.def("complete_device", &CompleteDevice, py::arg("fields"));
  module.def("max_dst_tiles", &MaxDstTiles, py::arg("fields"), py::arg("fp32_accumulation"),
             py::arg("full_sync"));
  module.def("tile_shapes", &TileShapes);
  module.def("data_formats", &DataFormats, py::arg("arch"));
  module.def("simplify", &Simplify, py::arg("expression"), py::arg("sizes"));
  module.def("evaluate", &Evaluate, py::arg("expression"), py::arg("sizes"));
}

}  // namespace tt::bind
