#include "ir/persistent.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "ir/node.h"
#include "ir/size.h"

namespace tt::ir {
namespace {

bool IsNode(View expr, std::string_view name) {
  const std::string_view key = expr.is_object() ? std::string_view(TypeOf(expr).key) : "";
  return key.substr(key.rfind('.') + 1) == name;
}

/*! A condition a < b. */
struct Less {
  View stmt;  // the IfThenElse
  Int a, b;
};

class PersistentReader {
 public:
  PersistentReader(const PersistentLoop& persistent, const plan::Grid& grid,
                   const ShapeVariables& variables)
      : persistent_(persistent),
        grid_(grid),
        loop_var_(Get(persistent.loop, FieldId::kLoopVar)),
        variables_(variables) {
    // Names of our own, for expressions that are compared and then forgotten.
    variables_.Define(loop_var_, {Int::Variable("tt_wave"), 0});
    variables_.Define(persistent.block, {Int::Variable("tt_block"), 0});
  }

  Persistence Read() {
    CheckLaunch();
    ReadGuards();
    ReadAxes();
    CheckNumbering();
    KeepOwnGuards();
    CheckUses();
    return {Domain(),
            GetString(loop_var_, FieldId::kName),
            grid_.x,
            group_size_,
            Order(),
            Axes(),
            WalkingStatements()};
  }

 private:
  [[noreturn]] void Fail(const std::string& problem) const {
    throw Error(ErrorCode::kPersistentLoop, "the domain of the persistent loop `" +
                                                GetString(loop_var_, FieldId::kName) +
                                                "` cannot be recovered: " + problem);
  }

  Int ReadExpr(View expr) const { return ReadInt(expr, variables_); }

  void CheckLaunch() const {
    if (persistent_.block.is_none() || grid_.y != 1 || grid_.z != 1) {
      Fail("it stands in a launch that is not one-dimensional");
    }
    if (persistent_.coordinates.size() > 3) {
      Fail("it has " + std::to_string(persistent_.coordinates.size()) +
           " axes; expected at most 3");
    }
  }

  /*! if w * wave + block < padded: if last coordinate < last extent: ...; the first may lack. */
  void ReadGuards() {
    Value stmt = Get(persistent_.loop, FieldId::kBody);
    for (size_t depth = 0; depth < 2 && IsBound(stmt); ++depth) {
      const View condition = Get(stmt, FieldId::kCondition);
      guards_.push_back(
          {stmt, ReadExpr(Get(condition, FieldId::kA)), ReadExpr(Get(condition, FieldId::kB))});
      stmt = Get(stmt, FieldId::kThenCase);
    }
    if (guards_.empty()) Fail("nothing guards its body");
  }

  /*! Whether a statement may be a guard; a condition on memory is the kernel's own. */
  bool IsBound(View stmt) const {
    if (KindOf(stmt) != NodeKind::kIfThenElse) return false;
    const View condition = Get(stmt, FieldId::kCondition);
    if (!IsNode(condition, "LT") || !Get(stmt, FieldId::kElseCase).is_none()) return false;
    Walker walker(condition);
    for (View node; walker.Next(&node);) {
      if (KindOf(node) == NodeKind::kBufferLoad) return false;
      walker.PushChildren(node);
    }
    return true;
  }

  /*! Extents are what coordinates are the remainders of; the host has folded those of 1 away. */
  void ReadAxes() {
    const auto& binds = persistent_.coordinates;
    const View last = Get(binds.front(), FieldId::kValue);
    if (IsNode(last, "Add")) group_size_ = Remainder(Get(last, FieldId::kB));
    for (size_t i = binds.size(); i-- > 1;) {
      extents_.push_back(Remainder(Get(binds[i], FieldId::kValue)));
    }
    const Int coordinate = ReadExpr(last);
    const auto guard = std::ranges::find(guards_, coordinate, &Less::a);
    if (guard == guards_.end()) Fail("no condition bounds the coordinate of its last axis");
    extents_.push_back(guard->b);
  }

  Int Remainder(View expr) const {
    return IsNode(expr, "Mod") ? ReadExpr(Get(expr, FieldId::kB)) : Int(1);
  }

  /*! The number of a block's cell. */
  Int Number() const { return Int::Variable("tt_wave") * grid_.x + Int::Variable("tt_block"); }

