#include "ir/launch.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/error.h"
#include "ir/diagnostic.h"
#include "ir/memory.h"
#include "ir/node.h"
#include "ir/parameters.h"
#include "ir/size.h"

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

/*! What a thread tag says about the launch grid. */
struct Tag {
  bool known;
  std::optional<size_t> axis;  // of the grid; none for whatever runs inside a grid cell
};

Tag ReadTag(std::string_view tag) {
  if (const auto axis = GridAxisOf(tag)) return {true, axis};
  const bool inner = tag.starts_with("threadIdx.") || tag.starts_with("vthread") ||
                     tag.starts_with("clusterCtaIdx.");
  return {inner, std::nullopt};
}

View BoundExtent(View stmt) {
  return Get(stmt, KindOf(stmt) == NodeKind::kFor ? FieldId::kExtent : FieldId::kValue);
}

bool IsLoop(View stmt) {
  return KindOf(stmt) == NodeKind::kFor || KindOf(stmt) == NodeKind::kWhile;
}

/*! Whether a statement is the root block of a T.Kernel that the host has lowered to plain loops. */
bool HoldsLoweredRootBlock(View stmt) {
  if (IsRootBlock(TryGet(stmt, FieldId::kBlock))) return true;
  bool found = false;
  const View sequence = TryGet(stmt, FieldId::kSeq);
  for (const TVMFFIAny& element : Elements(sequence)) {
    const View part = View::Of(element);
    if (NamesThread(part)) return false;
    found |= IsRootBlock(TryGet(part, FieldId::kBlock));
  }
  return found;
}

bool StartsLaunch(View stmt) {
  const View iter_var = BoundIterVar(stmt);
  // A virtual thread alone launches nothing.
  if (!iter_var.is_none()) return !GetString(iter_var, FieldId::kThreadTag).starts_with("vthread");
  if (KindOf(stmt) == NodeKind::kFor) return !LoweredGrid(stmt).empty();
  return IsDeviceEntry(stmt) || IsRootBlock(stmt);
}

View ThreadExtentsOf(View attrs) {
  static constinit const Interned thread_extent{"thread_extent"};
  return MapGet(attrs, thread_extent);
}

/*! The extents that a map has of these keys; nothing where it has none of them. */
std::optional<std::array<View, 3>> ExtentsOf(View map, const AxisKeys& keys) {
  if (map.type_index() != kTVMFFIMap) return std::nullopt;
  std::array<View, 3> extents;
  for (size_t axis = 0; axis < 3; ++axis) extents[axis] = MapGet(map, keys[axis]);
  if (std::ranges::all_of(extents, &View::is_none)) return std::nullopt;
  return extents;
}

bool HasGridAttributes(View attrs) {
  return ExtentsOf(attrs, kGridKeys) || ExtentsOf(ThreadExtentsOf(attrs), kBlockTags);
}

/*! What is known of a function while its launches are read. */
class Context {
 public:
  explicit Context(View func)
      : func_(func), attrs_(TryGet(Get(func, FieldId::kAttrs), FieldId::kDict)) {}

  View func() const { return func_; }
  View attrs() const { return attrs_; }
  /*! Made at the first use: static grids need none. */
  const ShapeVariables& variables() {
    if (!variables_) {
      parameters_ = Parameters(func_);
      variables_.emplace(parameters_);
    }
    return *variables_;
  }

  void Report(ErrorCode code, std::string message, std::string help, View node, View underlined) {
    diagnostics_.push_back({code, std::move(message), std::move(help), node, underlined});
  }
  std::vector<Diagnostic>& diagnostics() { return diagnostics_; }

 private:
  View func_;
  const Value attrs_;
  std::vector<Parameter> parameters_;
  std::optional<ShapeVariables> variables_;
  std::vector<Diagnostic> diagnostics_;
};

/*! The order that an AttrStmt asks for: tvm_tuple(name of a device function, panel). */
Swizzle ReadSwizzle(View stmt) {
  const View args = TryGet(Get(stmt, FieldId::kValue), FieldId::kArgs);
  const auto elements = Elements(args);
  if (elements.size() != 2) return {"", 0, "an unknown pattern", stmt};
  const std::string function = GetString(View::Of(elements[0]), FieldId::kValue);
  const int64_t panel = ConstantOf(View::Of(elements[1])).value_or(0);
  const bool is_row = function == "rasterization2DRow";
  const bool is_known = (is_row || function == "rasterization2DColumn") && panel >= 1;
  const std::string order = is_row ? "swizzled_row" : "swizzled_column";
  return {is_known ? order : "", panel, function + " of " + std::to_string(panel), stmt};
}

