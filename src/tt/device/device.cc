#include "device/device.h"

#include <algorithm>
#include <array>
#include <span>
#include <type_traits>

#include "core/error.h"
#include "core/join.h"
#include "core/nearest.h"

namespace tt::device {
namespace {

constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;
constexpr int64_t kGiB = 1024 * kMiB;

// Sources are files of tt-metal as shipped in the ttnn 0.81.1 wheel, unless they say otherwise, and
// "mock" what ttnn 0.81.1 answers for a mock device with the default options. Addresses and sizes
// that the allocator gives out change from release to release.

// Removed from tt-metal; what remains are its old files.
//   grids           tt_metal/core_descriptors/grayskull_120_arch.yaml of tt-metal 04660b9b: of 12x10
//                   cores e150 gives kernels 12x9 and dispatches from the last row, e75 gives 11x8
//                   and dispatches from column 11, so that two rows must be harvested.
//   L1, DRAM        its soc descriptor: 8 channels of 1 GiB.
// Not known: what the allocator leaves, alignments, circular buffers, DST, clock and NoC.
Device Grayskull() {
  return {.arch = Arch::kGrayskull,
          .physical_grid = {12, 10},
          .dram_banks = 8,
          .dram_bank_size = kGiB,
          .l1_size = kMiB};
}

//   grids           tt_metal/core_descriptors/wormhole_b0_80_arch.yaml and *_eth_dispatch.yaml; mock.
//   DRAM            tt_metal/soc_descriptors/wormhole_b0_80_arch.yaml: 6 channels of two banks; the
//                   base from a mock.
//   alignments      tt_metal/hw/inc/internal/tt-1xx/wormhole/noc/noc_parameters.h: NoC DRAM reads, L1
//                   reads and writes. Circular buffers: mock.
//   L1              MEM_L1_SIZE of tt_metal/hw/inc/internal/tt-1xx/wormhole/dev_mem_map.h; the base
//                   from a mock.
//   circular buffers  tt_metal/api/tt-metalium/circular_buffer_constants.h
//   DST             ttnn/cpp/ttnn/kernel_lib/dest_helpers.hpp: 16 tiles, half of them in half sync,
//                   half as many again of 32 bits.
//   clock           tech_reports/GEMM_FLOPS/GEMM_FLOPS.md of tt-metal
//   NoC             NOC_PAYLOAD_WIDTH of noc_parameters.h
Device Wormhole() {
  return {.arch = Arch::kWormholeB0,
          .physical_grid = {8, 10},
          .dram_banks = 12,
          .dram_bank_size = kGiB,
          .dram_base = 1'048'640,
          .dram_alignment = 32,
          .l1_size = 1464 * kKiB,
          .l1_base = 105'824,
          .l1_alignment = 16,
          .circular_buffers = 32,
          .cb_alignment = 32,
          .dst_tiles = 16,
          .clock_mhz = 1000,
          .noc_width = 32};
}

// As Wormhole, from the files of its name: blackhole_140_arch.yaml, tt-1xx/blackhole/.
Device Blackhole() {
  return {.arch = Arch::kBlackhole,
          .physical_grid = {14, 10},
          .dram_banks = 8,
          .dram_bank_size = 4'278'190'080,
          .dram_base = 1'048'704,
          .dram_alignment = 64,
          .l1_size = 1536 * kKiB,
          .l1_base = 111'744,
          .l1_alignment = 16,
          .circular_buffers = 64,
          .cb_alignment = 64,
          .dst_tiles = 16,
          .clock_mhz = 1350,
          .noc_width = 64};
}

struct Harvested {
  int64_t columns = 0;
  int64_t rows = 0;
};

CoreCoord GridLeft(const Device& device);

Device Product(const char* name, Device chip, Harvested harvested, Dispatch dispatch,
               Device::Number dram_mb_per_s = {}) {
  chip.name = name;
  chip.dram_mb_per_s = dram_mb_per_s;
  chip.harvested_columns = harvested.columns;
  chip.harvested_rows = harvested.rows;
  chip.dispatch = dispatch;
  chip.worker_grid = GridLeft(chip);
  return chip;
}

// What is harvested and where dispatch runs, by product: the core descriptors, read back from mocks
// where not said otherwise. Boards of several chips are listed per chip. The bandwidth of DRAM is that of
// the product's page in docs.tenstorrent.com/aibs, of which measured reads reach 93 to 98 percent
// (tt-metal, tech_reports/Saturating_DRAM_bandwidth).
std::vector<Device> MakeDevices() {
  Device p100 = Blackhole();
  p100.dram_banks = 7;  // mock: one of eight is harvested too
  return {
      Product("wormhole_n150", Wormhole(), {.rows = 1}, Dispatch::kRow, 288'000),
      Product("wormhole_n300", Wormhole(), {.rows = 2}, Dispatch::kEthernet, 288'000),
      Product("wormhole_t3000", Wormhole(), {.rows = 2}, Dispatch::kEthernet, 288'000),
      Product("wormhole_galaxy", Wormhole(), {}, Dispatch::kRow),
      Product("blackhole_p100", p100, {.columns = 2}, Dispatch::kColumn, 448'000),
      // Since the firmware of February 2026 boards sold as p150 report two harvested columns
      // (servernews.ru/1136519); without one of them at hand, what was measured is the default.
      Product("blackhole_p150", Blackhole(), {}, Dispatch::kColumn, 512'000),
      // Not measured: two columns by the harvesting masks of tt-umd's p300 cluster descriptor, one
      // by its blackhole_galaxy.yaml; the worker grids follow from them by rule.
      Product("blackhole_p300", Blackhole(), {.columns = 2}, Dispatch::kColumn),
      Product("blackhole_galaxy", Blackhole(), {.columns = 1}, Dispatch::kColumn),
      Product("grayskull_e75", Grayskull(), {.rows = 2}, Dispatch::kColumn),
      Product("grayskull_e150", Grayskull(), {}, Dispatch::kRow),
  };
}

// ---- rules ---------------------------------------------------------------------------------------

constexpr std::array<std::string_view, 4> kDispatchNames = {"row", "column", "ethernet", "slow"};

std::span<const std::string_view> NamesOf(Arch) { return kArchNames; }
std::span<const std::string_view> NamesOf(Dispatch) { return kDispatchNames; }

template <typename Enum>
std::string NameOf(Enum value) {
  return std::string(NamesOf(value)[static_cast<size_t>(value)]);
}

std::string ToString(CoreCoord grid) {
  return std::to_string(grid.x) + "x" + std::to_string(grid.y);
}

[[noreturn]] void Refuse(ErrorCode code, const std::string& name, const std::string& what) {
  throw Error(code, "device " + name + ": " + what);
}

std::string DescribeHarvested(const Device& device) {
  return std::to_string(device.harvested_columns) + " columns and " +
         std::to_string(device.harvested_rows) + " rows harvested";
}

/*! What tt-metal has a core descriptor for and opens. A mock Blackhole refuses row and ethernet. */
bool CanDispatch(const Device& device, Dispatch dispatch) {
  switch (device.arch) {
    case Arch::kGrayskull:
      return dispatch == (device.harvested_rows == 0 ? Dispatch::kRow : Dispatch::kColumn);
    case Arch::kWormholeB0: return true;
    case Arch::kBlackhole: return dispatch == Dispatch::kColumn || dispatch == Dispatch::kSlow;
  }
  return false;
}

void CheckDispatch(const Device& device) {
  if (CanDispatch(device, device.dispatch)) return;
  std::vector<std::string_view> known;
  for (size_t i = 0; i < kDispatchNames.size(); ++i) {
    if (CanDispatch(device, static_cast<Dispatch>(i))) known.push_back(kDispatchNames[i]);
  }
  Refuse(ErrorCode::kDeviceDispatch, device.name,
         "dispatch \"" + NameOf(device.dispatch) + "\" is not known to work on " +
             NameOf(device.arch) + " with " + DescribeHarvested(device) +
             "; expected one of: " + Join(known));
}

// tt-metal tells chips with none, one and two harvested rows or columns apart, and no others.
constexpr int64_t kMostHarvested = 2;

/*! Blackhole harvests columns, its predecessors rows. */
void CheckHarvested(const Device& device) {
  const bool by_columns = device.arch == Arch::kBlackhole;
  const int64_t none = by_columns ? device.harvested_rows : device.harvested_columns;
  const int64_t some = by_columns ? device.harvested_columns : device.harvested_rows;
  if (none == 0 && some <= kMostHarvested) return;
  Refuse(ErrorCode::kDeviceHarvested, device.name,
         DescribeHarvested(device) + "; expected 0 to " + std::to_string(kMostHarvested) +
             (by_columns ? " columns" : " rows") + " and no " + (by_columns ? "rows" : "columns") +
             " on " + NameOf(device.arch));
}

/*! The cores that harvesting and dispatch leave to kernels. */
CoreCoord GridLeft(const Device& device) {
  CheckHarvested(device);
  CheckDispatch(device);
  CoreCoord left = {device.physical_grid.x - device.harvested_columns,
                    device.physical_grid.y - device.harvested_rows};
  if (device.dispatch == Dispatch::kRow) --left.y;
  if (device.dispatch == Dispatch::kColumn) --left.x;
  // The one descriptor that leaves a row unused: nebula_x1 in wormhole_b0_80_arch_eth_dispatch.yaml.
  const bool nebula_x1 = device.arch == Arch::kWormholeB0 && device.harvested_rows == 1;
  if (nebula_x1 && device.dispatch == Dispatch::kEthernet) --left.y;
  if (left.x >= 1 && left.y >= 1) return left;
  Refuse(ErrorCode::kDeviceGrid, device.name,
         "of the physical grid of " + ToString(device.physical_grid) +
             " cores harvesting and dispatch leave none");
}

// ---- fields --------------------------------------------------------------------------------------

std::vector<std::string_view> FieldNames() {
  std::vector<std::string_view> names;
  VisitFields([&](const char* name, auto) { names.push_back(name); });
  return names;
}

FieldValue ToField(const std::string& text) { return text; }
FieldValue ToField(int64_t number) { return number; }
FieldValue ToField(CoreCoord grid) { return std::vector<int64_t>{grid.x, grid.y}; }
FieldValue ToField(Arch arch) { return NameOf(arch); }
FieldValue ToField(Dispatch dispatch) { return NameOf(dispatch); }

std::string Describe(const FieldValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return '"' + *text + '"';
  if (const auto* mistyped = std::get_if<Mistyped>(&value)) return mistyped->found;
  std::string out;
  for (const int64_t number : std::get<std::vector<int64_t>>(value)) {
    out += (out.empty() ? "" : ", ") + std::to_string(number);
  }
  return "[" + out + "]";
}

/*! Reads one device; a refusal names it and the field. */
class Reader {
 public:
  explicit Reader(const Fields& fields) : fields_(fields) {}

  Device Read() {
    CheckNames();
    VisitFields([&](const char* name, auto member) {
      const auto found = fields_.find(name);
      if (found != fields_.end()) return Set(name, found->second, &(device_.*member));
      if (!MayBeAbsent(name, member))
        Refuse(ErrorCode::kDeviceFieldMissing, Name(),
               std::string("field ") + name + " is missing");
    });
    CheckGrid();
    CheckBase("l1_base", device_.l1_base, "l1_size", device_.l1_size);
    CheckBase("dram_base", device_.dram_base, "dram_bank_size", device_.dram_bank_size);
    return std::move(device_);
  }

 private:
  std::string Name() const { return device_.name.empty() ? "without a name" : device_.name; }

  [[noreturn]] void Expected(const char* field, const FieldValue& value, const std::string& what,
                             ErrorCode code = ErrorCode::kDeviceField) {
    Refuse(code, Name(),
           std::string("field ") + field + " is " + Describe(value) + "; expected " + what);
  }

  void CheckNames() {
    const std::vector<std::string_view> known = FieldNames();
    for (const auto& [name, value] : fields_) {
      if (std::ranges::find(known, name) != known.end()) continue;
      throw Error(ErrorCode::kDeviceFieldName, "unknown device field \"" + name +
                                                   "\"; expected one of: " + Join(known) +
                                                   DidYouMean(name, known));
    }
  }

  template <typename Member>
  static bool MayBeAbsent(std::string_view name, Member) {
    return std::is_same_v<Member, Device::Number Device::*> || name == "worker_grid";
  }

  // Names stand in messages, IR text and TOML, and need no quoting there.
  void Set(const char* field, const FieldValue& value, std::string* out) {
    constexpr size_t kLongest = 64;
    const auto* text = std::get_if<std::string>(&value);
    const auto is_plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-' || c == '.';
    };
    if (!text || text->empty() || text->size() > kLongest ||
        !std::ranges::all_of(*text, is_plain)) {
      Expected(field, value, "1 to 64 letters, digits, \"_\", \"-\" or \".\"");
    }
    *out = *text;
  }

  template <typename Enum>
    requires std::is_enum_v<Enum>
  void Set(const char* field, const FieldValue& value, Enum* out) {
    const std::span<const std::string_view> names = NamesOf(Enum{});
    const auto* text = std::get_if<std::string>(&value);
    const auto found = text ? std::ranges::find(names, *text) : names.end();
    if (found == names.end()) {
      Expected(field, value, "one of: " + Join(names) + (text ? DidYouMean(*text, names) : ""));
    }
    *out = static_cast<Enum>(found - names.begin());
  }

  // A node of the NoC has six bits for each coordinate: NOC_ADDR_NODE_ID_BITS of noc_parameters.h.
  void Set(const char* field, const FieldValue& value, CoreCoord* out) {
    constexpr int64_t kLargest = 64;
    const auto* numbers = std::get_if<std::vector<int64_t>>(&value);
    const auto fits = [](int64_t number) { return number >= 1 && number <= kLargest; };
    if (!numbers || numbers->size() != 2 || !std::ranges::all_of(*numbers, fits)) {
      Expected(field, value, "[columns, rows], integers from 1 to " + std::to_string(kLargest));
    }
    *out = {(*numbers)[0], (*numbers)[1]};
  }

  void Set(const char* field, const FieldValue& value, int64_t* out) {
    const auto* number = std::get_if<int64_t>(&value);
    if (!number || *number < 0) Expected(field, value, "an integer of at least 0");
    *out = *number;
  }

  void Set(const char* field, const FieldValue& value, Device::Number* out) {
    const std::string_view name = field;
    const auto* number = std::get_if<int64_t>(&value);
    const int64_t least = name.ends_with("_base") ? 0 : 1;
    if (!number || *number < least) {
      Expected(field, value, "an integer of at least " + std::to_string(least));
    }
    if (name.ends_with("_alignment") && (*number & (*number - 1)) != 0) {
      Expected(field, value, "a power of two");
    }
    if (name == "dst_tiles" && *number % 4 != 0) Expected(field, value, "a multiple of 4");
    *out = *number;
  }

  void CheckGrid() {
    const CoreCoord left = GridLeft(device_);
    CoreCoord& grid = device_.worker_grid;
    if (!fields_.contains("worker_grid")) grid = left;
    if (grid.x <= left.x && grid.y <= left.y) return;
    Expected("worker_grid", ToField(grid),
             "at most " + ToString(left) + ": what is left of a physical grid of " +
                 ToString(device_.physical_grid) + " with " + DescribeHarvested(device_) +
                 " and dispatch \"" + NameOf(device_.dispatch) + '"',
             ErrorCode::kDeviceGrid);
  }

  void CheckBase(const char* base_name, Device::Number base, const char* size_name,
                 Device::Number size) {
    if (!base || !size || *base < *size) return;
    Expected(base_name, *base,
             std::string("less than ") + size_name + ", " + std::to_string(*size));
  }

  const Fields& fields_;
  Device device_{};
};

}  // namespace

int64_t Device::Known(Number Device::* field) const {
  if (this->*field) return *(this->*field);
  VisitFields([&](const char* field_name, auto member) {
    if constexpr (std::is_same_v<decltype(member), Number Device::*>) {
      if (member == field) {
        Refuse(ErrorCode::kDeviceNumber, name,
               std::string(field_name) +
                   " is not known, and needed here; expected a device that states it");
      }
    }
  });
  throw Error(ErrorCode::kInternal, "a field of a device that VisitFields does not visit");
}

int64_t Device::MaxDstTiles(bool fp32_accumulation, bool full_sync) const {
  return Known(&Device::dst_tiles) / (fp32_accumulation ? 2 : 1) / (full_sync ? 1 : 2);
}

Fields FieldsOf(const Device& device) {
  Fields out;
  VisitFields([&](const char* name, auto member) {
    if constexpr (std::is_same_v<decltype(member), Device::Number Device::*>) {
      if (device.*member) out.emplace(name, *(device.*member));
    } else {
      out.emplace(name, ToField(device.*member));
    }
  });
  return out;
}

Device DeviceFrom(const Fields& fields) { return Reader(fields).Read(); }

const std::vector<Device>& Devices() {
  static const auto* devices = new std::vector<Device>(MakeDevices());
  return *devices;
}

const Device& FindDevice(std::string_view name) {
  const auto found = std::ranges::find(Devices(), name, &Device::name);
  if (found != Devices().end()) return *found;
  std::vector<std::string_view> known;
  for (const Device& device : Devices()) known.push_back(device.name);
  throw Error(ErrorCode::kUnknownDevice, "unknown device \"" + std::string(name) + "\"" +
                                             "; expected one of: " + Join(known) +
                                             DidYouMean(name, known));
}

}  // namespace tt::device
