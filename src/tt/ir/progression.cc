#include "ir/progression.h"

#include <numeric>

#include "core/checked.h"

namespace tt::ir {
namespace {

int64_t FloorRemainder(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

Bound Add(Bound a, Bound b) {
  int64_t out;
  return a && b && !__builtin_add_overflow(*a, *b, &out) ? Bound(out) : std::nullopt;
}

Bound Times(Bound a, int64_t factor) {
  int64_t out;
  return a && !__builtin_mul_overflow(*a, factor, &out) ? Bound(out) : std::nullopt;
}

Bound Over(Bound a, int64_t divisor) {
  return a ? Bound((*a - FloorRemainder(*a, divisor)) / divisor) : std::nullopt;
}

/*! What `first` leaves when divided, where that is one number. */
Bound ResidueOf(const Progression& a, int64_t divisor) {
  if (a.modulus % divisor != 0) return std::nullopt;
  return FloorRemainder(a.residue, divisor);
}

Progression OfValue(const Progression& a, Int first) {
  Progression out;
  out.first = std::move(first);
  out.elements = a.elements;
  if (const auto constant = out.first.constant()) {
    out.least = out.greatest = constant;
    out.modulus = 0;
    out.residue = *constant;
  }
  return out;
}

}  // namespace

Bound Progression::greatest_of_all() const {
  const auto times = count.constant();
  return times ? Add(greatest, Times(step, *times - 1)) : std::nullopt;
}

std::optional<Progression> Sum(const Progression& a, const Progression& b) {
  const auto elements = a.elements.With(b.elements);
  if (!elements) return std::nullopt;
  Progression out;
  out.elements = *elements;
  out.first = a.first + b.first;
  out.least = Add(a.least, b.least);
  out.greatest = Add(a.greatest, b.greatest);
  out.modulus = std::gcd(a.modulus, b.modulus);
  out.residue = CheckedAdd(a.residue, b.residue);
  if (out.modulus != 0) out.residue = FloorRemainder(out.residue, out.modulus);
  const bool a_first = b.count == Int(1) || (a.count != Int(1) && a.step <= b.step);
  const Progression& fine = a_first ? a : b;
  const Progression& coarse = a_first ? b : a;
  out.step = fine.step;
  out.count = fine.count;
  if (coarse.count == Int(1)) return out;
  // The coarse steps are whole numbers of fine ones, and none of them leaves a gap.
  const auto count = fine.count.constant();
  if (!count || coarse.step % fine.step != 0) return std::nullopt;
  const int64_t ratio = coarse.step / fine.step;
  if (ratio > *count) return std::nullopt;
  out.count = fine.count + (coarse.count - Int(1)) * Int(ratio);
  return out;
}

Progression Scale(const Progression& a, int64_t factor) {
  if (factor == 0) return Progression::Of(0);
  Progression out = a;
  const bool turns = factor < 0;
  out.first = (turns ? a.last() : a.first) * Int(factor);
  out.step = CheckedMul(a.step, turns ? -factor : factor);
  out.modulus = CheckedMul(a.modulus, turns ? -factor : factor);
  out.residue = CheckedMul(a.residue, factor);
  if (turns && a.count != Int(1)) {
    // The last becomes the first; what is known of it follows for a known count alone.
    const auto count = a.count.constant();
    const Bound way = count ? Times(a.step, *count - 1) : std::nullopt;
    out.greatest = Times(Add(a.least, way), factor);
    out.least = Times(Add(a.greatest, way), factor);
    const Bound moved = Times(way, factor);
    if (!moved) out.modulus = 1;
    out.residue = CheckedAdd(out.residue, moved.value_or(0));
  } else {
    out.least = Times(turns ? a.greatest : a.least, factor);
    out.greatest = Times(turns ? a.least : a.greatest, factor);
  }
  out.residue = out.modulus == 0 ? out.residue : FloorRemainder(out.residue, out.modulus);
  return out;
}

std::optional<Progression> Quotient(const Progression& a, int64_t divisor) {
  if (divisor == 1) return a;
  const Bound least = Over(a.least, divisor), greatest = Over(a.greatest, divisor);
  const Bound rest = ResidueOf(a, divisor);
  const Int first = least && least == greatest ? Int(*least)
                    : rest                     ? FloorDiv(a.first - Int(*rest), divisor)
                                               : FloorDiv(a.first, divisor);
  Progression out = OfValue(a, first);
  out.least = least;
  out.greatest = greatest;
  if (a.count == Int(1)) return out;
  if (!rest) return std::nullopt;
  if (a.step % divisor == 0) {
    out.step = a.step / divisor;
    out.count = a.count;
    return out;
  }
  if (a.step > divisor) return std::nullopt;
  out.count = FloorDiv((a.count - Int(1)) * Int(a.step) + Int(*rest), divisor) + Int(1);
  return out;
}

std::optional<Progression> Remainder(const Progression& a, int64_t divisor) {
  const auto count = a.count.constant();
  const Bound rest = ResidueOf(a, divisor);
  const Bound greatest = a.greatest_of_all();
  if (a.least >= 0 && greatest && *greatest < divisor) return a;
  if (a.count == Int(1)) {
    Progression out = OfValue(a, rest ? Int(*rest) : FloorMod(a.first, divisor));
    out.least = rest.value_or(0);
    out.greatest = rest.value_or(divisor - 1);
    return out;
  }
  const Bound end = rest && count ? Add(*rest, Times(a.step, *count - 1)) : std::nullopt;
  if (end && *end < divisor) {
    Progression out = OfValue(a, *rest);
    out.step = a.step;
    out.count = a.count;
    return out;
  }
  if (a.step != 1 || !count || *count < divisor) return std::nullopt;
  Progression out = OfValue(a, 0);
  out.count = divisor;
  return out;
}

}  // namespace tt::ir