/*! Reads one launch and reports whatever is wrong with it. */
class LaunchReader {
 public:
  explicit LaunchReader(Context* context) : context_(*context) {}

  /*!
   * Reads a launch from its outermost statement, if any, and from the attributes where they state
   * the grid of the function's only launch.
   */
  Launch Read(View root, bool with_attributes) {
    if (!root.is_none()) {
      if (const auto nest = LoweredGrid(root); !nest.empty()) ReadSerialNest(nest);
      ReadRegion(root);
    }
    if (with_attributes) {
      ReadAttributes(context_.attrs(), kGridKeys, "attribute ");
      ReadAttributes(ThreadExtentsOf(context_.attrs()), kBlockTags, "attribute thread_extent: ");
    }
    Launch launch = {{Extent(0), Extent(1), Extent(2)}, root, swizzle_, std::nullopt};
    if (!persistent_loop_.is_none() && context_.diagnostics().empty()) ReadPersistence(&launch);
    return launch;
  }

 private:
  struct Axis {
    std::optional<Int> extent;
    std::string origin;
  };

  Int Extent(size_t axis) const { return axes_[axis].extent.value_or(1); }

  /*! TileLang puts x outermost, always. Other launches have no such loops. */
  void ReadSerialNest(const std::vector<View>& loops) {
    if (loops.size() > kAxisNames.size()) {
      context_.Report(
          ErrorCode::kGridRank,
          std::to_string(loops.size()) + " loops around the kernel's body; expected at most 3",
          "run this pass before the kernel's launch is lowered to loops", loops.front(),
          loops.front());
      return;
    }
    for (size_t axis = 0; axis < loops.size(); ++axis) {
      SetAxis(axis, Get(loops[axis], FieldId::kExtent), "loop", loops[axis]);
    }
    block_ = Get(loops.front(), FieldId::kLoopVar);
  }

  void ReadRegion(View root) {
    const size_t reported = context_.diagnostics().size();
    int64_t root_blocks = 0;
    Walker inside(root);
    for (View stmt; inside.Next(&stmt);) {
      ReadBinding(stmt);
      if (KindOf(stmt) == NodeKind::kScopeIdDefStmt) scopes_.push_back(stmt);
      if (IsRootBlock(stmt)) {
        if (++root_blocks == 2) ReportNestedLaunch(stmt, reported);
        CheckNotForeign(stmt);
      }
      if (root_blocks > 0) ReadTileLang(stmt);
      inside.PushStatements(stmt);
    }
    ReadScopes();
  }

  void ReadBinding(View stmt) {
    const View iter_var = BoundIterVar(stmt);
    if (iter_var.is_none()) return;
    const std::string name = GetString(iter_var, FieldId::kThreadTag);
    const Tag tag = ReadTag(name);
    if (tag.axis) SetAxis(*tag.axis, BoundExtent(stmt), name, stmt);
    if (tag.axis == 0) {
      const bool is_loop = KindOf(stmt) == NodeKind::kFor;
      block_ = is_loop ? Get(stmt, FieldId::kLoopVar) : Get(iter_var, FieldId::kVar);
    }
    if (tag.known) return;
    context_.Report(ErrorCode::kThreadTag,
                    "thread tag \"" + name +
                        "\" is not understood; expected blockIdx.*, threadIdx.*, "
                        "clusterCtaIdx.* or vthread*",
                    "launch the kernel over block indices only", stmt, stmt);
  }

  /*! What only kernels of TileLang have. */
  void ReadTileLang(View stmt) {
    switch (KindOf(stmt)) {
      case NodeKind::kAttrStmt:
        if (GetString(stmt, FieldId::kAttrKey) != "threadblock_swizzle_pattern") return;
        swizzle_ = swizzle_ ? Swizzle{"", 0, "two patterns", stmt} : ReadSwizzle(stmt);
        return;
      case NodeKind::kBind: return NoteUses(stmt);
      case NodeKind::kFor: return NoteLoop(stmt);
      default: return;
    }
  }

