#include "ir/launch.h"

#include <algorithm>
#include <array>

#include "core/checked.h"
#include "ir/diagnostic.h"
#include "ir/node.h"

namespace tt::ir {
namespace {

constexpr std::string_view kRootBlock = "tilelang_root";
constexpr std::array<const char*, 3> kAxisNames = {"x", "y", "z"};

// The keys of one source of extents, by axis.
using AxisKeys = std::array<Interned, 3>;
constinit const AxisKeys kBlockTags{Interned{"blockIdx.x"}, Interned{"blockIdx.y"},
                                    Interned{"blockIdx.z"}};
constinit const AxisKeys kGridKeys{Interned{"tl_grid_x"}, Interned{"tl_grid_y"},
                                   Interned{"tl_grid_z"}};

// TIRx scopes, by the number that ScopeIdDef keeps. Source: class ScopeBinding of TVM 0.25 to 0.27.
enum ScopeBinding : int64_t { kKernelCluster = 0, kKernelCta = 1, kClusterCta = 2 };

/*! What a thread tag says about the launch grid. */
struct Tag {
  bool known;
  std::optional<size_t> axis;  // of the grid; none for whatever runs inside a grid cell
};

Tag ReadTag(std::string_view tag) {
  for (size_t axis = 0; axis < kBlockTags.size(); ++axis) {
    if (tag == kBlockTags[axis].text()) return {true, axis};
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

bool IsLoop(const Value& stmt) {
  return KindOf(stmt) == NodeKind::kFor || KindOf(stmt) == NodeKind::kWhile;
}

/*! Whether a statement names a thread of a T.Kernel that the host has not lowered. */
bool NamesThread(const Value& stmt) {
  if (KindOf(stmt) != NodeKind::kBind) return false;
  const Value op = TryGet(Get(stmt, FieldId::kValue), FieldId::kOp);
  return GetString(op, FieldId::kName) == "tl.launch_thread_idx";
}

/*! Whether a statement is the root block of a T.Kernel that the host has lowered to plain loops. */
bool HoldsLoweredRootBlock(const Value& stmt) {
  if (IsRootBlock(TryGet(stmt, FieldId::kBlock))) return true;
  bool found = false;
  const Value sequence = TryGet(stmt, FieldId::kSeq);
  for (const TVMFFIAny& element : Elements(sequence)) {
    const Value part = Value::CopyOf(element);
    if (NamesThread(part)) return false;
    found |= IsRootBlock(TryGet(part, FieldId::kBlock));
  }
  return found;
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
  return HoldsLoweredRootBlock(stmt) ? loops : std::vector<Value>();
}

/*! Reads the launch of one function and collects whatever is wrong with it. */
class LaunchReader {
 public:
  explicit LaunchReader(const Value& func)
      : func_(func), attrs_(TryGet(Get(func, FieldId::kAttrs), FieldId::kDict)) {}

  bool HasLaunch() {
    Walker walker(Get(func_, FieldId::kBody));
    for (Value stmt; walker.Next(&stmt);) {
      if (StartsLaunch(stmt)) return true;
      walker.PushStatements(stmt);
    }
    return ReadGridAttributes();
  }

  std::optional<plan::Grid> Read() {
    Walker outside(Get(func_, FieldId::kBody));
    for (Value stmt; outside.Next(&stmt);) {
      if (ReadLaunch(stmt)) continue;
      if (IsLoop(stmt)) {
        ReadLaunchesIn(stmt);
      } else {
        outside.PushStatements(stmt);
      }
    }
    if (roots_.size() > 1) ReportSeveralLaunches();
    const bool in_body = !roots_.empty();
    const bool in_attributes = ReadGridAttributes();
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

  void Report(ErrorCode code, std::string message, std::string help, Value node, Value underlined) {
    diagnostics_.push_back(
        {code, std::move(message), std::move(help), std::move(node), std::move(underlined)});
  }

  static bool StartsLaunch(const Value& stmt) {
    const Value iter_var = BoundIterVar(stmt);
    // A virtual thread alone launches nothing.
    if (!iter_var.is_none())
      return !GetString(iter_var, FieldId::kThreadTag).starts_with("vthread");
    if (KindOf(stmt) == NodeKind::kFor) return !SerialNest(stmt).empty();
    return IsDeviceEntry(stmt) || IsRootBlock(stmt);
  }

  /*! Reads a launch and all below it if one starts at this statement. */
  bool ReadLaunch(const Value& stmt) {
    if (!StartsLaunch(stmt)) return false;
    if (KindOf(stmt) == NodeKind::kFor) ReadSerialNest(SerialNest(stmt));
    roots_.push_back(stmt);
    ReadRegion(stmt);
    return true;
  }

  /*! A loop of the host's around a launch repeats it. */
  void ReadLaunchesIn(const Value& loop) {
    Walker inside(Get(loop, FieldId::kBody));
    for (Value stmt; inside.Next(&stmt);) {
      if (!ReadLaunch(stmt)) {
        inside.PushStatements(stmt);
        continue;
      }
      Report(ErrorCode::kLaunchInLoop,
             "the launch stands in a loop, which repeats it; expected one launch",
             "move the loop into the kernel", loop, loop);
    }
  }

  /*! TileLang puts x outermost, always. Other launches have no such loops. */
  void ReadSerialNest(const std::vector<Value>& loops) {
    if (loops.size() > kAxisNames.size()) {
      Report(ErrorCode::kGridRank,
             std::to_string(loops.size()) + " loops around the kernel's body; expected at most 3",
             "run this pass before the kernel's launch is lowered to loops", loops.front(),
             loops.front());
      return;
    }
    for (size_t axis = 0; axis < loops.size(); ++axis) {
      SetAxis(axis, Get(loops[axis], FieldId::kExtent), "loop", loops[axis]);
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
      inside.PushStatements(stmt);
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
    Report(ErrorCode::kThreadTag,
           "thread tag \"" + name +
               "\" is not understood; expected blockIdx.*, threadIdx.*, "
               "clusterCtaIdx.* or vthread*",
           "launch the kernel over block indices only", stmt, stmt);
  }

  void ReadScopes() {
    bool ctas_given = false;
    Value clusters, ctas_per_cluster, cluster_stmt;
    for (const Value& stmt : scopes_) {
      const Value scope = Get(stmt, FieldId::kDef);
      const Value extents = Get(scope, FieldId::kExtents);
      if (extents.is_none()) continue;  // they follow from the other scopes
      const auto binding = Get(scope, FieldId::kScope).AsInt();
      if (binding == kKernelCta) {
        ctas_given = true;
        ReadCtas(extents, stmt);
      } else if (binding == kKernelCluster) {
        clusters = extents;
        cluster_stmt = stmt;
      } else if (binding == kClusterCta) {
        ctas_per_cluster = extents;
      }
    }
    if (!ctas_given && !clusters.is_none()) ReadClusters(clusters, ctas_per_cluster, cluster_stmt);
  }

  void ReadCtas(const Value& extents, const Value& stmt) {
    const auto elements = Elements(extents);
    if (elements.size() > kAxisNames.size()) {
      return Report(
          ErrorCode::kGridRank,
          "cta_id has " + std::to_string(elements.size()) + " extents; expected at most 3",
          "launch on x, y and z", stmt, stmt);
    }
    for (size_t axis = 0; axis < elements.size(); ++axis) {
      SetAxis(axis, Value::CopyOf(elements[axis]), "cta_id", stmt);
    }
  }

  /*! Hosts put clusters times CTAs on x; what several axes of clusters mean there, nobody says. */
  void ReadClusters(const Value& clusters, const Value& ctas_per_cluster, const Value& stmt) {
    if (Elements(clusters).size() != 1 || ctas_per_cluster.is_none()) {
      return Report(ErrorCode::kClusterOnly, "cluster_id alone does not say the launch grid",
                    "give the grid with T.cta_id([...])", stmt, stmt);
    }
    int64_t ctas = 1;
    for (const Value& extents : {clusters, ctas_per_cluster}) {
      for (const TVMFFIAny& element : Elements(extents)) {
        const Value extent = Value::CopyOf(element);
        const auto constant = ConstantOf(extent);
        if (!constant || *constant < 1) return SetAxis(0, extent, "cluster_id", stmt);
        ctas = CheckedMul(ctas, *constant);
      }
    }
    SetAxis(0, ctas, "cluster_id", stmt);
  }

  void SetAxis(size_t axis, const Value& expr, std::string_view origin, const Value& stmt) {
    const std::optional<int64_t> extent = ConstantOf(expr);
    Axis& known = axes_[axis];
    const auto report = [&](ErrorCode code, const std::string& problem, const char* help) {
      Report(code, Describe(axis, origin) + problem, help, stmt, expr);
    };
    if (!extent) {
      report(ErrorCode::kSymbolicGrid, " is not an integer constant",
             "give the kernel static shapes and an integer extent");
    } else if (*extent < 1) {
      report(ErrorCode::kGridExtent, " is " + std::to_string(*extent) + "; expected at least 1",
             "launch at least one work tile on every axis");
    } else if (known.extent && *known.extent != *extent) {
      report(ErrorCode::kGridConflict,
             " is " + std::to_string(*extent) + ", but " + known.origin + " says " +
                 std::to_string(*known.extent),
             "let both say the same, or remove one of them");
    } else if (!known.extent) {
      known = {extent, std::string(origin)};
    }
  }

  static std::string Describe(size_t axis, std::string_view origin) {
    return std::string("grid extent ") + kAxisNames[axis] + " (" + std::string(origin) + ")";
  }

  bool ReadGridAttributes() {
    static constinit const Interned thread_extent{"thread_extent"};
    return ReadAttributes(attrs_, kGridKeys, "attribute ") |
           ReadAttributes(MapGet(attrs_, thread_extent), kBlockTags, "attribute thread_extent: ");
  }

  /*! Reads extents from a map. One that the map leaves out while it has others is 1. */
  bool ReadAttributes(const Value& map, const AxisKeys& keys, const std::string& where) {
    if (map.type_index() != kTVMFFIMap) return false;
    std::array<Value, 3> extents;
    for (size_t axis = 0; axis < 3; ++axis) extents[axis] = MapGet(map, keys[axis]);
    if (std::ranges::all_of(extents, &Value::is_none)) return false;
    for (size_t axis = 0; axis < 3; ++axis) {
      if (!extents[axis].is_none()) {
        SetAxis(axis, extents[axis], where + keys[axis].text(), Value());
      } else if (Extent(axis) != 1) {
        Report(ErrorCode::kGridConflict,
               Describe(axis, axes_[axis].origin) + " is " + std::to_string(Extent(axis)) +
                   ", but " + where + keys[axis].text() + " is left out, which means 1",
               "let both say the same, or remove the attributes", Value(), Value());
      }
    }
    return true;
  }

  void CheckNotForeign(const Value& root_block) {
    if (MapGet(Get(root_block, FieldId::kAnnotations), "code_block_source").is_none()) return;
    Report(ErrorCode::kForeignSource,
           "the body is foreign source text (code_block_source), which says nothing about its grid "
           "cells; expected TileLang statements",
           "write the kernel in TileLang", root_block, root_block);
  }

  void ReportSeveralLaunches() {
    // The axes of one launch contradict those of another: that is not a second mistake.
    std::erase_if(diagnostics_,
                  [](const Diagnostic& d) { return ErrorKindOf(d.code) == ErrorKind::kGrid; });
    Report(ErrorCode::kSeveralLaunches,
           std::to_string(roots_.size()) + " launches in one function; expected one",
           "put each launch into a function of its own", roots_.back(), roots_.back());
  }

  const Value& func_;
  const Value attrs_;
  std::vector<Value> roots_;
  std::vector<Value> scopes_;
  std::array<Axis, 3> axes_;
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace

std::optional<plan::Grid> FindGrid(const Value& func) { return LaunchReader(func).Read(); }

bool IsKernel(const Value& func) {
  return KindOf(func) == NodeKind::kPrimFunc && LaunchReader(func).HasLaunch();
}

}  // namespace tt::ir
