#include "plan/tilize.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/checked.h"
#include "core/error.h"
#include "device/data_format.h"
#include "plan/block_float.h"

namespace tt::plan {
namespace {

// Source: the face shapes of tt-metal's tiles (tt_metal/impl/data_format/tile.cpp).
constexpr int64_t kFaceSide = 16;

/*! The tensor as a grid of pages on each of its matrices; the last ones may reach beyond it. */
struct Pages {
  int64_t num_matrices, rows, columns;  // elements of a matrix
  int64_t height, width;                // elements of a page
  int64_t face_height;                  // of its parts; their width is that of a run
  int64_t down, across;                 // pages of a matrix

  bool AreWhole() const { return rows % height == 0 && columns % width == 0; }
};

void Expect(const BankedTensor& tensor, const char* what, int64_t stated, int64_t derived) {
  if (stated == derived) return;
  throw Error(ErrorCode::kBufferNumbers, "buffer `" + tensor.name + "`: " + what + " is " +
                                             std::to_string(stated) + "; the others give " +
                                             std::to_string(derived));
}

void ExpectAtLeast(const BankedTensor& tensor, const char* what, int64_t stated, int64_t least) {
  if (stated >= least) return;
  throw Error(ErrorCode::kBufferNumbers, "buffer `" + tensor.name + "`: " + what + " is " +
                                             std::to_string(stated) + "; expected at least " +
                                             std::to_string(least));
}

/*! The product of numbers that are all at least 1. */
int64_t Product(const BankedTensor& tensor, const char* what, std::span<const int64_t> numbers) {
  int64_t out = 1;
  for (int64_t number : numbers) {
    ExpectAtLeast(tensor, what, number, 1);
    out = CheckedMul(out, number);
  }
  return out;
}

Pages CutIntoPages(const BankedTensor& tensor) {
  const bool is_tiled = tensor.page_layout == PageLayout::kTile;
  const auto [height, width] = tensor.page;
  if (is_tiled) device::CheckTileShape(tensor.page);
  if (!is_tiled) Expect(tensor, "height of a row", height, 1);
  ExpectAtLeast(tensor, "width of a page", width, 1);
  Product(tensor, "extent of its shape", tensor.shape);

  const std::span<const int64_t> shape = tensor.shape;
  const int64_t columns = shape.empty() ? 1 : shape.back();
  // Rows are padded along the last dimension alone, so all that come before it are one.
  const size_t inner = is_tiled ? std::min<size_t>(shape.size(), 2) : shape.size();
  const auto outer = shape.first(shape.size() - inner);
  const auto rest = shape.empty() ? shape : shape.subspan(outer.size(), inner - 1);
  const int64_t rows = Product(tensor, "", rest);
  return {.num_matrices = Product(tensor, "", outer),
          .rows = rows,
          .columns = columns,
          .height = height,
          .width = width,
          .face_height = std::min(height, kFaceSide),
          .down = CeilDiv(rows, height),
          .across = CeilDiv(columns, width)};
}

/*! Of the array. */
int64_t ElementBytes(const BankedTensor& tensor) {
  return device::FormatOf(tensor.dtype).element_bits / 8;
}

/*! Pages for which every bank reserves memory. */
int64_t PagesPerBank(const BankedTensor& tensor) {
  if (!tensor.sharding) return CeilDiv(tensor.num_pages, tensor.num_banks);
  const Sharding& sharding = *tensor.sharding;
  const size_t rank = sharding.tensor_pages.size();
  Expect(tensor, "number of cores of its shards", sharding.cores.size(), tensor.num_banks);
  Expect(tensor, "rank of shard_pages", sharding.shard_pages.size(), rank);
  Expect(tensor, "rank of shard_grid", sharding.shard_grid.size(), rank);
  Expect(tensor, "product of tensor_pages",
         Product(tensor, "extent of tensor_pages", sharding.tensor_pages), tensor.num_pages);
  Expect(tensor, "pages_per_shard", sharding.pages_per_shard,
         Product(tensor, "extent of shard_pages", sharding.shard_pages));
  for (size_t i = 0; i < rank; ++i) {
    Expect(tensor, "extent of shard_grid", sharding.shard_grid[i],
           CeilDiv(sharding.tensor_pages[i], sharding.shard_pages[i]));
  }
  Expect(tensor, "num_shards", sharding.num_shards,
         Product(tensor, "extent of shard_grid", sharding.shard_grid));
  Expect(tensor, "shards_per_core", sharding.shards_per_core,
         CeilDiv(sharding.num_shards, tensor.num_banks));
  return sharding.PagesPerCore();
}

int64_t PageBytes(const BankedTensor& tensor, const device::DataFormat& format) {
  const bool is_tiled = tensor.page_layout == PageLayout::kTile;
  if (is_tiled ? !format.in_tiles : format.is_block) {
    throw Error(ErrorCode::kBufferNumbers,
                "buffer `" + tensor.name + "`: " + std::string(format.name) +
                    " is never stored in pages that are " + (is_tiled ? "tiles" : "rows"));
  }
  return is_tiled ? device::TileBytes(format, tensor.page)
                  : CheckedMul(tensor.page.width, format.element_bits / 8);
}

/*! Refuses numbers that contradict each other. */
Pages Check(const BankedTensor& tensor) {
  const device::DataFormat& format = device::FormatOf(tensor.dtype, tensor.data_format);
  const Pages pages = CutIntoPages(tensor);
  Expect(tensor, "page_size_bytes", tensor.page_size, PageBytes(tensor, format));
  ExpectAtLeast(tensor, "aligned_page_size_bytes", tensor.aligned_page_size, tensor.page_size);
  Expect(tensor, "num_pages", tensor.num_pages,
         CheckedMul(CheckedMul(pages.num_matrices, pages.down), pages.across));
  ExpectAtLeast(tensor, "num_banks", tensor.num_banks, 1);
  Expect(tensor, "bytes_per_bank", tensor.bytes_per_bank,
         CheckedMul(PagesPerBank(tensor), tensor.aligned_page_size));
  (void)CheckedMul(tensor.num_banks, tensor.bytes_per_bank);
  (void)ArrayBytes(tensor);
  return pages;
}

/*! Refuses memory that is not the tensor's. */
void CheckMemory(const BankedTensor& tensor, size_t array_bytes, size_t bank_bytes) {
  Expect(tensor, "number of bytes of the array", array_bytes, ArrayBytes(tensor));
  Expect(tensor, "number of bytes of all banks", bank_bytes,
         tensor.num_banks * tensor.bytes_per_bank);
}

uint32_t Load32(const uint8_t* from) {
  uint32_t out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

uint16_t Load16(const uint8_t* from) {
  uint16_t out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

void Store(uint32_t value, uint8_t* to) { std::memcpy(to, &value, sizeof value); }
void Store(uint16_t value, uint8_t* to) { std::memcpy(to, &value, sizeof value); }

// What an array has, as the bits of a float32.
struct Float32 {
  static constexpr int64_t kBytes = 4;
  static uint32_t Read(const uint8_t* from) { return Load32(from); }
  static void Write(uint32_t bits, uint8_t* to) { Store(bits, to); }
};

struct Bfloat16 {
  static constexpr int64_t kBytes = 2;
  static uint32_t Read(const uint8_t* from) { return uint32_t{Load16(from)} << 16; }
  /*!
   * To nearest, ties to even. All NaN become one of them, as they might round to an infinity.
   * Source: bfloat16.cpp of tt-metal.
   */
  static void Write(uint32_t bits, uint8_t* to) {
    const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
    Store(static_cast<uint16_t>(is_nan ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16), to);
  }
};

// A codec moves runs of elements, each in one piece of an array, to and from a page. The runs of a
// page are numbered in the order in which they follow each other there.

/*! Elements whose bits stay as they are. */
template <int64_t kBytes>
struct SameBits {
  static constexpr int64_t kArrayBytes = kBytes;

  void Encode(const uint8_t* array, int64_t count, int64_t run, uint8_t* page) const {
    std::memcpy(page + run * count * kBytes, array, count * kBytes);
  }
  void Decode(const uint8_t* page, int64_t run, int64_t count, uint8_t* array) const {
    std::memcpy(array, page + run * count * kBytes, count * kBytes);
  }
};

/*! Floating elements that are stored as another floating type. */
template <class Array, class Stored>
struct Cast {
  static constexpr int64_t kArrayBytes = Array::kBytes;

  void Encode(const uint8_t* array, int64_t count, int64_t run, uint8_t* page) const {
    Move<Array, Stored>(array, page + run * count * Stored::kBytes, count);
  }
  void Decode(const uint8_t* page, int64_t run, int64_t count, uint8_t* array) const {
    Move<Stored, Array>(page + run * count * Stored::kBytes, array, count);
  }

 private:
  template <class From, class To>
  static void Move(const uint8_t* from, uint8_t* to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      To::Write(From::Read(from + i * From::kBytes), to + i * To::kBytes);
    }
  }
};

/*! Runs of 16 elements that share an exponent. The exponents of a tile come before its elements. */
template <class Array, int kMagnitudeBits>
struct Block {
  static constexpr int64_t kArrayBytes = Array::kBytes;
  int64_t exponent_bytes;

  void Encode(const uint8_t* array, int64_t, int64_t run, uint8_t* page) const {
    uint32_t bits[kBlockElements], shared = 0;
    for (int64_t i = 0; i < kBlockElements; ++i) {
      bits[i] = Array::Read(array + i * kArrayBytes);
      shared = std::max(shared, bits[i] >> 23 & 0xff);
    }
    page[run] = static_cast<uint8_t>(shared);
    uint8_t* elements = page + exponent_bytes + run * kRunBytes;
    for (int64_t byte = 0; byte < kRunBytes; ++byte) {
      uint32_t value = 0;
      for (int64_t i = 0; i < kPerByte; ++i) {
        value |= ToBlock<kMagnitudeBits>(bits[byte * kPerByte + i], shared) << i * kElementBits;
      }
      elements[byte] = static_cast<uint8_t>(value);
    }
  }
  void Decode(const uint8_t* page, int64_t run, int64_t, uint8_t* array) const {
    const uint8_t* elements = page + exponent_bytes + run * kRunBytes;
    for (int64_t i = 0; i < kBlockElements; ++i) {
      const uint32_t element = elements[i / kPerByte] >> i % kPerByte * kElementBits;
      const uint32_t mask = (1u << kElementBits) - 1;
      Array::Write(FromBlock<kMagnitudeBits>(element & mask, page[run]), array + i * kArrayBytes);
    }
  }

 private:
  static constexpr int64_t kElementBits = kMagnitudeBits + 1;
  static constexpr int64_t kPerByte = 8 / kElementBits;  // the low bits have the first one
  static constexpr int64_t kRunBytes = kBlockElements / kPerByte;
};

/*!
 * Calls with each run of a page and its offset in elements. They follow each other as in the array:
 * a row of 32 elements of 16 bits is one line of the cache, and is fetched once.
 */
void ForEachRun(const Pages& pages, int64_t run_length, int64_t stride, auto visit) {
  int64_t first = 0;
  for (int64_t top = 0; top < pages.height; top += pages.face_height) {
    for (int64_t row = 0; row < pages.face_height; ++row) {
      int64_t run = first + row;
      for (int64_t left = 0; left < pages.width; left += run_length) {
        visit(run, (top + row) * stride + left);
        run += pages.face_height;
      }
    }
    first += pages.face_height * (pages.width / run_length);
  }
}

/*! The part of a tensor that a page has. */
struct Part {
  int64_t page;
  int64_t first;          // offset of its first element in the array, in elements
  int64_t rows, columns;  // fewer than the page's where it reaches beyond the tensor

  bool IsWhole(const Pages& pages) const { return rows == pages.height && columns == pages.width; }
};

void ForEachPage(const Pages& pages, auto visit) {
  int64_t page = 0;
  for (int64_t matrix = 0; matrix < pages.num_matrices; ++matrix) {
    for (int64_t top = 0; top < pages.rows; top += pages.height) {
      for (int64_t left = 0; left < pages.columns; left += pages.width) {
        visit(Part{.page = page++,
                   .first = (matrix * pages.rows + top) * pages.columns + left,
                   .rows = std::min(pages.height, pages.rows - top),
                   .columns = std::min(pages.width, pages.columns - left)});
      }
    }
  }
}

/*! Moves rows of bytes from one place to another. */
void CopyRows(const uint8_t* from, int64_t from_stride, uint8_t* to, int64_t to_stride,
              int64_t rows, int64_t bytes) {
  for (int64_t row = 0; row < rows; ++row) {
    std::memcpy(to + row * to_stride, from + row * from_stride, bytes);
  }
}

int64_t OffsetOf(const BankedTensor& tensor, int64_t page) {
  const PageSlot at = SlotOfPage(tensor.sharding, tensor.num_banks, page);
  return at.bank * tensor.bytes_per_bank + at.slot * tensor.aligned_page_size;
}

/*! An array's worth of one page, every element of it the given one. */
std::vector<uint8_t> FilledPage(const Pages& pages, std::span<const uint8_t> element) {
  std::vector<uint8_t> out;
  const int64_t count = CheckedMul(pages.height, pages.width);
  for (int64_t i = 0; i < count; ++i) out.insert(out.end(), element.begin(), element.end());
  return out;
}

/*!
 * \param run_length Elements of a run: a constant where it is known when this is compiled, as a copy
 *        of a known length is much cheaper.
 */
template <class Codec>
void Write(const BankedTensor& tensor, const Pages& pages, const Codec& codec, auto run_length,
           const uint8_t* array, std::span<const uint8_t> padding, uint8_t* banks) {
  constexpr int64_t kBytes = Codec::kArrayBytes;
  const std::vector<uint8_t> filled =
      pages.AreWhole() ? std::vector<uint8_t>() : FilledPage(pages, padding);
  std::vector<uint8_t> scratch;
  ForEachPage(pages, [&](const Part& part) {
    const uint8_t* from = array + part.first * kBytes;
    int64_t stride = pages.columns;
    if (!part.IsWhole(pages)) {
      scratch = filled;
      CopyRows(from, stride * kBytes, scratch.data(), pages.width * kBytes, part.rows,
               part.columns * kBytes);
      from = scratch.data();
      stride = pages.width;
    }
    uint8_t* page = banks + OffsetOf(tensor, part.page);
    ForEachRun(pages, run_length, stride, [&](int64_t run, int64_t at) {
      codec.Encode(from + at * kBytes, run_length, run, page);
    });
  });
}

template <class Codec>
void Read(const BankedTensor& tensor, const Pages& pages, const Codec& codec, auto run_length,
          const uint8_t* banks, uint8_t* array) {
  constexpr int64_t kBytes = Codec::kArrayBytes;
  std::vector<uint8_t> scratch;
  if (!pages.AreWhole()) scratch.resize(pages.height * pages.width * kBytes);
  ForEachPage(pages, [&](const Part& part) {
    const bool is_whole = part.IsWhole(pages);
    uint8_t* to = array + part.first * kBytes;
    uint8_t* target = is_whole ? to : scratch.data();
    const uint8_t* page = banks + OffsetOf(tensor, part.page);
    ForEachRun(pages, run_length, is_whole ? pages.columns : pages.width,
               [&](int64_t run, int64_t at) {
                 codec.Decode(page, run, run_length, target + at * kBytes);
               });
    if (is_whole) return;
    CopyRows(target, pages.width * kBytes, to, pages.columns * kBytes, part.rows,
             part.columns * kBytes);
  });
}

// Of a run in a tile; known when this is compiled, as a copy of a known length is much cheaper.
constexpr std::integral_constant<int64_t, kFaceSide> kFaceRun = {};

/*! Calls with a codec that rows have too, and the length of a run in elements. */
void WithRunLength(const BankedTensor& tensor, const auto& codec, auto visit) {
  if (tensor.page_layout == PageLayout::kTile) return visit(codec, kFaceRun);
  visit(codec, tensor.page.width);
}

/*! Calls with the codec of floats that are stored in another floating format. */
template <class Array, class Other>
void WithFloatCodec(const BankedTensor& tensor, const device::DataFormat& format, auto visit) {
  if (!format.is_block) return WithRunLength(tensor, Cast<Array, Other>{}, visit);
  const int64_t exponents = device::ExponentBytes(format, tensor.page);
  if (format.element_bits == 8) return visit(Block<Array, 7>{exponents}, kFaceRun);
  visit(Block<Array, 3>{exponents}, kFaceRun);
}

/*! Calls with the codec between an array and the banks, and the length of a run in elements. */
void WithCodec(const BankedTensor& tensor, auto visit) {
  const device::DataFormat& own = device::FormatOf(tensor.dtype);
  const device::DataFormat& format = device::FormatOf(tensor.dtype, tensor.data_format);
  if (&format != &own) {
    if (own.name == "Float32") return WithFloatCodec<Float32, Bfloat16>(tensor, format, visit);
    if (own.name == "Float16_b") return WithFloatCodec<Bfloat16, Float32>(tensor, format, visit);
    throw Error(ErrorCode::kInternal, tensor.dtype + " is not read as " + std::string(format.name));
  }
  switch (format.element_bits) {
    case 8: return WithRunLength(tensor, SameBits<1>{}, visit);
    case 16: return WithRunLength(tensor, SameBits<2>{}, visit);
    default: return WithRunLength(tensor, SameBits<4>{}, visit);
  }
}

}  // namespace

void CheckBanks(const BankedTensor& tensor) { Check(tensor); }

int64_t ArrayBytes(const BankedTensor& tensor) {
  return CheckedMul(Product(tensor, "extent of its shape", tensor.shape), ElementBytes(tensor));
}

void Tilize(const BankedTensor& tensor, std::span<const uint8_t> array,
            std::span<const uint8_t> padding, std::span<uint8_t> banks) {
  const Pages pages = Check(tensor);
  CheckMemory(tensor, array.size(), banks.size());
  if (!pages.AreWhole()) {
    Expect(tensor, "number of bytes of the padding", padding.size(), ElementBytes(tensor));
  }
  WithCodec(tensor, [&](const auto& codec, auto run_length) {
    Write(tensor, pages, codec, run_length, array.data(), padding, banks.data());
  });
}

void Untilize(const BankedTensor& tensor, std::span<const uint8_t> banks,
              std::span<uint8_t> array) {
  const Pages pages = Check(tensor);
  CheckMemory(tensor, array.size(), banks.size());
  WithCodec(tensor, [&](const auto& codec, auto run_length) {
    Read(tensor, pages, codec, run_length, banks.data(), array.data());
  });
}

}  // namespace tt::plan