  /*! T.Persistent alone uses the variable of a loop before the loop defines it. */
  void NoteUses(View bind) {
    Walker walker(Get(bind, FieldId::kValue));
    for (View node; walker.Next(&node);) {
      if (KindOf(node) == NodeKind::kVar) first_use_.try_emplace(node.object(), binds_.size());
      walker.PushChildren(node);
    }
    binds_.push_back(bind);
  }

  void NoteLoop(View loop) {
    const auto use = first_use_.find(Get(loop, FieldId::kLoopVar).object());
    if (use == first_use_.end()) return;
    if (!persistent_loop_.is_none()) {
      return context_.Report(ErrorCode::kPersistentLoop,
                             "two persistent loops in one launch; expected one",
                             "give each loop a launch of its own", loop, loop);
    }
    persistent_loop_ = loop;
    // The coordinate of the last axis comes first and uses it; one whose extent is 1 does not.
    coordinates_.assign(binds_.begin() + static_cast<std::ptrdiff_t>(use->second), binds_.end());
  }

  void ReadPersistence(Launch* launch) {
    try {
      launch->persistence = ReadPersistent({launch->root, persistent_loop_, coordinates_, block_},
                                           launch->grid, context_.variables());
      launch->grid = launch->persistence->domain;
    } catch (const Error& error) {
      context_.Report(ErrorCode::kPersistentLoop, error.what(),
                      "launch the kernel on its whole domain, without T.Persistent",
                      persistent_loop_, persistent_loop_);
    }
  }

