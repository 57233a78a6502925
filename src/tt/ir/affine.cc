#include "ir/affine.h"

#include <algorithm>
#include <string_view>

#include "ir/memory.h"
#include "ir/node.h"

namespace tt::ir {
namespace {

// Indices that people write are shallow, and bindings of bindings may repeat each other.
constexpr int kMaxNodes = 256;

class AffineReader {
 public:
  explicit AffineReader(const Names& names) : names_(names) {}

  std::optional<Affine> Read(View expr) {
    if (++nodes_ > kMaxNodes) return std::nullopt;
    if (const auto constant = ConstantOf(expr)) return Affine{*constant, {}};
    if (!expr.is_object()) return std::nullopt;
    if (const View value = names_.Find(expr); !value.is_none()) return Read(value);
    if (KindOf(expr) == NodeKind::kVar) return Affine{0, {{expr.object(), 1}}};
    const std::string_view name = ShortKey(expr);
    if (name == "Cast") return Read(Get(expr, FieldId::kValue));
    if (name != "Add" && name != "Sub" && name != "Mul" && name != "FloorDiv") return std::nullopt;
    const auto a = Read(Get(expr, FieldId::kA));
    const auto b = a ? Read(Get(expr, FieldId::kB)) : std::nullopt;
    if (!b) return std::nullopt;
    if (name == "Add") return Sum(*a, *b, 1);
    if (name == "Sub") return Sum(*a, *b, -1);
    if (name == "FloorDiv") return b->terms.empty() ? Quotient(*a, b->constant) : std::nullopt;
    if (b->terms.empty()) return Sum({}, *a, b->constant);
    return a->terms.empty() ? Sum({}, *b, a->constant) : std::nullopt;
  }

 private:
  /*! a + factor * b */
  static std::optional<Affine> Sum(Affine a, const Affine& b, int64_t factor) {
    const auto add = [&](int64_t* to, int64_t value) {
      int64_t scaled;
      return !__builtin_mul_overflow(value, factor, &scaled) &&
             !__builtin_add_overflow(*to, scaled, to);
    };
    if (!add(&a.constant, b.constant)) return std::nullopt;
    for (const auto& [variable, value] : b.terms) {
      auto term = std::ranges::find(a.terms, variable, &Affine::Term::first);
      if (term == a.terms.end()) term = a.terms.insert(term, {variable, 0});
      if (!add(&term->second, value)) return std::nullopt;
    }
    std::erase_if(a.terms, [](const Affine::Term& term) { return term.second == 0; });
    return a;
  }

  static std::optional<Affine> Quotient(Affine a, int64_t divisor) {
    if (divisor < 1 || a.constant % divisor != 0) return std::nullopt;
    a.constant /= divisor;
    for (auto& [variable, factor] : a.terms) {
      if (factor % divisor != 0) return std::nullopt;
      factor /= divisor;
    }
    return a;
  }

  const Names& names_;
  int nodes_ = 0;
};

}  // namespace

View Names::Find(View node) const {
  const NodeKind kind = KindOf(node);
  if (kind != NodeKind::kVar && kind != NodeKind::kBufferLoad) return {};
  const View key = kind == NodeKind::kVar ? node : MemoryOf(BufferOf(node));
  const auto name = values_.find(key.object());
  return name == values_.end() ? Value() : name->second;
}

int64_t Affine::FactorOf(const TVMFFIObject* variable) const {
  const auto term = std::ranges::find(terms, variable, &Term::first);
  return term == terms.end() ? 0 : term->second;
}

std::optional<Affine> ReadAffine(View expr, const Names& names) {
  return AffineReader(names).Read(expr);
}

}  // namespace tt::ir
