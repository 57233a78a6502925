#include "ir/launch.h"

#include <algorithm>
#include <array>

#include "ir/diagnostic.h"
#include "ir/node.h"

namespace tt::ir {
namespace {

constexpr std::string_view kRootBlock = "tilelang_root";
constexpr std::array<const char*, 3> kAxisNames = {"x", "y", "z"};

// TIRx scopes, by the number that ScopeIdDef keeps. Source: class ScopeBinding of TVM 0.25 to 0.27.
enum ScopeBinding : int64_t { kKernelCluster = 0, kKernelCta = 1, kClusterCta = 2 };

/*! What a thread tag says about the launch grid. */
struct Tag {
  bool known;
  std::optional<size_t> axis;  // of the grid; none for whatever runs inside a grid cell
};

Tag ReadTag(std::string_view tag) {
  for (size_t axis = 0; axis < kAxisNames.size(); ++axis) {
    if (tag == std::string("blockIdx.") + kAxisNames[axis]) return {true, axis};
  }
  const bool inner = tag.starts_with("threadIdx.") || tag.starts_with("vthread") ||
                     tag.starts_with("clusterCtaIdx.");
  return {inner, std::nullopt};
}

/*! The iteration variable that a statement binds to a hardware index; none for other statements. */
Value BoundIterVar(const Value& stmt) {
  if (KindOf(stmt) == NodeKind::kFor) return Get(stmt, FieldId::kThreadBinding);
  const bool binds =
      KindOf(stmt) == NodeKind::kAttrStmt && GetString(stmt, FieldId::kAttrKey) == "thread_extent";
  return binds ? Get(stmt, FieldId::kNode) : Value();
}

Value BoundExtent(const Value& stmt) {
  return Get(stmt, KindOf(stmt) == NodeKind::kFor ? FieldId::kExtent : FieldId::kValue);
}

bool IsRootBlock(const Value& node) {
  return KindOf(node) == NodeKind::kSBlock && GetString(node, FieldId::kNameHint) == kRootBlock;
}

bool IsDeviceEntry(const Value& node) {
  return KindOf(node) == NodeKind::kAttrStmt &&
         GetString(node, FieldId::kAttrKey) == "tirx.device_entry";
}

/*! Whether a statement is TileLang's root block, alone or in a sequence. */
bool HoldsRootBlock(const Value& stmt) {
  const Value sequence = TryGet(stmt, FieldId::kSeq);
  return IsRootBlock(TryGet(stmt, FieldId::kBlock)) ||
         std::ranges::any_of(Elements(sequence), [](const TVMFFIAny& element) {
           return IsRootBlock(TryGet(Value::CopyOf(element), FieldId::kBlock));
         });
}

/*!
 * The unbound loops from this one down to TileLang's root block, outermost first; none where there
 * is no such block. One loop more than a grid has axes is enough to see that there are too many.
 */
std::vector<Value> SerialNest(const Value& loop) {
  std::vector<Value> loops;
  Value stmt = loop;
  while (loops.size() <= kAxisNames.size() && KindOf(stmt) == NodeKind::kFor &&
         BoundIterVar(stmt).is_none()) {
    loops.push_back(stmt);
    stmt = Get(stmt, FieldId::kBody);
  }
  return HoldsRootBlock(stmt) ? loops : std::vector<Value>();
}

/*! Reads the launch of one function and collects whatever is wrong with it. */
class LaunchReader {
 public:
  explicit LaunchReader(const Value& func) : func_(func), attrs_(TryGet(Get(func, FieldId::kAttrs), FieldId::kDict)) {}

  std::optional<plan::Grid> Read() {
    Walker outside(Get(func_, FieldId::kBody));
    for (Value stmt; outside.Next(&stmt);) {
      if (!ReadLaunch(stmt)) outside.PushChildren(stmt);
    }
    if (roots_.size() > 1) ReportSeveralLaunches();
    const bool in_body = !roots_.empty();
    const bool in_attributes = ReadGridAttributes() | ReadThreadExtentAttribute();
    if (!diagnostics_.empty()) Refuse(func_, diagnostics_);
    if (!in_body && !in_attributes) return std::nullopt;
    return plan::Grid{Extent(0), Extent(1), Extent(2)};
  }

