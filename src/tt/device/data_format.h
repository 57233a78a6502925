// The formats in which Tenstorrent hardware stores tensor elements.
#pragma once

#include <cstdint>
#include <string_view>

namespace tt::device {

struct DataFormat {
  std::string_view name;  // as tt-metal's DataFormat enumerator spells it
  int64_t element_bytes;
};

/*!
 * The storage format of a tensor element type.
 * \param dtype A TVM dtype string such as "bfloat16".
 * \param float16_format How float16 is stored: "Float16" or "Float16_b".
 */
const DataFormat& FormatOf(std::string_view dtype, std::string_view float16_format);

/*! Refuses whatever is not a way to store float16. */
void CheckFloat16Format(std::string_view name);

}  // namespace tt::device
