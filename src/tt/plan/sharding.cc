#include "plan/sharding.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <string>

#include "core/checked.h"
#include "core/enum_names.h"
#include "core/error.h"
#include "device/coordinates.h"

namespace tt::plan {
namespace {

using Extents = std::vector<int64_t>;

constexpr EnumNames<ShardKind, 4> kShardKinds = {"shard kind",
                                                 ErrorCode::kShardOption,
                                                 {{{ShardKind::kHeight, "height"},
                                                   {ShardKind::kWidth, "width"},
                                                   {ShardKind::kBlock, "block"},
                                                   {ShardKind::kNd, "nd"}}}};
constexpr EnumNames<Distribution, 3> kDistributions = {
    "shard distribution",
    ErrorCode::kShardOption,
    {{{Distribution::kRoundRobin1D, "round_robin_1d"},
      {Distribution::kGrid2D, "grid_2d"},
      {Distribution::kContiguous1D, "contiguous_1d"}}}};

// In the accessor's word of the number of banks.
// Source: the words of a CONTIGUOUS_1D tensor of ttnn 0.81.1.
constexpr int64_t kContiguousBit = int64_t{1} << 31;

int64_t Product(const Extents& extents) {
  return std::accumulate(extents.begin(), extents.end(), int64_t{1}, CheckedMul);
}

std::string Text(const Extents& extents) {
  std::string out;
  for (int64_t extent : extents) out += (out.empty() ? "" : ", ") + std::to_string(extent);
  return "[" + out + "]";
}

std::string Text(int64_t number) { return std::to_string(number); }

/*! The tensor as one matrix of elements: its leading dimensions are part of the height. */
struct Matrix {
  int64_t height, width;
};

Matrix AsMatrix(const Extents& shape) {
  return {Product({shape.begin(), shape.end() - 1}), shape.back()};
}

std::vector<CoreCoord> CoresOf(const std::vector<CoreRange>& ranges, CoreOrder order) {
  std::vector<CoreCoord> out;
  for (const CoreRange& range : ranges) {
    for (int64_t i = 0; i < range.size(); ++i) {
      out.push_back(order == CoreOrder::kRowMajor
                        ? CoreCoord{range.x0 + i % range.width(), range.y0 + i / range.width()}
                        : CoreCoord{range.x0 + i / range.height(), range.y0 + i % range.height()});
    }
  }
  return out;
}

void CheckCores(const ShardSpec& spec, Memory memory, const device::Device& device) {
  const CoreSet cores(spec.cores);
  for (const CoreRange& range : cores.ranges()) {
    if (memory == Memory::kL1) {
      CheckOnDevice(range, device);
    } else if (range.y1 != 0 || range.x1 >= device.Known(&device::Device::dram_banks)) {
      throw Error(ErrorCode::kShardBanks,
                  "shards in DRAM on [" + Text(range.x0) + ", " + Text(range.y0) + ", " +
                      Text(range.x1) + ", " + Text(range.y1) +
                      "]; expected banks [b, 0] with b below " +
                      Text(device.Known(&device::Device::dram_banks)) + " on " + device.name);
    }
  }
}

void CheckShape(const ShardSpec& spec, const PagedTensor& tensor) {
  const size_t rank = spec.shape.size(), tensor_rank = tensor.padded_shape.size();
  const size_t least = spec.kind != ShardKind::kNd || tensor.is_tiled ? 2 : 1;
  const size_t most = spec.kind != ShardKind::kNd ? 2 : tensor_rank;
  if (rank < least || rank > most) {
    throw Error(ErrorCode::kShardShape, "the shard shape " + Text(spec.shape) + " has " +
                                            Text(rank) + " dimensions; expected " + Text(least) +
                                            (least == most ? "" : " to " + Text(most)) +
                                            " for this tensor of " + Text(tensor_rank));
  }
  if (std::ranges::any_of(spec.shape, [](int64_t extent) { return extent < 1; })) {
    throw Error(ErrorCode::kShardShape,
                "the shard shape is " + Text(spec.shape) + "; expected at least 1 everywhere");
  }
}

/*! Refuses a shard that is no whole number of pages. */
void CheckWholePages(const ShardSpec& spec, const PagedTensor& tensor) {
  const int64_t width = spec.shape.back();
  const int64_t height = spec.shape.size() < 2 ? 1 : *(spec.shape.end() - 2);
  if (height % tensor.page_height == 0 && width % tensor.page_width == 0) return;
  throw Error(ErrorCode::kShardTile, "the shard shape " + Text(spec.shape) +
                                         " is no whole number of " + Text(tensor.page_height) +
                                         "x" + Text(tensor.page_width) + " tiles");
}

/*! Shards of a matrix, down and across. */
struct ShardCount {
  int64_t rows, columns;
};

ShardCount CountShards(const Extents& shard, const Matrix& matrix) {
  return {CeilDiv(matrix.height, shard.size() < 2 ? 1 : *(shard.end() - 2)),
          CeilDiv(matrix.width, shard.back())};
}

/*! The part of a core rectangle that a grid of shards fills. */
CoreRange FilledPart(const ShardSpec& spec, ShardCount count) {
  if (spec.cores.size() != 1) {
    throw Error(ErrorCode::kShardRectangle, "a grid of shards on " + Text(spec.cores.size()) +
                                                " core rectangles; expected exactly one");
  }
  const CoreRange& cores = spec.cores.front();
  const bool by_rows = spec.orientation == CoreOrder::kRowMajor;
  const int64_t across = by_rows ? count.columns : count.rows;
  const int64_t down = by_rows ? count.rows : count.columns;
  const auto refuse = [&](const char* along, int64_t shards, const char* lines, int64_t present) {
    throw Error(ErrorCode::kShardCount, Text(shards) + " shards along the " + along +
                                            " of the tensor do not fit " + Text(present) + " " +
                                            lines + " of cores in " + (by_rows ? "row" : "column") +
                                            "-major orientation");
  };
  if (across > cores.width())
    refuse(by_rows ? "width" : "height", across, "columns", cores.width());
  if (down > cores.height()) refuse(by_rows ? "height" : "width", down, "rows", cores.height());
  return {cores.x0, cores.y0, cores.x0 + across - 1, cores.y0 + down - 1};
}

/*! Refuses a height- or width-sharded tensor whose shards leave something out or are too many. */
void CheckLine(const char* along, const char* across, int64_t shard, int64_t tensor,
               int64_t num_shards, int64_t num_cores) {
  if (shard != tensor) {
    throw Error(ErrorCode::kShardMatch, std::string("shard ") + across + " " + Text(shard) +
                                            " must match the padded " + across + " " +
                                            Text(tensor) + " of a " + along + "-sharded tensor");
  }
  if (num_shards > num_cores) {
    throw Error(ErrorCode::kShardCount, Text(num_shards) + " shards along the " + along +
                                            " of the tensor do not fit " + Text(num_cores) +
                                            " cores");
  }
}

std::vector<CoreRange> RangesFor(const ShardSpec& spec, const Matrix& matrix) {
  const ShardCount count = CountShards(spec.shape, matrix);
  const int64_t num_cores = CoreSet(spec.cores).size();
  switch (spec.kind) {
    case ShardKind::kHeight:
      CheckLine("height", "width", spec.shape[1], matrix.width, count.rows, num_cores);
      return spec.cores;
    case ShardKind::kWidth:
      CheckLine("width", "height", spec.shape[0], matrix.height, count.columns, num_cores);
      return spec.cores;
    case ShardKind::kBlock: return {FilledPart(spec, count)};
    case ShardKind::kNd: break;
  }
  if (spec.distribution != Distribution::kGrid2D) return spec.cores;
  if (spec.shape.size() != 2) {
    throw Error(ErrorCode::kShardGrid2D, "grid_2d is for shards of 2 dimensions; found " +
                                             Text(spec.shape.size()) + " in " + Text(spec.shape));
  }
  return {FilledPart(spec, count)};
}

Extents InPages(Extents shape, const PagedTensor& tensor) {
  shape.back() = CeilDiv(shape.back(), tensor.page_width);
  if (shape.size() >= 2) {
    int64_t& height = *(shape.end() - 2);
    height = CeilDiv(height, tensor.page_height);
  }
  return shape;
}

/*!
 * Joins dimensions, from the last one on: with a dimension that joins it, shards are cut out of the
 * pages as without. A dimension joins the one after it where shards span all that came since the
 * last one that did not join, or are 1 here and divide the one after it. Dimensions that the shard
 * has not join its first one.
 * Source: squeeze_shape_ranks of tt-metal's BufferDistributionSpec; the words of the yardstick.
 */
void Squeeze(Extents* tensor, Extents* shard) {
  const int64_t tensor_pages = Product(*tensor), shard_pages = Product(*shard);
  Extents tensor_out, shard_out;
  bool spanned = false, divides = false;
  int64_t tensor_seen = 1, shard_seen = 1;
  const size_t rank = tensor->size();
  size_t taken = 0;
  while (taken < shard->size() &&
         (tensor_seen != tensor_pages || shard_seen != shard_pages || taken == 0)) {
    const int64_t pages = (*tensor)[rank - 1 - taken];
    const int64_t part = (*shard)[shard->size() - 1 - taken];
    if (taken > 0 && (spanned || (part == 1 && divides))) {
      tensor_out.back() *= pages;
      shard_out.back() *= part;
    } else {
      tensor_out.push_back(pages);
      shard_out.push_back(part);
      spanned = true;
    }
    spanned = spanned && pages == part;
    divides = pages % part == 0;
    tensor_seen *= pages;
    shard_seen *= part;
    ++taken;
  }
  for (; taken < rank; ++taken) tensor_out.back() *= (*tensor)[rank - 1 - taken];
  std::ranges::reverse(tensor_out);
  std::ranges::reverse(shard_out);
  *tensor = std::move(tensor_out);
  *shard = std::move(shard_out);
}

/*!
 * An ND shard as the matrix of a simpler kind; none where it is cut along more dimensions.
 * Source: TensorSpec::populate_legacy_shard_spec_from_nd of tt-metal.
 */
Extents AsMatrixShard(const Extents& shard, const Extents& tensor) {
  Extents out = {1, shard.back()};
  int64_t seen = tensor.back();
  for (size_t i = 2; i <= shard.size(); ++i) {
    const int64_t extent = tensor[tensor.size() - i], part = shard[shard.size() - i];
    seen *= extent;
    out[0] *= part;
    if (extent == part) continue;
    if (Product(out) != Product(shard)) return {};
    if (i == shard.size() || extent % part == 0 || seen == Product(tensor)) break;
    return {};
  }
  return out;
}

/*! The kind that an ND-sharded tensor has in the end. */
ShardKind KindOf(const ShardSpec& spec, const PagedTensor& tensor) {
  const Extents shard = AsMatrixShard(spec.shape, tensor.padded_shape);
  if (shard.empty() || spec.distribution == Distribution::kContiguous1D) return ShardKind::kNd;
  const Matrix matrix = AsMatrix(tensor.padded_shape);
  ShardCount count = CountShards(shard, matrix);
  if (CheckedMul(count.rows, count.columns) > CoreSet(spec.cores).size()) return ShardKind::kNd;
  const bool in_turn = spec.distribution == Distribution::kRoundRobin1D;
  if (in_turn && shard[0] == matrix.height) return ShardKind::kWidth;
  if (in_turn && shard[1] == matrix.width) return ShardKind::kHeight;
  if (spec.cores.size() != 1) return ShardKind::kNd;
  if (spec.orientation == CoreOrder::kColumnMajor) std::swap(count.rows, count.columns);
  const CoreRange& cores = spec.cores.front();
  if (in_turn && count.columns != cores.width()) return ShardKind::kNd;
  // tt-metal looks at the width only; but cores that take shards in turn column by column fill a
  // grid of them only where the height matches.
  const bool down_columns = in_turn && spec.orientation == CoreOrder::kColumnMajor;
  if (down_columns && count.rows != cores.height()) return ShardKind::kNd;
  const bool fits = count.columns <= cores.width() && count.rows <= cores.height();
  return fits ? ShardKind::kBlock : ShardKind::kNd;
}

void CheckEvenShares(const Sharding& sharding) {
  if (sharding.distribution != Distribution::kContiguous1D) return;
  const int64_t num_cores = static_cast<int64_t>(sharding.cores.size());
  if (sharding.num_shards % num_cores == 0) return;
  throw Error(ErrorCode::kShardShares, "contiguous_1d gives all cores equally many shards; found " +
                                           Text(sharding.num_shards) + " shards and " +
                                           Text(num_cores) + " cores");
}

}  // namespace

ShardKind ParseShardKind(std::string_view name) { return kShardKinds.Parse(name); }
Distribution ParseDistribution(std::string_view name) { return kDistributions.Parse(name); }
std::string_view ToString(ShardKind kind) { return kShardKinds.NameOf(kind); }
std::string_view ToString(Distribution distribution) { return kDistributions.NameOf(distribution); }

Sharding Shard(const ShardSpec& spec, const PagedTensor& tensor, Memory memory,
               const device::Device& device) {
  CheckCores(spec, memory, device);
  CheckShape(spec, tensor);
  CheckWholePages(spec, tensor);
  const std::vector<CoreRange> ranges = RangesFor(spec, AsMatrix(tensor.padded_shape));

  const bool is_nd = spec.kind == ShardKind::kNd;
  Sharding out = {};
  out.kind = is_nd ? KindOf(spec, tensor) : spec.kind;
  out.orientation = spec.orientation;
  out.distribution = is_nd                            ? spec.distribution
                     : spec.kind == ShardKind::kBlock ? Distribution::kGrid2D
                                                      : Distribution::kRoundRobin1D;
  out.tensor_pages = InPages(tensor.padded_shape, tensor);
  out.shard_pages = InPages(spec.shape, tensor);
  Squeeze(&out.tensor_pages, &out.shard_pages);
  for (size_t i = 0; i < out.tensor_pages.size(); ++i) {
    out.shard_grid.push_back(CeilDiv(out.tensor_pages[i], out.shard_pages[i]));
  }
  out.cores = CoresOf(ranges, spec.orientation);
  out.num_shards = Product(out.shard_grid);
  CheckEvenShares(out);
  out.shards_per_core = CeilDiv(out.num_shards, static_cast<int64_t>(out.cores.size()));
  out.pages_per_shard = Product(out.shard_pages);
  return out;
}

PageSlot LocateInShards(const Sharding& sharding, int64_t page) {
  int64_t shard = 0, within = 0, shard_step = 1, page_step = 1;
  for (size_t i = sharding.tensor_pages.size(); i-- > 0;) {
    const int64_t at = page % sharding.tensor_pages[i];
    page /= sharding.tensor_pages[i];
    shard += at / sharding.shard_pages[i] * shard_step;
    within += at % sharding.shard_pages[i] * page_step;
    shard_step *= sharding.shard_grid[i];
    page_step *= sharding.shard_pages[i];
  }
  const int64_t num_cores = static_cast<int64_t>(sharding.cores.size());
  const bool contiguous = sharding.distribution == Distribution::kContiguous1D;
  const int64_t bank = contiguous ? shard / sharding.shards_per_core : shard % num_cores;
  const int64_t turn = contiguous ? shard % sharding.shards_per_core : shard / num_cores;
  return {bank, turn * sharding.pages_per_shard + within};
}

std::vector<int64_t> AccessorWords(const Sharding& sharding, Memory memory,
                                   const device::Device& device) {
  const bool contiguous = sharding.distribution == Distribution::kContiguous1D;
  const int64_t num_banks = static_cast<int64_t>(sharding.cores.size());
  std::vector<int64_t> out = {static_cast<int64_t>(sharding.tensor_pages.size()),
                              num_banks | (contiguous ? kContiguousBit : 0)};
  out.insert(out.end(), sharding.tensor_pages.begin(), sharding.tensor_pages.end());
  out.insert(out.end(), sharding.shard_pages.begin(), sharding.shard_pages.end());
  // Two coordinates of 16 bits in a word, the first one in the low half. A DRAM bank is its x.
  const auto coordinate = [&](size_t bank) -> int64_t {
    if (bank >= sharding.cores.size()) return 0;
    const CoreCoord core = memory == Memory::kDram
                               ? sharding.cores[bank]
                               : device::TranslatedCoord(sharding.cores[bank], device);
    return core.x << 8 | core.y;
  };
  for (size_t bank = 0; bank < sharding.cores.size(); bank += 2) {
    out.push_back(coordinate(bank + 1) << 16 | coordinate(bank));
  }
  return out;
}

}  // namespace tt::plan
