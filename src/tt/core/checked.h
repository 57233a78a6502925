// 64-bit integer arithmetic that refuses to overflow.
#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"

namespace tt {

[[noreturn]] inline void ThrowOverflow(int64_t a, const char* op, int64_t b) {
  throw Error(ErrorCode::kOverflow, std::to_string(a) + " " + op + " " + std::to_string(b) +
                                        " does not fit a signed 64-bit integer");
}

inline int64_t CheckedMul(int64_t a, int64_t b) {
  int64_t out;
  if (__builtin_mul_overflow(a, b, &out)) ThrowOverflow(a, "*", b);
  return out;
}

inline int64_t CheckedAdd(int64_t a, int64_t b) {
  int64_t out;
  if (__builtin_add_overflow(a, b, &out)) ThrowOverflow(a, "+", b);
  return out;
}

/*! ceil(a / b) for b > 0, without the overflow of (a + b - 1). */
constexpr int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b > 0); }

/*! floor(a / b) and what it leaves, for b > 0. */
constexpr int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0); }
constexpr int64_t FloorMod(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

constexpr int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }

/*! The smallest multiple of b that is at least a, for a >= 0, b > 0. */
inline int64_t RoundUp(int64_t a, int64_t b) { return CheckedMul(CeilDiv(a, b), b); }

}  // namespace tt
