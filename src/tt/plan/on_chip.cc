#include "plan/on_chip.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <tuple>

#include "core/checked.h"

namespace tt::plan {
namespace {

// Source: CIRCULAR_BUFFER_COMPUTE_WORD_SIZE in tt_metal/api/tt-metalium/circular_buffer_constants.h
// of ttnn 0.81.1.
constexpr int64_t kPageGranularity = 16;
constexpr size_t kMaxListed = 8;

/*! RoundUp that leaves the text of an expression alone where it is a multiple already. */
Int Align(const Int& bytes, int64_t page_size, int64_t alignment) {
  return page_size % alignment == 0 ? bytes : RoundUp(bytes, alignment);
}

std::string WithCommas(int64_t number) {
  std::string out = std::to_string(number);
  for (auto i = static_cast<ptrdiff_t>(out.size()) - 3; i > 0; i -= 3) out.insert(i, ",");
  return out;
}

std::vector<CircularBuffer> MakeAll(const std::vector<OnChipBuffer>& buffers,
                                    device::TileShape tile) {
  std::vector<CircularBuffer> out;
  for (const OnChipBuffer& buffer : buffers) out.push_back(MakeCircularBuffer(buffer, tile));
  return out;
}

/*! A launch that needs more L1 than there is, and what could be changed about it. */
class L1Shortage {
 public:
  L1Shortage(const std::vector<OnChipBuffer>& buffers, device::TileShape tile, int64_t alignment,
             int64_t available, int64_t bytes)
      : buffers_(buffers),
        tile_(tile),
        alignment_(alignment),
        available_(available),
        bytes_(bytes) {}

  std::string Describe() const {
    return WithCommas(bytes_) + " bytes of L1 for circular buffers; expected at most " +
           WithCommas(available_) + "\nlargest: " + Breakdown() + "\nhelp: " + Remedy();
  }

 private:
  struct Change {
    std::string text;
    int64_t bytes;  // that are needed after it
  };

  int64_t BytesOf(const OnChipBuffer& buffer) const {
    return *MakeCircularBuffer(buffer, tile_).bytes.constant();
  }

  int64_t Total(const std::vector<OnChipBuffer>& buffers) const {
    return *BytesOfL1(MakeAll(buffers, tile_), alignment_).constant();
  }

  std::vector<OnChipBuffer> LargestFirst() const {
    std::vector<OnChipBuffer> sorted = buffers_;
    std::ranges::stable_sort(sorted, std::greater(),
                             [&](const OnChipBuffer& b) { return BytesOf(b); });
    return sorted;
  }

  std::string Breakdown() const {
    const std::vector<OnChipBuffer> sorted = LargestFirst();
    std::string out;
    for (size_t i = 0; i < std::min(sorted.size(), kMaxListed); ++i) {
      const CircularBuffer circular = MakeCircularBuffer(sorted[i], tile_);
      const std::string stages =
          sorted[i].num_stages > 1 ? std::to_string(sorted[i].num_stages) + " stages of " : "";
      out += (i == 0 ? "`" : ", `") + sorted[i].name + "` " + WithCommas(BytesOf(sorted[i])) +
             " (" + stages + circular.num_tiles.ToString() + " tiles of " +
             std::to_string(circular.page_size) + ")";
    }
    if (sorted.size() > kMaxListed) {
      out += " and " + std::to_string(sorted.size() - kMaxListed) + " more";
    }
    return out;
  }

  /*! The pipeline's loop with so many stages. */
  Change Shorten(size_t pipeline, int64_t num_stages) const {
    std::vector<OnChipBuffer> changed = buffers_;
    std::string names;
    int64_t before = 1;
    for (OnChipBuffer& buffer : changed) {
      if (buffer.pipeline != pipeline) continue;
      before = std::max(before, buffer.num_stages);
      names += (names.empty() ? "`" : ", `") + buffer.name + "`";
      buffer.num_stages = std::min(buffer.num_stages, num_stages);
    }
    return {"num_stages " + std::to_string(before) + " -> " + std::to_string(num_stages) +
                " of the loop that fills " + names,
            Total(changed)};
  }

  /*! As many stages as fit, or else one, of the loop for which that saves most. */
  std::optional<Change> FewerStages() const {
    std::optional<Change> best;
    for (const OnChipBuffer& buffer : buffers_) {
      if (!buffer.pipeline || buffer.num_stages == 1) continue;
      Change change = Shorten(*buffer.pipeline, MostStages(*buffer.pipeline, buffer.num_stages));
      if (!best || change.bytes < best->bytes) best = std::move(change);
    }
    return best;
  }

  /*! The most stages below a number of them that fit, and 1 where none do. */
  int64_t MostStages(size_t pipeline, int64_t below) const {
    int64_t fitting = 1;
    while (below - fitting > 1) {
      const int64_t middle = fitting + (below - fitting) / 2;
      (Shorten(pipeline, middle).bytes <= available_ ? fitting : below) = middle;
    }
    return fitting;
  }

