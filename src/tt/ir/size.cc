#include "ir/size.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/checked.h"
#include "core/error.h"
#include "ir/memory.h"
#include "ir/node.h"
#include "ir/rewrite.h"

namespace tt::ir {
namespace {

// Deeper expressions come from no one's hand, and would need more stack than there may be.
constexpr int kMaxDepth = 1000;

enum class Operator {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kFloorDiv,
  kFloorMod,
  kMin,
  kMax,
  kShiftLeft,
  kShiftRight,
};

struct OperatorName {
  std::string_view name;
  Operator op;
};

// By the type of the node, whatever namespace its host keeps it in, or by the operation that is
// called: shifts became nodes in 0.27.
constexpr OperatorName kNodes[] = {
    {"Add", Operator::kAdd},           {"Sub", Operator::kSub},
    {"Mul", Operator::kMul},           {"Div", Operator::kDiv},
    {"Mod", Operator::kMod},           {"FloorDiv", Operator::kFloorDiv},
    {"FloorMod", Operator::kFloorMod}, {"Min", Operator::kMin},
    {"Max", Operator::kMax},           {"LShift", Operator::kShiftLeft},
    {"RShift", Operator::kShiftRight},
};
constexpr OperatorName kCalls[] = {
    {"shift_left", Operator::kShiftLeft},
    {"shift_right", Operator::kShiftRight},
};

template <size_t N>
std::optional<Operator> FindOperator(const OperatorName (&names)[N], std::string_view name) {
  const auto* found = std::ranges::find(names, name, &OperatorName::name);
  return found == std::end(names) ? std::nullopt : std::optional(found->op);
}

std::string_view WithoutNamespace(std::string_view key) { return key.substr(key.rfind('.') + 1); }

using Bound = std::optional<int64_t>;

Bound Sum(Bound a, Bound b) {
  int64_t out;
  return a && b && !__builtin_add_overflow(*a, *b, &out) ? Bound(out) : std::nullopt;
}

bool IsNonNegative(const Size& size) { return size.at_least >= 0; }

/*! Of what is not negative when both operands are not. */
Bound ZeroIfNonNegative(const Size& a, const Size& b) {
  return IsNonNegative(a) && IsNonNegative(b) ? Bound(0) : std::nullopt;
}

class SizeReader {
 public:
  explicit SizeReader(const ShapeVariables& variables) : variables_(variables) {}

  Size Read(View expr) {
    if (const auto constant = ConstantOf(expr)) return {*constant, constant};
    if (expr.type_index() < kTVMFFIDynObjectBegin) Fail("a value that is no integer expression");
    // Hosts share subexpressions; reading each once keeps the work linear.
    if (const auto known = known_.find(expr.object()); known != known_.end()) return known->second;
    if (++depth_ > kMaxDepth) Fail("an expression that is nested too deeply");
    Size size = ReadNode(expr);
    --depth_;
    if (const auto constant = size.value.constant()) size.at_least = constant;
    return known_[expr.object()] = std::move(size);
  }

 private:
  Size ReadNode(View expr) {
    switch (KindOf(expr)) {
      case NodeKind::kVar: return ReadVar(expr);
      case NodeKind::kCall: return ReadCall(expr);
      case NodeKind::kBufferLoad:
        Fail("a load from `" + GetString(BufferOf(expr), FieldId::kName) + "`");
      default: break;
    }
    const std::string_view key = WithoutNamespace(TypeOf(expr).key);
    if (key == "Cast") return ReadCast(expr);
    const auto op = FindOperator(kNodes, key);
    if (!op) Fail("a node of type " + TypeOf(expr).key);
    return Apply(*op, Read(Get(expr, FieldId::kA)), Read(Get(expr, FieldId::kB)));
  }

  Size ReadVar(View var) const {
    const std::string name = "`" + GetString(var, FieldId::kName) + "`";
    if (!IsInteger(var)) Fail("variable " + name + ", which is no integer");
    const auto size = variables_.Find(var);
    if (!size) Fail("variable " + name + ", which is no shape variable");
    return *size;
  }

  Size ReadCall(View call) {
    const std::string callee = CalleeOf(call);
    const auto op = FindOperator(kCalls, WithoutNamespace(callee));
    const View args = Get(call, FieldId::kArgs);
    if (!op || Elements(args).size() != 2) {
      Fail(callee.empty() ? "a call of a function" : "a call of " + callee);
    }
    return Apply(*op, Read(View::Of(Elements(args)[0])), Read(View::Of(Elements(args)[1])));
  }

  Size ReadCast(View cast) {
    const View inner = Get(cast, FieldId::kValue);
    if (!IsInteger(cast) || !IsInteger(inner)) Fail("a cast from or to what is no integer");
    Size size = Read(inner);
    const std::string dtype = DtypeOfExpr(cast);
    if (dtype.ends_with("8") || dtype.ends_with("16") || dtype.ends_with("t4")) {
      Fail("a cast to " + dtype + ", which may drop digits");
    }
    if (dtype.starts_with("u") && !IsNonNegative(size)) {
      Fail("a cast to " + dtype + " of what may be negative");
    }
    return size;
  }