  /*! How many there are, with those that the last group has too many. */
  Int Cells() const {
    Int cells = CeilDiv(extents_.back(), group_size_);
    for (size_t i = 0; i + 1 < extents_.size(); ++i) cells = cells * extents_[i];
    return cells * group_size_;
  }

  /*! Computes what the host should have written for this domain, and compares. */
  void CheckNumbering() const {
    const Int number = Number();
    const Int cells = Cells();
    Int rest = FloorDiv(number, group_size_);
    for (size_t i = extents_.size() - 1; i-- > 0;) {
      View bind = persistent_.coordinates[extents_.size() - 1 - i];
      CheckEqual(ReadExpr(Get(bind, FieldId::kValue)), FloorMod(rest, extents_[i]));
      rest = FloorDiv(rest, extents_[i]);
    }
    CheckEqual(ReadExpr(Get(persistent_.coordinates.front(), FieldId::kValue)),
               rest * group_size_ + FloorMod(number, group_size_));
    CheckEqual(ReadExpr(Get(persistent_.loop, FieldId::kMin)), 0);
    CheckEqual(ReadExpr(Get(persistent_.loop, FieldId::kExtent)), CeilDiv(cells, grid_.x));
    if (guards_.front().a == number) CheckEqual(guards_.front().b, cells);
  }

  /*! A condition of the kernel's may look like a guard: it stays, and is a use like any other. */
  void KeepOwnGuards() {
    const Int last = ReadExpr(Get(persistent_.coordinates.front(), FieldId::kValue));
    std::erase_if(guards_, [&](const Less& guard) {
      const bool is_own = (guard.a == Number() && guard.b == Cells()) ||
                          (guard.a == last && guard.b == extents_.back());
      return !is_own;
    });
  }

  void CheckEqual(const Int& found, const Int& expected) const {
    if (found == expected) return;
    Fail("it does not count in waves of " + grid_.x.ToString() + " blocks, which are launched");
  }

  /*! Whatever else depends on the block or the wave would differ under another schedule. */
  void CheckUses() const {
    Walker walker(persistent_.launch);
    for (View node; walker.Next(&node);) {
      if (node.object() == loop_var_.object() || node.object() == persistent_.block.object()) {
        Fail("the kernel uses `" + GetString(node, FieldId::kName) +
             "` beside it, which names a block or a wave");
      }
      if (Is(node, guards_)) {
        walker.Push(Get(node, FieldId::kThenCase));
      } else if (!Is(node, persistent_.coordinates)) {
        walker.PushChildren(node);
      }
    }
  }

  static bool Is(View node, const std::vector<View>& stmts) {
    return std::ranges::find(stmts, node.object(), &Value::object) != stmts.end();
  }
  static bool Is(View node, const std::vector<Less>& guards) {
    return std::ranges::any_of(guards,
                               [&](const Less& l) { return l.stmt.object() == node.object(); });
  }

  std::vector<View> Axes() const {
    std::vector<View> axes;
    for (size_t i = persistent_.coordinates.size(); i-- > 0;) {
      axes.push_back(Get(persistent_.coordinates[i], FieldId::kVar));
    }
    return axes;
  }

  std::vector<View> WalkingStatements() const {
    std::vector<View> stmts = persistent_.coordinates;
    stmts.push_back(persistent_.loop);
    for (const Less& guard : guards_) stmts.push_back(guard.stmt);
    return stmts;
  }

  plan::Grid Domain() const {
    const auto extent = [&](size_t i) { return i < extents_.size() ? extents_[i] : Int(1); };
    return {extent(0), extent(1), extent(2)};
  }

  /*! Groups of one cell put the last axis last; one group for all puts it first. */
  std::string Order() const {
    const bool all_alone = group_size_ == 1;
    if (extents_.size() == 1) return "row_major";
    if (extents_.size() == 2) {
      if (all_alone) return "row_major";
      return group_size_ == extents_.back() ? "column_major" : "";
    }
    return all_alone ? "column_major" : "";
  }

  const PersistentLoop& persistent_;
  const plan::Grid& grid_;
  const Value loop_var_;
  ShapeVariables variables_;
  std::vector<Less> guards_;
  std::vector<Int> extents_;  // of the axes, in their order
  Int group_size_ = 1;
};

}  // namespace

Persistence ReadPersistent(const PersistentLoop& persistent, const plan::Grid& grid,
                           const ShapeVariables& variables) {
  return PersistentReader(persistent, grid, variables).Read();
}

}  // namespace tt::ir