 private:
  struct Axis {
    std::optional<int64_t> extent;
    std::string origin;
  };

  int64_t Extent(size_t axis) const { return axes_[axis].extent.value_or(1); }

  void Report(ErrorKind kind, std::string message, std::string help, Value node, Value underlined) {
    diagnostics_.push_back(
        {kind, std::move(message), std::move(help), std::move(node), std::move(underlined)});
  }

  /*! Reads a launch and all below it if one starts at this statement. */
  bool ReadLaunch(const Value& stmt) {
    const NodeKind kind = KindOf(stmt);
    if (const Value iter_var = BoundIterVar(stmt); !iter_var.is_none()) {
      // A virtual thread alone launches nothing.
      if (GetString(iter_var, FieldId::kThreadTag).starts_with("vthread")) return false;
    } else if (kind == NodeKind::kFor) {
      const std::vector<Value> loops = SerialNest(stmt);
      if (loops.empty()) return false;
      ReadSerialNest(loops);
    } else if (!IsDeviceEntry(stmt) && !IsRootBlock(stmt)) {
      return false;
    }
    roots_.push_back(stmt);
    ReadRegion(stmt);
    return true;
  }

  /*! TileLang puts x outermost, always. */
  void ReadSerialNest(const std::vector<Value>& loops) {
    if (loops.size() > kAxisNames.size()) {
      Report(ErrorKind::kGrid,
             std::to_string(loops.size()) + " loops around the kernel's body; expected at most 3",
             "run this pass before the kernel's launch is lowered to loops", loops.front(),
             loops.front());
      return;
    }
    for (size_t axis = 0; axis < loops.size(); ++axis) {
      SetAxis(axis, Get(loops[axis], FieldId::kExtent), "loop " + std::to_string(axis), loops[axis]);
    }
  }

  void ReadRegion(const Value& root) {
    int64_t root_blocks = 0;
    Walker inside(root);
    for (Value stmt; inside.Next(&stmt);) {
      ReadBinding(stmt);
      if (KindOf(stmt) == NodeKind::kScopeIdDefStmt) scopes_.push_back(stmt);
      if (IsRootBlock(stmt)) {
        if (++root_blocks == 2) roots_.push_back(stmt);
        CheckNotForeign(stmt);
      }
      inside.PushChildren(stmt);
    }
    ReadScopes();
  }

  void ReadBinding(const Value& stmt) {
    const Value iter_var = BoundIterVar(stmt);
    if (iter_var.is_none()) return;
    const std::string name = GetString(iter_var, FieldId::kThreadTag);
    const Tag tag = ReadTag(name);
    if (tag.axis) SetAxis(*tag.axis, BoundExtent(stmt), name, stmt);
    if (tag.known) return;
    Report(ErrorKind::kGrid,
           "thread tag \"" + name + "\" is not understood; expected blockIdx.*, threadIdx.*, "
           "clusterCtaIdx.* or vthread*",
           "launch the kernel over block indices only", stmt, stmt);
  }

  /*! The CTAs of the kernel, given as such or as clusters times CTAs per cluster (all on x). */
  void ReadScopes() {
    int64_t product = 1;
    bool clustered = false;
    for (const Value& stmt : scopes_) {
      const Value scope = Get(stmt, FieldId::kDef);
      const int64_t binding = Get(scope, FieldId::kScope).AsInt().value_or(-1);
      const Value extents = Get(scope, FieldId::kExtents);
      const auto elements = Elements(extents);
      if (binding == kKernelCta && !extents.is_none()) {
        for (size_t axis = 0; axis < elements.size() && axis < kAxisNames.size(); ++axis) {
          SetAxis(axis, Value::CopyOf(elements[axis]), "cta_id", stmt);
        }
        cta_given_ = true;
      }
      if (binding != kKernelCluster && binding != kClusterCta) continue;
      clustered |= binding == kKernelCluster;
      for (const TVMFFIAny& element : elements) product *= ConstantOf(Value::CopyOf(element)).value_or(0);
    }
    if (clustered && !cta_given_) SetAxis(0, Value(product), "cluster_id", scopes_.front());
  }

