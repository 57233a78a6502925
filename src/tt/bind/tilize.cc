#include "bind/tilize.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plan/tilize.h"

namespace py = pybind11;

namespace tt::bind {
namespace {

/*! Bytes in one piece; nothing is converted, so that what is written reaches the caller. */
using Bytes = py::array_t<uint8_t, py::array::c_style>;

plan::Sharding ToSharding(const py::dict& shard) {
  plan::Sharding out = {};
  out.distribution = plan::ParseDistribution(shard["distribution"].cast<std::string>());
  out.tensor_pages = shard["tensor_pages"].cast<std::vector<int64_t>>();
  out.shard_pages = shard["shard_pages"].cast<std::vector<int64_t>>();
  out.shard_grid = shard["shard_grid"].cast<std::vector<int64_t>>();
  for (const auto& [x, y] : shard["cores"].cast<std::vector<std::array<int64_t, 2>>>()) {
    out.cores.push_back({x, y});
  }
  out.num_shards = shard["num_shards"].cast<int64_t>();
  out.shards_per_core = shard["shards_per_core"].cast<int64_t>();
  out.pages_per_shard = shard["pages_per_shard"].cast<int64_t>();
  return out;
}

plan::BankedTensor ToTensor(const py::dict& buffer) {
  const auto [height, width] = buffer["page_shape"].cast<std::array<int64_t, 2>>();
  plan::BankedTensor out = {
      .name = buffer["name"].cast<std::string>(),
      .dtype = buffer["dtype"].cast<std::string>(),
      .data_format = buffer["data_format"].cast<std::string>(),
      .shape = buffer["shape"].cast<std::vector<int64_t>>(),
      .page_layout = plan::ParsePageLayout(buffer["page_layout"].cast<std::string>()),
      .page = {height, width},
      .page_size = buffer["page_size_bytes"].cast<int64_t>(),
      .aligned_page_size = buffer["aligned_page_size_bytes"].cast<int64_t>(),
      .num_pages = buffer["num_pages"].cast<int64_t>(),
      .num_banks = buffer["num_banks"].cast<int64_t>(),
      .bytes_per_bank = buffer["bytes_per_bank"].cast<int64_t>(),
      .sharding = std::nullopt};
  if (!buffer["shard"].is_none()) out.sharding = ToSharding(buffer["shard"]);
  return out;
}

std::span<const uint8_t> ToSpan(const Bytes& bytes) {
  return {bytes.data(), static_cast<size_t>(bytes.size())};
}

std::span<uint8_t> ToMutableSpan(Bytes& bytes) {
  return {bytes.mutable_data(), static_cast<size_t>(bytes.size())};
}

/*! By numpy, which gets memory that is zero from the system where there is much of it. */
Bytes Zeros(int64_t rows, int64_t columns) {
  return py::module_::import("numpy").attr("zeros")(py::make_tuple(rows, columns), "uint8");
}

Bytes Tilize(const py::dict& buffer, const Bytes& array, const Bytes& padding) {
  const plan::BankedTensor tensor = ToTensor(buffer);
  plan::CheckBanks(tensor);
  Bytes banks = Zeros(tensor.num_banks, tensor.bytes_per_bank);
  const auto from = ToSpan(array), element = ToSpan(padding);
  const auto to = ToMutableSpan(banks);
  const py::gil_scoped_release release;
  plan::Tilize(tensor, from, element, to);
  return banks;
}

Bytes Untilize(const py::dict& buffer, const Bytes& banks) {
  const plan::BankedTensor tensor = ToTensor(buffer);
  plan::CheckBanks(tensor);
  Bytes array(plan::ArrayBytes(tensor));
  const auto from = ToSpan(banks);
  const auto to = ToMutableSpan(array);
  const py::gil_scoped_release release;
  plan::Untilize(tensor, from, to);
  return array;
}

}  // namespace

void DefineTilize(py::module_& module) {
  module.def("tilize", &Tilize, py::arg("buffer"), py::arg("array").noconvert(),
             py::arg("padding").noconvert());
  module.def("untilize", &Untilize, py::arg("buffer"), py::arg("banks").noconvert());
}

}  // namespace tt::bind