  /*! The largest buffer in as few parts as fit, up to a limit that a person would still try. */
  std::optional<Change> SmallerBuffer() const {
    constexpr int64_t kMaxParts = 16;
    const OnChipBuffer largest = LargestFirst().front();
    const int64_t bytes = BytesOf(largest);
    for (int64_t parts = 2; parts <= kMaxParts; parts *= 2) {
      const int64_t rest = bytes_ - bytes + CeilDiv(bytes, parts);
      if (rest <= available_) return Change{Part(parts) + " of `" + largest.name + "`", rest};
    }
    return std::nullopt;
  }

  static std::string Part(int64_t parts) {
    return parts == 2 ? "half" : "1/" + std::to_string(parts);
  }

  /*! One change that makes it fit where there is one, and the one that changes least. */
  std::string Remedy() const {
    std::optional<Change> change = FewerStages();
    if (!change || change->bytes > available_) change = SmallerBuffer();
    if (change) {
      return change->text + " saves " + WithCommas(bytes_ - change->bytes) + " bytes and fits";
    }
    int64_t parts = 2;
    while (CeilDiv(bytes_, parts) > available_ && parts < bytes_) parts *= 2;
    return Part(parts) + " of each buffer fits: make the blocks of the kernel smaller";
  }

  const std::vector<OnChipBuffer>& buffers_;
  device::TileShape tile_;
  int64_t alignment_;
  int64_t available_;
  int64_t bytes_;
};

}  // namespace

CircularBuffer MakeCircularBuffer(const OnChipBuffer& buffer, device::TileShape tile) {
  const std::vector<Int>& shape = buffer.shape;
  const size_t rank = shape.size();
  const Int rows = CeilDiv(rank < 2 ? Int(1) : shape[rank - 2], tile.height);
  const Int columns = CeilDiv(rank < 1 ? Int(1) : shape[rank - 1], tile.width);
  Int num_tiles = rows * columns;
  for (size_t i = 0; i + 2 < rank; ++i) num_tiles = shape[i] * num_tiles;
  const int64_t tile_bits = CheckedMul(tile.height * tile.width, buffer.element_bits);
  const int64_t page_size = RoundUp(CeilDiv(tile_bits, 8), kPageGranularity);
  const Int bytes = num_tiles * CheckedMul(page_size, buffer.num_stages);
  return {rows, columns, num_tiles, page_size, bytes};
}

Int BytesOfL1(const std::vector<CircularBuffer>& buffers, int64_t alignment) {
  Int end = 0;
  Int aligned_end = 0;
  for (const CircularBuffer& buffer : buffers) {
    end = aligned_end + buffer.bytes;
    aligned_end = aligned_end + Align(buffer.bytes, buffer.page_size, alignment);
  }
  return end;
}

std::optional<Int> AvailableL1(const device::Device& device, const Int& tensor_bytes) {
  if (!device.l1_size || !device.l1_base) return std::nullopt;
  return Max(device.UsableL1() - tensor_bytes, 0);
}

std::vector<CapacityProblem> CheckCapacity(const std::vector<OnChipBuffer>& buffers,
                                           const Int& tensor_bytes, device::TileShape tile,
                                           const device::Device& device) {
  std::vector<CapacityProblem> problems;
  const auto count = static_cast<int64_t>(buffers.size());
  if (device.circular_buffers && count > *device.circular_buffers) {
    problems.push_back(
        {ErrorCode::kCircularBuffers,
         std::to_string(count) + " circular buffers on a core; expected at most " +
             std::to_string(*device.circular_buffers) + "\nhelp: let " +
             std::to_string(count - *device.circular_buffers) +
             " of the kernel's buffers be used again for others, or split the kernel"});
  }
  const auto left = AvailableL1(device, tensor_bytes);
  if (!left || !device.cb_alignment) return problems;
  const auto available = left->constant();
  const auto bytes = BytesOfL1(MakeAll(buffers, tile), *device.cb_alignment).constant();
  if (bytes && available && *bytes > *available) {
    const L1Shortage shortage(buffers, tile, *device.cb_alignment, *available, *bytes);
    problems.push_back({ErrorCode::kCircularBufferBytes, shortage.Describe()});
  }
  return problems;
}

SubBlock LargestSubBlock(int64_t num_tiles_height, int64_t num_tiles_width, int64_t dst_tiles) {
  SubBlock best = {1, 1};
  const auto rank = [](const SubBlock& block) {
    return std::tuple(block.height * block.width, -std::abs(block.height - block.width),
                      block.height);
  };
  for (int64_t height = 1; height <= dst_tiles; ++height) {
    for (int64_t width = 1; height * width <= dst_tiles; ++width) {
      if (num_tiles_height % height != 0 || num_tiles_width % width != 0) continue;
      const SubBlock block = {height, width};
      if (rank(best) < rank(block)) best = block;
    }
  }
  return best;
}

}  // namespace tt::plan
