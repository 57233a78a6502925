// Numbers that share an exponent: rows of 16 elements in the formats Bfp8_b and Bfp4_b.
//
// A row has one exponent byte, the largest of its elements' float32 exponents, and for each element
// a sign and a magnitude of 7 or 3 bits whose highest one is worth 2 to that exponent. What an
// element has below the magnitude's last bit is cut to the bits of a float32 mantissa and then
// rounded to nearest, ties to even; what rounds up beyond the magnitude stays at the largest one.
// A negative zero and numbers below float32's normal range become 0. Infinities and NaN have no
// encoding of their own: with the exponent 255 their magnitude is taken as it is.
//
// Source of the rules: convert_u32_to_bfp, convert_bfp_to_u32 and the vectorised forms of both in
// tt_metal/impl/data_format of tt-metal; pack_bfp8, pack_bfp4 and their inverses as executed in the
// ttnn 0.81.1 wheel.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace tt::plan {

constexpr int64_t kBlockElements = 16;

/*! \param shared At least the exponent of the float32 with these bits. */
template <int kMagnitudeBits>
constexpr uint32_t ToBlock(uint32_t bits, uint32_t shared) {
  constexpr int kShift = 24 - kMagnitudeBits;
  constexpr uint32_t kHalf = 1u << (kShift - 1), kLargest = (1u << kMagnitudeBits) - 1;
  const uint32_t exponent = bits >> 23 & 0xff;
  if (exponent == 0) return 0;
  // From 24 on nothing is left of the mantissa; a shift by 32 or more would be undefined.
  const uint32_t mantissa = (bits & 0x7fffff) | 0x800000;
  const uint32_t aligned = mantissa >> std::min(shared - exponent, 24u);
  const uint32_t is_odd = aligned >> kShift & 1;
  const uint32_t magnitude = std::min((aligned + kHalf - 1 + is_odd) >> kShift, kLargest);
  return magnitude == 0 ? 0 : magnitude | bits >> 31 << kMagnitudeBits;
}

/*! The bits of a float32. */
template <int kMagnitudeBits>
constexpr uint32_t FromBlock(uint32_t element, uint32_t shared) {
  const uint32_t sign = element >> kMagnitudeBits << 31;
  const uint32_t magnitude = element & ((1u << kMagnitudeBits) - 1);
  if (magnitude == 0) return sign;
  const uint32_t below = std::countl_zero(magnitude << (32 - kMagnitudeBits));
  if (below > shared) return 0;
  const uint32_t mantissa = magnitude << (below + 24 - kMagnitudeBits) & 0x7fffff;
  return sign | (shared - below) << 23 | mantissa;
}

}  // namespace tt::plan
