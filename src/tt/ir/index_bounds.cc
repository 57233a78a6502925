#include "ir/index_bounds.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "ir/memory.h"
#include "ir/node.h"
#include "ir/parameters.h"

namespace tt::ir {
namespace {

// More than any index that a person writes; hosts share subexpressions, which are read each time.
constexpr int kMaxNodes = 512;
// The work for one index stays bounded, whatever encloses it.
constexpr size_t kMaxFacts = 64;

int64_t FloorQuotient(int64_t a, int64_t b) { return a / b - (a % b < 0); }
int64_t FloorRemainder(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

/*! Less than zero they go on from the other end: no arithmetic of the integers. */
bool IsUnsigned(View expr) { return DtypeOfExpr(expr).starts_with("uint"); }

}  // namespace

void IndexBounds::Define(View var, View min, View extent, Guards inside) {
  const Linear first = Read(min, inside);
  const auto end = Sum(first, 1, Read(extent, inside));
  const auto last = end ? Sum(*end, 1, {{}, -1}) : std::nullopt;
  Interval interval = {IntervalOf(first).low, std::nullopt};
  if (last) interval.high = IntervalOf(*last).high;
  const Linear self = OfAtom(NewAtom(interval, false));
  variables_[var.object()] = self;
  // Of sizes that makes no loop run, neither is true: they hold in the loop alone.
  std::vector<Linear>* facts = &scopes_[inside].facts;
  if (!first.terms.empty()) LearnOrder(first, self, 0, facts);
  if (last && !last->terms.empty()) LearnOrder(self, *last, 0, facts);
}

void IndexBounds::Bind(View var, View value, Guards guards) {
  variables_[var.object()] = Read(value, guards);
}

void IndexBounds::Store(View buffer, View value, Guards guards) {
  cells_[MemoryOf(buffer).object()] = {Read(value, guards), guards};
}

IndexBounds::Guards IndexBounds::Enter(Guards outside) {
  scopes_.push_back({outside, {}});
  return scopes_.size() - 1;
}

IndexBounds::Guards IndexBounds::Assume(Guards outside, View condition, bool holds) {
  std::vector<Linear> facts;
  budget_ = kMaxNodes;
  guards_ = outside;
  Learn(condition, holds, &facts);
  if (facts.empty()) return outside;
  scopes_.push_back({outside, std::move(facts)});
  return scopes_.size() - 1;
}

/*! Takes note of what follows from a condition, as far as it is a comparison of integers. */
void IndexBounds::Learn(View condition, bool holds, std::vector<Linear>* facts) {
  if (--budget_ < 0) return;
  if (KindOf(condition) == NodeKind::kCall) {
    const View args = Get(condition, FieldId::kArgs);
    const auto elements = Elements(args);
    const std::string callee = CalleeOf(condition);
    if (callee.ends_with(".likely") && elements.size() == 1) {
      Learn(View::Of(elements[0]), holds, facts);
    }
    return;
  }
  const std::string_view op = ShortKey(condition);
  const View first = TryGet(condition, FieldId::kA), second = TryGet(condition, FieldId::kB);
  if (op == "Not") return Learn(first, !holds, facts);
  if (op == (holds ? "And" : "Or")) {
    Learn(first, holds, facts);
    Learn(second, holds, facts);
    return;
  }
  const bool less = op == (holds ? "LT" : "GE"), less_equal = op == (holds ? "LE" : "GT");
  const bool greater = op == (holds ? "GT" : "LE"), greater_equal = op == (holds ? "GE" : "LT");
  const bool equal = op == (holds ? "EQ" : "NE");
  if (!less && !less_equal && !greater && !greater_equal && !equal) return;
  const Linear a = Read(first), b = Read(second);
  if (less || less_equal || equal) LearnOrder(a, b, less ? 1 : 0, facts);
  if (greater || greater_equal || equal) LearnOrder(b, a, greater ? 1 : 0, facts);
}

void IndexBounds::LearnOrder(const Linear& smaller, const Linear& larger, int64_t least_gap,
                             std::vector<Linear>* facts) {
  auto fact = Sum(smaller, -1, larger);
  if (!fact || __builtin_add_overflow(fact->constant, least_gap, &fact->constant)) return;
  facts->push_back(std::move(*fact));
}

Reach IndexBounds::Check(View index, int64_t count, View extent, Guards guards) {
  const Linear start = Read(index, guards);
  const Linear limit = Read(extent, guards);
  const auto below = Sum({}, -1, start);
  auto beyond = Sum(start, -1, limit);
  if (!below || !beyond || __builtin_add_overflow(beyond->constant, count, &beyond->constant)) {
    return Reach::kUnknown;
  }
  if (IsNeverPositive(*below, guards) && IsNeverPositive(*beyond, guards)) return Reach::kInside;
  return IsOpaque(start) || IsOpaque(limit) ? Reach::kUnknown : Reach::kOutside;
}

bool IndexBounds::ShareVariable(View a, View b) {
  std::set<const TVMFFIObject*> names;
  Walker first(a);
  for (View node; first.Next(&node);) {
    if (KindOf(node) == NodeKind::kVar) names.insert(node.object());
    first.PushChildren(node);
  }
  Walker second(b);
  for (View node; second.Next(&node);) {
    if (KindOf(node) == NodeKind::kVar && names.contains(node.object())) return true;
    second.PushChildren(node);
  }
  return false;
}

IndexBounds::Linear IndexBounds::Read(View expr, Guards guards) {
  budget_ = kMaxNodes;
  guards_ = guards;
  return Read(expr);
}

IndexBounds::Linear IndexBounds::Read(View expr) {
  if (const auto constant = ConstantOf(expr)) return {{}, *constant};
  if (--budget_ < 0 || expr.type_index() < kTVMFFIDynObjectBegin) return Opaque();
  if (KindOf(expr) == NodeKind::kVar) return OfVariable(expr);
  if (KindOf(expr) == NodeKind::kBufferLoad) return OfCell(expr);
  return ReadNode(expr);
}

IndexBounds::Linear IndexBounds::ReadNode(View expr) {
  const std::string_view op = ShortKey(expr);
  if (op == "Cast") return ReadCast(expr);
  const View first = TryGet(expr, FieldId::kA), second = TryGet(expr, FieldId::kB);
  if (first.is_none() || second.is_none() || IsUnsigned(expr)) return Opaque();
  const Linear a = Read(first), b = Read(second);
  const bool constant_b = b.terms.empty(), positive_b = constant_b && b.constant > 0;
  if (op == "Add" || op == "Sub") {
    const auto sum = Sum(a, op == "Add" ? 1 : -1, b);
    return sum ? *sum : Opaque();
  }
  if (op == "Mul" && (constant_b || a.terms.empty())) {
    const auto product = constant_b ? Sum({}, b.constant, a) : Sum({}, a.constant, b);
    return product ? *product : Opaque();
  }
  if (op == "Min" || op == "Max") {
    return ReadExtremum(a, b, op == "Min" ? Operator::kMin : Operator::kMax);
  }
  // Rounding to zero and rounding down differ below zero.
  const auto low = IntervalOf(a).low;
  const bool rounds_down = low && *low >= 0;
  const bool divides = op == "FloorDiv" || (op == "Div" && rounds_down);
  const bool leaves = op == "FloorMod" || (op == "Mod" && rounds_down);
  if (!positive_b || (!divides && !leaves)) return Opaque();
  return ReadDivision(a, b.constant, divides ? Operator::kFloorDiv : Operator::kFloorMod);
}

/*! A cast that drops no digits. */
IndexBounds::Linear IndexBounds::ReadCast(View cast) {
  const View inner = Get(cast, FieldId::kValue);
  const std::string from = DtypeOfExpr(inner), to = DtypeOfExpr(cast);
  if ((from != "int32" && from != "int64") || (to != "int32" && to != "int64")) return Opaque();
  const Linear value = Read(inner);
  const Interval interval = IntervalOf(value);
  using Narrow = std::numeric_limits<int32_t>;
  const bool is_narrow = interval.low && interval.high && *interval.low >= Narrow::min() &&
                         *interval.high <= Narrow::max();
  return from == "int32" || to == "int64" || is_narrow ? value : Opaque();
}

/*! What is a multiple of the divisor comes out of the quotient and drops out of the remainder. */
IndexBounds::Linear IndexBounds::ReadDivision(const Linear& a, int64_t divisor, Operator op) {
  Linear quotient = {{}, FloorQuotient(a.constant, divisor)};
  Linear rest = {{}, FloorRemainder(a.constant, divisor)};
  for (const auto& [atom, factor] : a.terms) {
    (factor % divisor == 0 ? quotient : rest).terms[atom] =
        factor % divisor == 0 ? factor / divisor : factor;
  }
  const Interval interval = IntervalOf(rest);
  const bool reduced =
      interval.low && interval.high && *interval.low >= 0 && *interval.high < divisor;
  if (reduced) return op == Operator::kFloorDiv ? quotient : rest;
  const auto [atom, is_new] = FindAtom(op, rest, {{}, divisor});
  if (is_new) {
    Interval& known = atoms_[atom].interval;
    if (op == Operator::kFloorMod) {
      known = {0, divisor - 1};
    } else {
      if (interval.low) known.low = FloorQuotient(*interval.low, divisor);
      if (interval.high) known.high = FloorQuotient(*interval.high, divisor);
    }
  }
  if (op == Operator::kFloorMod) return OfAtom(atom);
  const auto sum = Sum(quotient, 1, OfAtom(atom));
  return sum ? *sum : Opaque();
}

IndexBounds::Linear IndexBounds::ReadExtremum(const Linear& a, const Linear& b, Operator op) {
  const auto [atom, is_new] = FindAtom(op, a, b);
  const Linear self = OfAtom(atom);
  if (!is_new) return self;
  const Interval x = IntervalOf(a), y = IntervalOf(b);
  Interval& known = atoms_[atom].interval;
  // None of two compares as less than any number: right for what is least known, of either end.
  if (op == Operator::kMin) {
    known.high = x.high && y.high ? std::min(x.high, y.high) : std::max(x.high, y.high);
    if (x.low && y.low) known.low = std::min(x.low, y.low);
  } else {
    known.low = std::max(x.low, y.low);
    if (x.high && y.high) known.high = std::max(x.high, y.high);
  }
  for (const Linear* side : {&a, &b}) {
    if (op == Operator::kMin) LearnOrder(self, *side, 0, &scopes_.front().facts);
    if (op == Operator::kMax) LearnOrder(*side, self, 0, &scopes_.front().facts);
  }
  return self;
}

/*! A variable that nothing has defined is a parameter or a size: the same number everywhere. */
IndexBounds::Linear IndexBounds::OfVariable(View var) {
  const auto known = variables_.find(var.object());
  if (known != variables_.end()) return known->second;
  return variables_[var.object()] = OfAtom(NewAtom({}, false));
}

/*! Only where the store is sure to come first: it stands around or before this, in program order. */
IndexBounds::Linear IndexBounds::OfCell(View load) {
  const auto cell = cells_.find(MemoryOf(BufferOf(load)).object());
  if (cell == cells_.end()) return Opaque();
  for (Guards scope = guards_; scope != cell->second.guards; scope = scopes_[scope].outside) {
    if (scope == 0) return Opaque();
  }
  return cell->second.value;
}

IndexBounds::Linear IndexBounds::OfAtom(size_t atom) const { return {{{atom, 1}}, 0}; }

size_t IndexBounds::NewAtom(Interval interval, bool is_opaque) {
  atoms_.push_back({interval, is_opaque});
  return atoms_.size() - 1;
}

std::pair<size_t, bool> IndexBounds::FindAtom(Operator op, const Linear& a, const Linear& b) {
  const auto [found, is_new] = operations_.try_emplace({op, a, b}, atoms_.size());
  if (is_new) NewAtom({}, IsOpaque(a) || IsOpaque(b));
  return {found->second, is_new};
}

std::optional<IndexBounds::Linear> IndexBounds::Sum(const Linear& a, int64_t factor,
                                                    const Linear& b) {
  Linear out = a;
  int64_t product;
  if (__builtin_mul_overflow(b.constant, factor, &product) ||
      __builtin_add_overflow(out.constant, product, &out.constant)) {
    return std::nullopt;
  }
  for (const auto& [atom, times] : b.terms) {
    int64_t& sum = out.terms[atom];
    if (__builtin_mul_overflow(times, factor, &product) ||
        __builtin_add_overflow(sum, product, &sum)) {
      return std::nullopt;
    }
    if (sum == 0) out.terms.erase(atom);
  }
  return out;
}

IndexBounds::Interval IndexBounds::IntervalOf(const Linear& linear, const Intervals& here) const {
  Interval out = {linear.constant, linear.constant};
  const auto add = [](std::optional<int64_t>* sum, std::optional<int64_t> bound, int64_t factor) {
    int64_t product = 0;
    const bool known = *sum && bound && !__builtin_mul_overflow(*bound, factor, &product) &&
                       !__builtin_add_overflow(**sum, product, &**sum);
    if (!known) *sum = std::nullopt;
  };
  for (const auto& [atom, factor] : linear.terms) {
    const auto narrowed = here.find(atom);
    const Interval& interval = narrowed == here.end() ? atoms_[atom].interval : narrowed->second;
    add(&out.low, factor > 0 ? interval.low : interval.high, factor);
    add(&out.high, factor > 0 ? interval.high : interval.low, factor);
  }
  return out;
}

bool IndexBounds::IsOpaque(const Linear& linear) const {
  return std::ranges::any_of(linear.terms,
                             [&](const auto& term) { return atoms_[term.first].is_opaque; });
}

IndexBounds::Intervals IndexBounds::NarrowedBy(Guards guards) const {
  Intervals out;
  for (Guards scope = guards; scope != 0; scope = scopes_[scope].outside) {
    for (const Linear& fact : scopes_[scope].facts) {
      // factor * atom + constant <= 0
      if (fact.terms.size() != 1) continue;
      const auto [atom, factor] = *fact.terms.begin();
      Interval& interval = out.try_emplace(atom, atoms_[atom].interval).first->second;
      if (factor == -1) interval.low = std::max(interval.low, std::optional(fact.constant));
      int64_t bound;
      if (factor != 1 || __builtin_sub_overflow(0, fact.constant, &bound)) continue;
      interval.high = interval.high ? std::min(*interval.high, bound) : bound;
    }
  }
  return out;
}

/*! By what is known of each atom, alone or together with one fact. */
bool IndexBounds::IsNeverPositive(const Linear& linear, Guards guards) const {
  const Intervals here = NarrowedBy(guards);
  const auto is_bounded = [&](const Linear& sum) {
    const auto high = IntervalOf(sum, here).high;
    return high && *high <= 0;
  };
  size_t tried = 0;
  const auto follows = [&](const Linear& fact) {
    if (++tried > kMaxFacts) return false;
    const auto rest = Sum(linear, -1, fact);
    return rest && is_bounded(*rest);
  };
  if (is_bounded(linear)) return true;
  for (Guards scope = guards; scope != 0; scope = scopes_[scope].outside) {
    if (std::ranges::any_of(scopes_[scope].facts, follows)) return true;
  }
  return std::ranges::any_of(scopes_.front().facts, follows);
}

}  // namespace tt::ir
