// The device table: with data_format.h and tile_shape.h the only place where hardware numbers live.
#pragma once

#include <span>
#include <string_view>

#include "core/core_range.h"

namespace tt::device {

struct Device {
  std::string_view name;
  std::string_view arch;
  CoreCoord worker_grid;   // Tensix cores that kernels may use, columns by rows
  int64_t dram_banks;      // as the allocator sees them
  int64_t dram_alignment;  // bytes; every page of a DRAM tensor starts at a multiple of it
  int64_t l1_alignment;    // bytes; the same of a tensor in L1

  CoreRange AllWorkers() const { return {0, 0, worker_grid.x - 1, worker_grid.y - 1}; }
};

/*! All devices, in the order in which messages list them. */
std::span<const Device> Devices();

/*! The device of that name; refuses an unknown one and lists those that exist. */
const Device& FindDevice(std::string_view name);

/*! The device that is taken where the user names none. */
constexpr std::string_view kDefaultDevice = "wormhole_n150";

}  // namespace tt::device
