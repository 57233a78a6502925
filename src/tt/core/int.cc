#include "core/int.h"

#include <algorithm>
#include <cctype>

#include "core/checked.h"
#include "core/error.h"

namespace tt {
namespace {

// Longer texts help nobody, and bound how deep an expression can be.
constexpr size_t kMaxTextLength = 4096;

bool IsIdentifier(std::string_view name) {
  const auto is_letter = [](char c) {
    return std::isalpha(static_cast<unsigned char>(c)) || c == '_';
  };
  const auto is_part = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
  return !name.empty() && is_letter(name[0]) && std::ranges::all_of(name, is_part);
}

void CheckDivisor(int64_t divisor) {
  if (divisor >= 1) return;
  throw Error(ErrorCode::kDivisor,
              "division by " + std::to_string(divisor) + "; expected at least 1");
}

}  // namespace

struct Int::Node {
  Op op;
  Int a, b;          // none of a variable
  std::string text;  // of the whole expression
};

namespace {

/*! How tightly the outermost operator of a text binds. */
enum Precedence { kSum, kProduct, kAtom };

}  // namespace

bool Int::Is(Op op) const { return node_ != nullptr && node_->op == op; }

bool Int::IsNegative() const { return is_constant() && value_ < 0 && value_ != INT64_MIN; }

int Int::Compare(const Int& other) const {
  if (node_ == other.node_ && value_ == other.value_) return 0;
  if (is_constant() || other.is_constant()) {
    if (!is_constant()) return 1;
    if (!other.is_constant()) return -1;
    return value_ < other.value_ ? -1 : value_ > other.value_;
  }
  return node_->text.compare(other.node_->text);
}

std::optional<Int::Operation> Int::operation() const {
  if (is_constant()) return std::nullopt;
  return Operation{node_->op, node_->a, node_->b};
}

std::string Int::ToString() const { return is_constant() ? std::to_string(value_) : node_->text; }

Int Int::Variable(std::string_view name) {
  if (!IsIdentifier(name) || name == "min" || name == "max") {
    throw Error(ErrorCode::kSizeName,
                "\"" + std::string(name) + "\" cannot name a size; expected an identifier");
  }
  Int out;
  out.node_ = std::make_shared<const Node>(Node{Op::kVariable, 0, 0, std::string(name)});
  return out;
}

Int Int::Make(Op op, Int a, Int b) {
  const auto precedence = [](const Int& operand) {
    if (operand.is_constant()) return operand.value_ < 0 ? kSum : kAtom;
    switch (operand.node_->op) {
      case Op::kAdd: return kSum;
      case Op::kMul:
      case Op::kFloorDiv:
      case Op::kFloorMod: return kProduct;
      default: return kAtom;
    }
  };
  const auto text = [&](const Int& operand, Precedence at_least) {
    const std::string inner = operand.ToString();
    return precedence(operand) >= at_least ? inner : "(" + inner + ")";
  };
  const auto product = [&](const char* sign) { return text(a, kProduct) + sign + text(b, kAtom); };
  const auto call = [&](const char* name) {
    return std::string(name) + "(" + a.ToString() + ", " + b.ToString() + ")";
  };
  std::string whole;
  switch (op) {
    case Op::kVariable: break;
    case Op::kAdd:
      if (b.IsNegative()) {
        whole = text(a, kSum) + " - " + std::to_string(-b.value_);
      } else if (b.Is(Op::kMul) && b.node_->b.IsNegative()) {
        whole = text(a, kSum) + " - " + text(MulConstant(b.node_->a, -b.node_->b.value_), kProduct);
      } else {
        whole = text(a, kSum) + " + " + text(b, kProduct);
      }
      break;
    case Op::kMul: whole = product(" * "); break;
    case Op::kFloorDiv: whole = product(" // "); break;
    case Op::kFloorMod: whole = product(" % "); break;
    case Op::kMin: whole = call("min"); break;
    case Op::kMax: whole = call("max"); break;
  }
  if (whole.size() > kMaxTextLength) {
    throw Error(ErrorCode::kExpressionLength, "an expression over shape variables is longer than " +
                                                  std::to_string(kMaxTextLength) + " characters");
  }
  Int out;
  out.node_ = std::make_shared<const Node>(Node{op, std::move(a), std::move(b), std::move(whole)});
  return out;
}

// Constants stand to the right, and sums and products are nested to the left, so that equal
// expressions mostly become equal texts.

Int Int::AddConstant(const Int& a, int64_t b) {
  if (b == 0) return a;
  if (a.is_constant()) return CheckedAdd(a.value_, b);
  if (a.Is(Op::kAdd) && a.node_->b.is_constant()) {
    return AddConstant(a.node_->a, CheckedAdd(a.node_->b.value_, b));
  }
  return Make(Op::kAdd, a, b);
}

Int Int::MulConstant(const Int& a, int64_t b) {
  if (b == 0) return 0;
  if (b == 1) return a;
  if (a.is_constant()) return CheckedMul(a.value_, b);
  if (a.Is(Op::kMul) && a.node_->b.is_constant()) {
    return MulConstant(a.node_->a, CheckedMul(a.node_->b.value_, b));
  }
  return Make(Op::kMul, a, b);
}

Int Int::DivConstant(const Int& a, int64_t b) {
  CheckDivisor(b);
  if (b == 1) return a;
  // (x * (b * k) + c) // b = x * k + c // b, whatever the sign of c.
  const bool has_offset = a.Is(Op::kAdd) && a.node_->b.is_constant();
  const Int& scaled = has_offset ? a.node_->a : a;
  const int64_t offset = has_offset ? a.node_->b.value_ : 0;
  if (scaled.Is(Op::kMul) && scaled.node_->b.is_constant() && scaled.node_->b.value_ % b == 0) {
    return MulConstant(scaled.node_->a, scaled.node_->b.value_ / b) + FloorDiv(offset, b);
  }
  if (a.Is(Op::kFloorDiv) && a.node_->b.is_constant()) {
    return DivConstant(a.node_->a, CheckedMul(a.node_->b.value_, b));
  }
  return Make(Op::kFloorDiv, a, b);
}

Int Int::ModConstant(const Int& a, int64_t b) {
  CheckDivisor(b);
  if (b == 1) return 0;
  const bool is_by_multiple =
      !a.is_constant() && a.node_->b.is_constant() && a.node_->b.value_ % b == 0;
  if (is_by_multiple && a.Is(Op::kMul)) return 0;
  if (is_by_multiple && a.Is(Op::kFloorMod)) return ModConstant(a.node_->a, b);
  return Make(Op::kFloorMod, a, b);
}

std::pair<Int, int64_t> Int::AsTerm() const {
  const bool scaled = Is(Op::kMul) && node_->b.is_constant();
  return scaled ? std::pair(node_->a, node_->b.value_) : std::pair(*this, int64_t{1});
}

/*! The sum with a term joined to one of the same base; nothing where it has none such. */
std::optional<Int> Int::Join(const Int& sum, const Int& term) {
  if (sum.Is(Op::kAdd)) {
    if (const auto right = Join(sum.node_->b, term)) return sum.node_->a + *right;
    if (const auto left = Join(sum.node_->a, term)) return *left + sum.node_->b;
    return std::nullopt;
  }
  const auto [base, factor] = sum.AsTerm();
  const auto [other_base, other_factor] = term.AsTerm();
  if (sum.is_constant() || base != other_base) return std::nullopt;
  return base * Int(CheckedAdd(factor, other_factor));
}

Int operator+(const Int& a, const Int& b) {
  if (a.is_constant() && b.is_constant()) return CheckedAdd(a.value_, b.value_);
  if (b.is_constant()) return Int::AddConstant(a, b.value_);
  if (a.is_constant()) return Int::AddConstant(b, a.value_);
  if (a.Is(Int::Op::kAdd) && a.node_->b.is_constant()) {
    return Int::AddConstant(a.node_->a + b, a.node_->b.value_);
  }
  if (b.Is(Int::Op::kAdd)) return (a + b.node_->a) + b.node_->b;
  const auto joined = Int::Join(a, b);
  return joined ? *joined : Int::Make(Int::Op::kAdd, a, b);
}

Int operator-(const Int& a, const Int& b) {
  if (a == b) return 0;
  if (b.is_constant() && b.value_ != INT64_MIN) return a + Int(-b.value_);
  return a + b * Int(-1);
}

Int operator*(const Int& a, const Int& b) {
  if (a.is_constant() && b.is_constant()) return CheckedMul(a.value_, b.value_);
  if (b.is_constant()) return Int::MulConstant(a, b.value_);
  if (a.is_constant()) return Int::MulConstant(b, a.value_);
  if (a.Is(Int::Op::kMul) && a.node_->b.is_constant()) {
    return Int::MulConstant(a.node_->a * b, a.node_->b.value_);
  }
  if (b.Is(Int::Op::kMul)) return (a * b.node_->a) * b.node_->b;
  return Int::Make(Int::Op::kMul, a, b);
}

Int FloorDiv(const Int& a, const Int& b) {
  if (!b.is_constant()) return Int::Make(Int::Op::kFloorDiv, a, b);
  CheckDivisor(b.value_);
  return a.is_constant() ? Int(FloorDiv(a.value_, b.value_)) : Int::DivConstant(a, b.value_);
}

Int FloorMod(const Int& a, const Int& b) {
  if (!b.is_constant()) return Int::Make(Int::Op::kFloorMod, a, b);
  CheckDivisor(b.value_);
  return a.is_constant() ? Int(FloorMod(a.value_, b.value_)) : Int::ModConstant(a, b.value_);
}

Int Min(const Int& a, const Int& b) {
  if (a.is_constant() && b.is_constant()) return std::min(a.value_, b.value_);
  return a == b ? a : Int::Make(Int::Op::kMin, a, b);
}

Int Max(const Int& a, const Int& b) {
  if (a.is_constant() && b.is_constant()) return std::max(a.value_, b.value_);
  return a == b ? a : Int::Make(Int::Op::kMax, a, b);
}

Int CeilDiv(const Int& a, const Int& b) {
  if (a.is_constant() && b.is_constant()) return CeilDiv(*a.constant(), *b.constant());
  return FloorDiv(a + (b - 1), b);
}

Int RoundUp(const Int& a, const Int& b) { return CeilDiv(a, b) * b; }

Int Int::Combine(Op op, const Int& a, const Int& b) {
  switch (op) {
    case Op::kAdd: return a + b;
    case Op::kMul: return a * b;
    case Op::kFloorDiv: return FloorDiv(a, b);
    case Op::kFloorMod: return FloorMod(a, b);
    case Op::kMin: return Min(a, b);
    default: return Max(a, b);
  }
}

Int Int::Substitute(const Sizes& sizes) const {
  if (is_constant()) return *this;
  if (node_->op == Op::kVariable) {
    const auto size = sizes.find(node_->text);
    return size == sizes.end() ? *this : Int(size->second);
  }
  return Combine(node_->op, node_->a.Substitute(sizes), node_->b.Substitute(sizes));
}

int64_t Int::Evaluate(const Sizes& sizes) const {
  if (is_constant()) return value_;
  const Int out = Substitute(sizes);
  if (out.is_constant()) return out.value_;
  const std::set<std::string> missing = out.Variables();
  throw Error(ErrorCode::kMissingSize,
              "size " + *missing.begin() + " of \"" + node_->text + "\" has no value");
}

std::set<std::string> Int::Variables() const {
  if (is_constant()) return {};
  if (node_->op == Op::kVariable) return {node_->text};
  std::set<std::string> out = node_->a.Variables();
  out.merge(node_->b.Variables());
  return out;
}

namespace {

/*! By recursive descent, as deep as the text is long. */
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    if (text.size() > kMaxTextLength)
      Fail("fewer than " + std::to_string(kMaxTextLength) + " characters");
  }

