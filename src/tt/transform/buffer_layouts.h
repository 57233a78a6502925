// The attribute tt_buffer_layouts: what the user chose for single tensors.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "ir/ffi.h"
#include "plan/tensor_layout.h"

namespace tt::transform {

/*! What is absent follows the inputs of the whole function. */
struct BufferLayout {
  std::optional<plan::Memory> memory;
  std::optional<plan::PageLayout> page_layout;
  std::optional<device::TileShape> tile;
  std::string data_format;  // empty: absent
  std::optional<plan::ShardSpec> shard;
};

/*! By the parameter's position. */
using BufferLayouts = std::map<int64_t, BufferLayout>;

/*!
 * Reads a list of maps, one for each tensor. Refuses unknown fields and names, wrong types, and
 * options that exclude each other.
 */
BufferLayouts ReadBufferLayouts(const ir::Value& layouts);

}  // namespace tt::transform
