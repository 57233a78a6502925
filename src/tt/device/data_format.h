// The formats in which Tenstorrent hardware stores tensor elements.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "device/arch.h"
#include "device/tile_shape.h"

namespace tt::device {

struct DataFormat {
  std::string_view name;  // as tt-metal's DataFormat enumerator spells it
  int64_t element_bits;   // without the exponents that the elements of a block format share
  bool is_block = false;  // stored in tiles only
  bool is_float = false;
  std::optional<Arch> only_arch = {};  // the one that has the format; none where all have it
  bool in_tiles = true;                // whether a tile can be of it
};

/*!
 * The storage format of a tensor element type.
 * \param dtype A TVM dtype string such as "bfloat16".
 * \param chosen The name of a format, or empty for the dtype's own. A floating dtype may be stored
 *        in another floating format, block formats included.
 */
const DataFormat& FormatOf(std::string_view dtype, std::string_view chosen = {});

/*!
 * The name of the format that is chosen for a dtype by one choice for all tensors: a block format
 * is for all floating dtypes, Float16 and Float16_b are for float16. Empty for other dtypes.
 */
std::string_view CommonChoice(std::string_view dtype, std::string_view common);

/*! Refuses what cannot be chosen for all tensors together. */
void CheckCommonChoice(std::string_view common);

/*! The format of that name; refuses an unknown one and lists those that exist. */
const DataFormat& FindFormat(std::string_view name);

/*! All formats, in the order in which messages list them. */
std::span<const DataFormat> DataFormats();

/*! Bytes of a tile before its elements: the shared exponents of a block format. */
int64_t ExponentBytes(const DataFormat& format, TileShape tile);

/*! Bytes of a tile; the shared exponents of a block format included. */
int64_t TileBytes(const DataFormat& format, TileShape tile);

}  // namespace tt::device
