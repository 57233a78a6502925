#include "device/data_format.h"

#include <algorithm>
#include <array>
#include <ranges>
#include <string>

#include "core/checked.h"
#include "core/error.h"
#include "core/join.h"

namespace tt::device {
namespace {

// Source: tt_metal/hw/inc/internal/tt-1xx/*/tensix_types.h (enum DataFormat) of the ttnn 0.81.1
// wheel; element sizes are the bytes of a 32x32 tile in that format divided by 1024. That Fp8_e4m3
// is for rows on Blackhole only is what ttnn itself refuses.
constexpr std::array<DataFormat, 11> kFormats = {{
    {.name = "Float32", .element_bits = 32, .is_float = true},
    {.name = "Float16", .element_bits = 16, .is_float = true},
    {.name = "Float16_b", .element_bits = 16, .is_float = true},
    {.name = "Bfp8_b", .element_bits = 8, .is_block = true, .is_float = true},
    {.name = "Bfp4_b", .element_bits = 4, .is_block = true, .is_float = true},
    {.name = "Int32", .element_bits = 32},
    {.name = "UInt32", .element_bits = 32},
    {.name = "UInt16", .element_bits = 16},
    {.name = "UInt8", .element_bits = 8},
    {.name = "Int8", .element_bits = 8},
    {.name = "Fp8_e4m3", .element_bits = 8, .only_arch = Arch::kBlackhole, .in_tiles = false},
}};

struct DtypeFormat {
  std::string_view dtype;
  std::string_view format;  // its own
};

constexpr std::array<DtypeFormat, 9> kDtypes = {{
    {"float32", "Float32"},
    {"float16", "Float16"},
    {"bfloat16", "Float16_b"},
    {"int32", "Int32"},
    {"uint32", "UInt32"},
    {"uint16", "UInt16"},
    {"uint8", "UInt8"},
    {"int8", "Int8"},
    {"float8_e4m3fn", "Fp8_e4m3"},
}};

// The hardware reads one exponent byte for each row of a face, which has 16 elements, and wants the
// mantissas after them to start at a multiple of 16 bytes.
// Source: tt_metal's bfp_utils and the tile sizes of ttnn.Tile, ttnn 0.81.1.
constexpr int64_t kElementsPerExponent = 16;
constexpr int64_t kExponentAlignment = 16;

const DtypeFormat* FindDtype(std::string_view dtype) {
  const auto found = std::ranges::find(kDtypes, dtype, &DtypeFormat::dtype);
  return found == kDtypes.end() ? nullptr : &*found;
}

}  // namespace

const DataFormat& FindFormat(std::string_view name) {
  const auto found = std::ranges::find(kFormats, name, &DataFormat::name);
  if (found != kFormats.end()) return *found;
  throw Error(ErrorCode::kDataFormat,
              "unknown data format \"" + std::string(name) + "\"; expected one of: " +
                  Join(kFormats | std::views::transform(&DataFormat::name)));
}

std::span<const DataFormat> DataFormats() { return kFormats; }

const DataFormat& FormatOf(std::string_view dtype, std::string_view chosen) {
  const DtypeFormat* found = FindDtype(dtype);
  if (found == nullptr) {
    throw Error(ErrorCode::kDtype, "dtype " + std::string(dtype) +
                                       " has no Tenstorrent data format; expected one of: " +
                                       Join(kDtypes | std::views::transform(&DtypeFormat::dtype)));
  }
  const DataFormat& own = FindFormat(found->format);
  if (chosen.empty() || chosen == own.name) return own;
  const DataFormat& other = FindFormat(chosen);
  // ttnn reads Float16 nowhere: it is for those only who have the dtype of that name.
  if (own.is_float && other.is_float && other.name != "Float16") return other;
  throw Error(ErrorCode::kStorageFormat,
              "dtype " + std::string(dtype) + " cannot be stored as " + std::string(other.name) +
                  "; expected " + std::string(own.name) +
                  (own.is_float ? " or another floating format of ttnn's" : ""));
}

std::string_view CommonChoice(std::string_view dtype, std::string_view common) {
  if (common.empty() || dtype == "float16") return common;
  const DtypeFormat* found = FindDtype(dtype);
  const bool is_float = found != nullptr && FindFormat(found->format).is_float;
  return is_float && FindFormat(common).is_block ? common : std::string_view();
}

void CheckCommonChoice(std::string_view common) {
  constexpr std::array<std::string_view, 4> kChoices = {"Float16", "Float16_b", "Bfp8_b", "Bfp4_b"};
  if (std::ranges::find(kChoices, common) != kChoices.end()) return;
  throw Error(ErrorCode::kDataFormat,
              "data format \"" + std::string(common) +
                  "\" cannot be chosen for all tensors; expected one of: " + Join(kChoices));
}

int64_t ExponentBytes(const DataFormat& format, TileShape tile) {
  const int64_t exponents = tile.height * tile.width / kElementsPerExponent;
  return format.is_block ? RoundUp(exponents, kExponentAlignment) : 0;
}

int64_t TileBytes(const DataFormat& format, TileShape tile) {
  return ExponentBytes(format, tile) + tile.height * tile.width * format.element_bits / 8;
}

}  // namespace tt::device