  void ReadScopes() {
    bool ctas_given = false;
    Value clusters, ctas_per_cluster, cluster_stmt;
    for (View stmt : scopes_) {
      const View scope = Get(stmt, FieldId::kDef);
      const View extents = Get(scope, FieldId::kExtents);
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

  void ReadCtas(View extents, View stmt) {
    const auto elements = Elements(extents);
    if (elements.size() > kAxisNames.size()) {
      return context_.Report(
          ErrorCode::kGridRank,
          "cta_id has " + std::to_string(elements.size()) + " extents; expected at most 3",
          "launch on x, y and z", stmt, stmt);
    }
    for (size_t axis = 0; axis < elements.size(); ++axis) {
      SetAxis(axis, View::Of(elements[axis]), "cta_id", stmt);
    }
  }

  /*! Hosts put clusters times CTAs on x; what several axes of clusters mean there, nobody says. */
  void ReadClusters(View clusters, View ctas_per_cluster, View stmt) {
    if (Elements(clusters).size() != 1 || ctas_per_cluster.is_none()) {
      return context_.Report(ErrorCode::kClusterOnly,
                             "cluster_id alone does not say the launch grid",
                             "give the grid with T.cta_id([...])", stmt, stmt);
    }
    Int ctas = 1;
    for (View extents : {clusters, ctas_per_cluster}) {
      for (const TVMFFIAny& element : Elements(extents)) {
        const auto extent = ReadExtent(0, View::Of(element), "cluster_id", stmt);
        if (!extent) return;
        ctas = ctas * *extent;
      }
    }
    SetAxis(0, ctas, View(), "cluster_id", stmt);
  }

  void ReportExtent(ErrorCode code, size_t axis, std::string_view origin,
                    const std::string& problem, const char* help, View stmt, View expr) {
    context_.Report(code, Describe(axis, origin) + problem, help, stmt, expr);
  }

  /*! The size of an extent; nothing where it is none, which is reported. */
  std::optional<Int> ReadExtent(size_t axis, View expr, std::string_view origin, View stmt) {
    Int extent;
    if (const auto constant = ConstantOf(expr)) {
      extent = *constant;
    } else {
      try {
        extent = ReadInt(expr, context_.variables());
      } catch (const Error& error) {
        ReportExtent(error.kind() == ErrorKind::kOverflow ? error.code() : ErrorCode::kGridSize,
                     axis, origin, std::string(" is no size: ") + error.what(),
                     "launch on constants and on the variables of the tensors' shapes", stmt, expr);
        return std::nullopt;
      }
    }
    if (extent.constant().value_or(1) >= 1) return extent;
    ReportExtent(ErrorCode::kGridExtent, axis, origin,
                 " is " + extent.ToString() + "; expected at least 1",
                 "launch at least one work tile on every axis", stmt, expr);
    return std::nullopt;
  }

  void SetAxis(size_t axis, View expr, std::string_view origin, View stmt) {
    if (const auto extent = ReadExtent(axis, expr, origin, stmt)) {
      SetAxis(axis, *extent, expr, origin, stmt);
    }
  }

  void SetAxis(size_t axis, const Int& extent, View expr, std::string_view origin, View stmt) {
    Axis& known = axes_[axis];
    if (!known.extent) {
      known = {extent, std::string(origin)};
    } else if (*known.extent != extent) {
      ReportExtent(ErrorCode::kGridConflict, axis, origin,
                   " is " + extent.ToString() + ", but " + known.origin + " says " +
                       known.extent->ToString(),
                   "let both say the same, or remove one of them", stmt, expr);
    }
  }

  static std::string Describe(size_t axis, std::string_view origin) {
    return std::string("grid extent ") + kAxisNames[axis] + " (" + std::string(origin) + ")";
  }

  /*! Reads extents from a map. One that the map leaves out while it has others is 1. */
  void ReadAttributes(View map, const AxisKeys& keys, const std::string& where) {
    const auto extents = ExtentsOf(map, keys);
    if (!extents) return;
    for (size_t axis = 0; axis < 3; ++axis) {
      if (!(*extents)[axis].is_none()) {
        SetAxis(axis, (*extents)[axis], where + keys[axis].text(), View());
      } else if (Extent(axis) != 1) {
        ReportExtent(ErrorCode::kGridConflict, axis, axes_[axis].origin,
                     " is " + Extent(axis).ToString() + ", but " + where + keys[axis].text() +
                         " is left out, which means 1",
                     "let both say the same, or remove the attributes", View(), View());
      }
    }
  }

  void CheckNotForeign(View root_block) {
    if (MapGet(Get(root_block, FieldId::kAnnotations), "code_block_source").is_none()) return;
    context_.Report(
        ErrorCode::kForeignSource,
        "the body is foreign source text (code_block_source), which says nothing about its grid "
        "cells; expected TileLang statements",
        "write the kernel in TileLang", root_block, root_block);
  }

  void ReportNestedLaunch(View root_block, size_t reported) {
    // The axes of one launch contradict those of another: that is not a second mistake.
    context_.diagnostics().resize(reported);
    context_.Report(ErrorCode::kLaunchInLaunch,
                    "the launch stands in another launch; expected one after the other",
                    "end the first launch before the second one, or make them one", root_block,
                    root_block);
  }

  Context& context_;
  std::vector<View> scopes_;
  std::array<Axis, 3> axes_;
  std::optional<Swizzle> swizzle_;
  View block_;  // the variable of blockIdx.x
  View persistent_loop_;
  std::vector<View> coordinates_;  // that the persistent loop defines, as Binds
  std::vector<View> binds_;
  std::unordered_map<const TVMFFIObject*, size_t> first_use_;  // of variables, in binds_
};

/*! Reads all launches of a function, or refuses it with all that is wrong. */
class FunctionReader {
 public:
  explicit FunctionReader(View func) : context_(func) {}

  bool HasLaunch() const {
    Walker walker(Get(context_.func(), FieldId::kBody));
    for (View stmt; walker.Next(&stmt);) {
      if (StartsLaunch(stmt)) return true;
      walker.PushStatements(stmt);
    }
    return HasGridAttributes(context_.attrs());
  }

  std::vector<View> Bodies() {
    FindRoots();
    if (roots_.empty() && !HasGridAttributes(context_.attrs())) return {};
    if (roots_.size() < 2) return {Get(context_.func(), FieldId::kBody)};
    std::vector<View> bodies;
    for (const Root& root : roots_) bodies.push_back(root.stmt);
    return bodies;
  }

  std::vector<Launch> Read() {
    FindRoots();
    const bool in_attributes = HasGridAttributes(context_.attrs());
    if (roots_.empty() && in_attributes) roots_.push_back({View(), 0});
    const bool is_only = roots_.size() == 1;
    std::vector<Launch> launches;
    for (const Root& root : roots_) {
      CheckPlace(root, is_only);
      launches.push_back(LaunchReader(&context_).Read(root.stmt, is_only && in_attributes));
    }
    if (!is_only && in_attributes) {
      context_.Report(ErrorCode::kSeveralLaunches,
                      std::to_string(roots_.size()) +
                          " launches in one function, whose attributes state one grid",
                      "remove the attributes tl_grid_* and thread_extent", View(), View());
    }
    if (!context_.diagnostics().empty()) Refuse(context_.func(), context_.diagnostics());
    return launches;
  }

 private:
  /*! A loop or a branch around launches. */
  struct Place {
    View stmt;  // none outside of both
    bool is_loop;
  };
  struct Root {
    View stmt;
    size_t place;
  };

  void FindRoots() {
    Walker walker(Get(context_.func(), FieldId::kBody));
    for (View stmt; walker.Next(&stmt);) {
      const size_t place = walker.context();
      if (StartsLaunch(stmt)) {
        roots_.push_back({stmt, place});
        continue;
      }
      const bool is_branch = KindOf(stmt) == NodeKind::kIfThenElse;
      if (IsLoop(stmt) || (is_branch && !places_[place].is_loop)) {
        places_.push_back({stmt, !is_branch});
        walker.set_context(places_.size() - 1);
      }
      walker.PushStatements(stmt);
    }
  }

  void CheckPlace(const Root& root, bool is_only) {
    const Place& place = places_[root.place];
    if (place.stmt.is_none()) return;
    if (place.is_loop) {
      context_.Report(ErrorCode::kLaunchInLoop,
                      "the launch stands in a loop, which repeats it; expected one launch",
                      "move the loop into the kernel", place.stmt, place.stmt);
    } else if (!is_only) {
      context_.Report(ErrorCode::kLaunchInBranch,
                      "one of several launches stands in a branch, so which of them run is known "
                      "only at run time; expected launches that all run",
                      "put each launch into a function of its own", place.stmt, place.stmt);
    }
  }

  Context context_;
  std::vector<Root> roots_;
  std::vector<Place> places_ = {{View(), false}};
};

}  // namespace

View BoundIterVar(View stmt) {
  if (KindOf(stmt) == NodeKind::kFor) return Get(stmt, FieldId::kThreadBinding);
  const bool binds =
      KindOf(stmt) == NodeKind::kAttrStmt && GetString(stmt, FieldId::kAttrKey) == "thread_extent";
  return binds ? Get(stmt, FieldId::kNode) : View();
}

std::optional<size_t> GridAxisOf(std::string_view tag) {
  for (size_t axis = 0; axis < kBlockTags.size(); ++axis) {
    if (tag == kBlockTags[axis].text()) return axis;
  }
  return std::nullopt;
}

bool IsRootBlock(View node) {
  return KindOf(node) == NodeKind::kSBlock && GetString(node, FieldId::kNameHint) == kRootBlock;
}

bool IsDeviceEntry(View node) {
  return KindOf(node) == NodeKind::kAttrStmt &&
         GetString(node, FieldId::kAttrKey) == "tirx.device_entry";
}

bool NamesThread(View stmt) {
  if (KindOf(stmt) != NodeKind::kBind) return false;
  const View op = TryGet(Get(stmt, FieldId::kValue), FieldId::kOp);
  return GetString(op, FieldId::kName) == "tl.launch_thread_idx";
}

bool LeavesLoop(View node) {
  if (KindOf(node) == NodeKind::kJump) return true;
  const std::string callee = CalleeOf(node);
  return callee == "tl.loop_break" || callee == "tirx.break_loop" || callee == "tirx.continue_loop";
}

bool IsCoreProgram(View func) {
  static constinit const Interned core_program{"tt_core_program"};
  const View attrs = TryGet(TryGet(func, FieldId::kAttrs), FieldId::kDict);
  return !MapGet(attrs, core_program).is_none();
}

std::vector<View> LoweredGrid(View loop) {
  std::vector<View> loops;
  View stmt = loop;
  while (loops.size() <= kAxisNames.size() && KindOf(stmt) == NodeKind::kFor &&
         BoundIterVar(stmt).is_none()) {
    loops.push_back(stmt);
    stmt = Get(stmt, FieldId::kBody);
  }
  return HoldsLoweredRootBlock(stmt) ? loops : std::vector<View>();
}

std::vector<Launch> FindLaunches(View func) {
  return IsCoreProgram(func) ? std::vector<Launch>() : FunctionReader(func).Read();
}

std::vector<View> LaunchBodies(View func) {
  return IsCoreProgram(func) ? std::vector<View>() : FunctionReader(func).Bodies();
}

bool IsKernel(View func) {
  return KindOf(func) == NodeKind::kPrimFunc && !IsCoreProgram(func) &&
         FunctionReader(func).HasLaunch();
}

}  // namespace tt::ir