  Int Parse() {
    const Int out = Sum();
    if (!AtEnd()) Fail("the end");
    return out;
  }

 private:
  Int Sum() {
    Int out = Product();
    for (;;) {
      if (Accept("+")) {
        out = out + Product();
      } else if (Accept("-")) {
        out = out - Product();
      } else {
        return out;
      }
    }
  }

  Int Product() {
    Int out = Factor();
    for (;;) {
      if (Accept("*")) {
        out = out * Factor();
      } else if (Accept("//")) {
        out = FloorDiv(out, Factor());
      } else if (Accept("%")) {
        out = FloorMod(out, Factor());
      } else {
        return out;
      }
    }
  }

  Int Factor() {
    if (Accept("(")) {
      const Int inner = Sum();
      Expect(")");
      return inner;
    }
    if (Accept("-")) return Negative();
    if (!AtEnd() && IsDigit(text_[position_])) return Number("");
    const std::string_view name = Name();
    if (name.empty()) Fail("a number, a name or \"(\"");
    if (name != "min" && name != "max") return Int::Variable(name);
    Expect("(");
    const Int a = Sum();
    Expect(",");
    const Int b = Sum();
    Expect(")");
    return name == "min" ? Min(a, b) : Max(a, b);
  }

  /*! A minus belongs to its number, as the smallest one has no positive. */
  Int Negative() {
    if (!AtEnd() && IsDigit(text_[position_])) return Number("-");
    return Int(0) - Factor();
  }

