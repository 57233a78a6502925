// The memories in which tensors lie.
#pragma once

#include <cstdint>
#include <string_view>

#include "device/device.h"

namespace tt::plan {

enum class Memory { kDram, kL1 };

/*! "dram" or "l1"; refuses every other name. */
Memory ParseMemory(std::string_view name);
std::string_view ToString(Memory memory);

/*! The memory of "dram_interleaved" or "l1_interleaved"; refuses every other name. */
Memory ParseLayoutType(std::string_view name);
std::string_view LayoutType(Memory memory);

/*! The banks of a memory, as its allocator sees them. */
struct Banks {
  int64_t count;
  int64_t alignment;  // bytes
};

Banks BanksOf(Memory memory, const device::Device& device);

}  // namespace tt::plan