  Size Apply(Operator op, const Size& a, const Size& b) const {
    const Int &x = a.value, &y = b.value;
    switch (op) {
      case Operator::kAdd: return {x + y, Sum(a.at_least, b.at_least)};
      case Operator::kSub: return {x - y, Sum(a.at_least, (Int(0) - y).constant())};
      case Operator::kMul: return {x * y, ZeroIfNonNegative(a, b)};
      case Operator::kDiv: CheckNonNegative(a, b, "a truncated division"); [[fallthrough]];
      case Operator::kFloorDiv: return {FloorDiv(x, y), ZeroIfNonNegative(a, b)};
      case Operator::kMod: CheckNonNegative(a, b, "a truncated remainder"); [[fallthrough]];
      case Operator::kFloorMod: return {FloorMod(x, y), 0};
      case Operator::kMin:
        return {Min(x, y),
                a.at_least && b.at_least ? std::min(a.at_least, b.at_least) : std::nullopt};
      case Operator::kMax: return {Max(x, y), std::max(a.at_least, b.at_least)};
      case Operator::kShiftLeft: return {x * PowerOfTwo(b), ZeroIfNonNegative(a, b)};
      default: return {FloorDiv(x, PowerOfTwo(b)), ZeroIfNonNegative(a, b)};
    }
  }

  /*! Rounding down and rounding to zero differ below zero. */
  void CheckNonNegative(const Size& a, const Size& b, const std::string& what) const {
    if (!IsNonNegative(a) || !IsNonNegative(b)) Fail(what + " of what may be negative");
  }

  int64_t PowerOfTwo(const Size& shift) const {
    const auto bits = shift.value.constant();
    if (!bits || *bits < 0 || *bits > 62) Fail("a shift that is not by a constant from 0 to 62");
    return int64_t{1} << *bits;
  }

  [[noreturn]] void Fail(const std::string& found) const {
    const std::string names = variables_.Names();
    throw Error(ErrorCode::kSizeExpression,
                "a size depends on " + found +
                    "; expected +, -, *, //, %, min and max of constants" +
                    (names.empty() ? " (no shape has variables)" : " and of " + names));
  }

  const ShapeVariables& variables_;
  std::unordered_map<const TVMFFIObject*, Size> known_;
  int depth_ = 0;
};

bool IsEmptyMap(View map) {
  static constinit const GlobalFunction size{"ffi.MapSize"};
  return map.is_none() || *size({map.raw()}).AsInt() == 0;
}

}  // namespace

Size ReadSize(View expr, const ShapeVariables& variables) {
  if (const auto constant = ConstantOf(expr)) return {*constant, constant};
  return SizeReader(variables).Read(expr);
}

Int ReadInt(View expr, const ShapeVariables& variables) { return ReadSize(expr, variables).value; }

bool IsRowMajor(const Buffer& buffer, const ShapeVariables& variables) {
  if (!Elements(buffer.axis_separators).empty()) return false;
  View layout = buffer.layout;
  if (layout.is_none()) return true;
  if (TypeOf(layout).key != "tirx.TileLayout") return false;
  const View replica = Get(layout, FieldId::kReplica);
  if (!Elements(replica).empty() || !IsEmptyMap(Get(layout, FieldId::kOffset))) return false;
  const View axes = Get(layout, FieldId::kShard);
  Int expected = 1;
  for (size_t i = Elements(axes).size(); i-- > 0;) {
    const View axis = View::Of(Elements(axes)[i]);
    if (GetString(Get(axis, FieldId::kAxis), FieldId::kName) != "m") return false;
    const Int extent = ReadInt(Get(axis, FieldId::kExtent), variables);
    if (extent != 1 && ReadInt(Get(axis, FieldId::kStride), variables) != expected) return false;
    expected = expected * extent;
  }
  return true;
}

Value WriteInt(const Int& number, std::string_view dtype,
               const std::function<Value(const std::string&)>& variable) {
  const auto operation = number.operation();
  if (!operation) return MakeInt(dtype, *number.constant());
  const auto binary = [&](std::string_view type) {
    return MakeExpr(type, dtype,
                    {{"a", WriteInt(operation->a, dtype, variable)},
                     {"b", WriteInt(operation->b, dtype, variable)}});
  };
  switch (operation->op) {
    case Int::Op::kVariable: return variable(number.ToString());
    case Int::Op::kAdd: return binary("Add");
    case Int::Op::kMul: return binary("Mul");
    case Int::Op::kFloorDiv: return binary("FloorDiv");
    case Int::Op::kFloorMod: return binary("FloorMod");
    case Int::Op::kMin: return binary("Min");
    case Int::Op::kMax: break;
  }
  return binary("Max");
}

}  // namespace tt::ir