  Int Number(const char* sign) {
    const size_t start = position_;
    while (position_ < text_.size() && IsDigit(text_[position_])) ++position_;
    const std::string digits = sign + std::string(text_.substr(start, position_ - start));
    try {
      return Int(static_cast<int64_t>(std::stoll(digits)));
    } catch (const std::out_of_range&) {
      position_ = start;
      Fail("a number of 64 bits");
    }
  }

  std::string_view Name() {
    AtEnd();
    const size_t start = position_;
    while (position_ < text_.size() && IsIdentifier(text_.substr(start, position_ - start + 1))) {
      ++position_;
    }
    return text_.substr(start, position_ - start);
  }

  bool Accept(std::string_view token) {
    AtEnd();
    if (!text_.substr(position_).starts_with(token)) return false;
    position_ += token.size();
    return true;
  }

  void Expect(std::string_view token) {
    if (!Accept(token)) Fail("\"" + std::string(token) + "\"");
  }

  bool AtEnd() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
    return position_ == text_.size();
  }

  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }

  [[noreturn]] void Fail(const std::string& expected) const {
    throw Error(ErrorCode::kSizeSyntax, "\"" + std::string(Beginning(text_)) +
                                            "\" is no size: expected " + expected + " at column " +
                                            std::to_string(position_ + 1));
  }

  /*! What fits a message, cut between characters of UTF-8. */
  static std::string_view Beginning(std::string_view text) {
    size_t length = std::min<size_t>(text.size(), 80);
    const auto is_inside = [&] {
      return (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80;
    };
    while (length < text.size() && is_inside()) --length;
    return text.substr(0, length);
  }

  std::string_view text_;
  size_t position_ = 0;
};

}  // namespace

Int Int::Parse(std::string_view text) { return Parser(text).Parse(); }

}  // namespace tt
