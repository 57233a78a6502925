#include "device/data_format.h"

#include <array>
#include <ranges>
#include <string>

#include "core/error.h"
#include "core/join.h"

namespace tt::device {
namespace {

struct DtypeFormat {
  std::string_view dtype;
  DataFormat format;
};

// Source: tt_metal/hw/inc/internal/tt-1xx/*/tensix_types.h (enum DataFormat) of the ttnn 0.81.1
// wheel; element sizes are the bytes of a 32x32 tile in that format divided by 1024.
constexpr std::array<DtypeFormat, 8> kFormats = {{
    {"float32", {"Float32", 4}},
    {"float16", {"Float16", 2}},
    {"bfloat16", {"Float16_b", 2}},
    {"int32", {"Int32", 4}},
    {"uint32", {"UInt32", 4}},
    {"uint16", {"UInt16", 2}},
    {"uint8", {"UInt8", 1}},
    {"int8", {"Int8", 1}},
}};

const DataFormat* Find(std::string_view dtype) {
  for (const DtypeFormat& entry : kFormats) {
    if (entry.dtype == dtype) return &entry.format;
  }
  return nullptr;
}

}  // namespace

const DataFormat& FormatOf(std::string_view dtype, std::string_view float16_format) {
  if (dtype == "float16" && float16_format == "Float16_b") dtype = "bfloat16";
  if (const DataFormat* format = Find(dtype)) return *format;
  const bool is_row_major = dtype == "float8_e4m3fn";
  const char* reason = is_row_major ? " is stored row-major on Blackhole only, never in tiles"
                                    : " has no Tenstorrent data format";
  throw Error(is_row_major ? ErrorCode::kRowMajorDtype : ErrorCode::kDtype,
              "dtype " + std::string(dtype) + reason + "; expected one of: " +
                  Join(kFormats | std::views::transform(&DtypeFormat::dtype)));
}

void CheckFloat16Format(std::string_view name) {
  if (name == "Float16" || name == "Float16_b") return;
  throw Error(ErrorCode::kDataFormat,
              "unknown data format \"" + std::string(name) +
                  "\" for float16 tensors; expected one of: Float16, Float16_b");
}

}  // namespace tt::device
