// How the pages of a tensor are spread over cores, or DRAM banks, shard by shard.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/checked.h"
#include "core/core_range.h"
#include "device/device.h"
#include "plan/memory.h"
#include "plan/work_split.h"

namespace tt::plan {

/*! How a tensor is cut: along its height, its width, both, or along any of its dimensions. */
enum class ShardKind { kHeight, kWidth, kBlock, kNd };

/*! Which core has a shard of an ND-sharded tensor. */
enum class Distribution {
  kRoundRobin1D,  // shard s lies on core s modulo the cores
  kGrid2D,        // the grid of shards on the grid of cores
  kContiguous1D,  // each core has consecutive shards, all cores equally many
};

ShardKind ParseShardKind(std::string_view name);
Distribution ParseDistribution(std::string_view name);
std::string_view ToString(ShardKind kind);
std::string_view ToString(Distribution distribution);

/*! What is chosen for one tensor. */
struct ShardSpec {
  ShardKind kind;
  std::vector<int64_t> shape;    // of one shard, in elements; 2 of them where the kind is not kNd
  std::vector<CoreRange> cores;  // of a tensor in DRAM, bank b is [b, 0]
  CoreOrder orientation = CoreOrder::kRowMajor;             // in which cores take shards
  Distribution distribution = Distribution::kRoundRobin1D;  // of kNd; the others have their own
};

/*! A tensor in pages, for its sharding. */
struct PagedTensor {
  std::vector<int64_t> padded_shape;  // elements
  int64_t page_height, page_width;    // elements
  bool is_tiled;                      // else pages are rows
};

/*!
 * Shapes in pages are squeezed: dimensions that shards do not cut are one with those before them.
 * Shards, and pages within a shard, are numbered along the last dimension first.
 * Source of the rules: BufferDistributionSpec and TensorSpec of tt-metal.
 */
struct Sharding {
  ShardKind kind;
  Distribution distribution;
  CoreOrder orientation;
  std::vector<int64_t> tensor_pages;
  std::vector<int64_t> shard_pages;
  std::vector<int64_t> shard_grid;  // shards along each dimension; the last ones may be partial
  std::vector<CoreCoord> cores;     // of each bank; some may have no shard
  int64_t num_shards;
  int64_t shards_per_core;  // the most that a core has, for which every core reserves memory
  int64_t pages_per_shard;

  int64_t PagesPerCore() const { return CheckedMul(shards_per_core, pages_per_shard); }
};

/*! Where a page lies. */
struct PageSlot {
  int64_t bank;  // an index into the cores
  int64_t slot;  // pages from where the tensor begins there
};

/*!
 * Refuses cores that do not exist, shards that do not fit the tensor's pages, and more shards than
 * the kind allows on those cores. An ND spec that says what a simpler kind says becomes that kind.
 */
Sharding Shard(const ShardSpec& spec, const PagedTensor& tensor, Memory memory,
               const device::Device& device);

/*! \param page One of the tensor's. */
PageSlot LocateInShards(const Sharding& sharding, int64_t page);

/*! The words of an accessor after those that interleaved tensors have too. */
std::vector<int64_t> AccessorWords(const Sharding& sharding, Memory memory,
                                   const device::Device& device);

}  // namespace tt::plan
