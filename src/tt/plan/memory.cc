#include "plan/memory.h"

#include "core/enum_names.h"

namespace tt::plan {
namespace {

constexpr EnumNames<Memory, 2> kMemories = {
    "memory", ErrorCode::kMemory, {{{Memory::kDram, "dram"}, {Memory::kL1, "l1"}}}};
// An interleaved tensor's layout is named after its memory.
constexpr EnumNames<Memory, 2> kLayoutTypes = {
    "layout type",
    ErrorCode::kLayoutType,
    {{{Memory::kDram, "dram_interleaved"}, {Memory::kL1, "l1_interleaved"}}}};

}  // namespace

Memory ParseMemory(std::string_view name) { return kMemories.Parse(name); }
std::string_view ToString(Memory memory) { return kMemories.NameOf(memory); }
Memory ParseLayoutType(std::string_view name) { return kLayoutTypes.Parse(name); }
std::string_view LayoutType(Memory memory) { return kLayoutTypes.NameOf(memory); }

Banks BanksOf(Memory memory, const device::Device& device) {
  using device::Device;
  if (memory == Memory::kDram) {
    return {device.Known(&Device::dram_banks), device.Known(&Device::dram_alignment)};
  }
  return {device.NumL1Banks(), device.Known(&Device::l1_alignment)};
}

}  // namespace tt::plan