  void SetAxis(size_t axis, const Value& expr, const std::string& origin, const Value& stmt) {
    const std::string what = std::string("grid extent ") + kAxisNames[axis] + " (" + origin + ")";
    const std::optional<int64_t> extent = ConstantOf(expr);
    if (!extent) {
      Report(ErrorKind::kGrid, what + " is not an integer constant",
             "give the kernel static shapes and an integer extent", stmt, expr);
    } else if (*extent < 1) {
      Report(ErrorKind::kGrid, what + " is " + std::to_string(*extent) + "; expected at least 1",
             "launch at least one work tile on every axis", stmt, expr);
    } else if (axes_[axis].extent && *axes_[axis].extent != *extent) {
      Report(ErrorKind::kGrid,
             what + " is " + std::to_string(*extent) + ", but " + axes_[axis].origin + " says " +
                 std::to_string(*axes_[axis].extent),
             "let both say the same, or remove one of them", stmt, expr);
    } else {
      axes_[axis] = {extent, origin};
    }
  }

  /*! Every axis that a source leaves out has extent 1 there. */
  void SetAxes(const std::array<Value, 3>& extents, const std::array<std::string, 3>& origins) {
    for (size_t axis = 0; axis < 3; ++axis) {
      const bool given = !extents[axis].is_none();
      if (!given && (roots_.empty() || Extent(axis) == 1)) continue;
      SetAxis(axis, given ? extents[axis] : Value(int64_t{1}),
              origins[axis] + (given ? "" : ", left out"), Value());
    }
  }

  bool ReadGridAttributes() {
    std::array<Value, 3> extents;
    std::array<std::string, 3> origins;
    for (size_t axis = 0; axis < 3; ++axis) {
      origins[axis] = std::string("tl_grid_") + kAxisNames[axis];
      extents[axis] = MapGet(attrs_, origins[axis]);
    }
    if (extents[0].is_none() && extents[1].is_none() && extents[2].is_none()) return false;
    SetAxes(extents, origins);
    return true;
  }

  /*! What TileLang notes on a device function: a map from thread tags to extents. */
  bool ReadThreadExtentAttribute() {
    const Value tags = MapGet(attrs_, "thread_extent");
    if (tags.type_index() != kTVMFFIMap) return false;
    std::array<Value, 3> extents;
    std::array<std::string, 3> origins;
    for (size_t axis = 0; axis < 3; ++axis) {
      const std::string tag = std::string("blockIdx.") + kAxisNames[axis];
      origins[axis] = "attribute thread_extent[\"" + tag + "\"]";
      extents[axis] = MapGet(tags, tag);
    }
    if (extents[0].is_none() && extents[1].is_none() && extents[2].is_none()) return false;
    SetAxes(extents, origins);
    return true;
  }

  void CheckNotForeign(const Value& root_block) {
    if (MapGet(Get(root_block, FieldId::kAnnotations), "code_block_source").is_none()) return;
    Report(ErrorKind::kOpaqueKernel,
           "the body is foreign source text (code_block_source), which says nothing about its grid "
           "cells; expected TileLang statements",
           "write the kernel in TileLang", root_block, root_block);
  }

  void ReportSeveralLaunches() {
    // The axes of one launch contradict those of another: that is not a second mistake.
    std::erase_if(diagnostics_, [](const Diagnostic& d) { return d.kind == ErrorKind::kGrid; });
    Report(ErrorKind::kMultipleLaunches,
           std::to_string(roots_.size()) + " launches in one function; expected one",
           "put each launch into a function of its own", roots_.back(), roots_.back());
  }

  const Value& func_;
  const Value attrs_;
  std::vector<Value> roots_;
  std::vector<Value> scopes_;
  bool cta_given_ = false;
  std::array<Axis, 3> axes_;
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace

std::optional<plan::Grid> FindGrid(const Value& func) { return LaunchReader(func).Read(); }

}  // namespace tt::ir
