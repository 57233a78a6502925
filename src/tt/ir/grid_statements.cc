#include "ir/grid_statements.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "core/error.h"
#include "ir/diagnostic.h"
#include "ir/node.h"

namespace tt::ir {
namespace {

constexpr std::string_view kClusterTag = "clusterCtaIdx.";

class Reader {
 public:
  Reader(View func, const Launch& launch) : func_(func), launch_(launch) {}

  GridStatements Read() {
    if (launch_.root.is_none()) return {};
    ReadLoweredGrid();
    std::vector<View> scopes;
    Walker walker(launch_.root);
    for (View stmt; walker.Next(&stmt);) {
      ReadBinding(stmt);
      if (IsDeviceEntry(stmt)) Drop(stmt);
      if (KindOf(stmt) == NodeKind::kScopeIdDefStmt) scopes.push_back(stmt);
      walker.PushStatements(stmt);
    }
    for (View stmt : scopes) ReadScope(stmt, scopes);
    // The schedule has the order that it asks for.
    if (launch_.swizzle) Drop(launch_.swizzle->stmt);
    if (launch_.persistence) ReadPersistence();
    return std::move(out_);
  }

 private:
  [[noreturn]] void Fail(ErrorCode code, const std::string& message, const char* help, View stmt) {
    Refuse(func_, {{code, message, help, stmt, stmt}});
  }

  void Drop(View stmt) { out_.stmts.insert(stmt.object()); }

  void Add(const GridIndex& index) {
    const auto is_it = [&](const GridIndex& known) {
      return known.var.object() == index.var.object();
    };
    if (std::ranges::none_of(out_.indices, is_it)) out_.indices.push_back(index);
  }

  void ReadLoweredGrid() {
    const std::vector<View> loops = LoweredGrid(launch_.root);
    for (size_t axis = 0; axis < loops.size(); ++axis) AddLoop(loops[axis], {.axis = axis});
  }

  void AddLoop(View loop, GridIndex index) {
    const View step = TryGet(loop, FieldId::kStep);
    if (ConstantOf(Get(loop, FieldId::kMin)) != 0 || (!step.is_none() && ConstantOf(step) != 1)) {
      Fail(ErrorCode::kLaunchLoop,
           "the launch's loop over `" + GetString(Get(loop, FieldId::kLoopVar), FieldId::kName) +
               "` does not count from 0 by 1",
           "count the loop from 0 by 1, and compute with its variable", loop);
    }
    index.var = Get(loop, FieldId::kLoopVar);
    Add(index);
    Drop(loop);
  }

  void ReadBinding(View stmt) {
    const View iter_var = BoundIterVar(stmt);
    if (iter_var.is_none()) return;
    const auto index = ReadTag(GetString(iter_var, FieldId::kThreadTag), stmt);
    if (!index) return;
    if (KindOf(stmt) == NodeKind::kFor) return AddLoop(stmt, *index);
    GridIndex bound = *index;
    bound.var = Get(iter_var, FieldId::kVar);
    Add(bound);
    Drop(stmt);
  }

  /*! What a tag says about the cell; nothing where it names a thread in it. */
  std::optional<GridIndex> ReadTag(const std::string& tag, View stmt) {
    if (const auto axis = GridAxisOf(tag)) return GridIndex{.axis = *axis};
    if (!tag.starts_with(kClusterTag)) return std::nullopt;
    const auto axis = GridAxisOf("blockIdx." + tag.substr(kClusterTag.size()));
    const bool is_loop = KindOf(stmt) == NodeKind::kFor;
    const View extent = Get(stmt, is_loop ? FieldId::kExtent : FieldId::kValue);
    if (!axis) FailCluster(tag, stmt);
    return GridIndex{
        .axis = *axis, .kind = GridIndex::kInCluster, .cluster = ClusterExtent(extent, tag, stmt)};
  }

  int64_t ClusterExtent(View extent, const std::string& what, View stmt) {
    const int64_t cells = ConstantOf(extent).value_or(0);
    if (cells < 1) FailCluster(what, stmt);
    return cells;
  }

  [[noreturn]] void FailCluster(const std::string& what, View stmt) {
    Fail(ErrorCode::kClusterIndex,
         what +
             " does not say which cells of the grid a cluster has; expected a constant number of "
             "cells on each axis",
         "give the grid with cta_id([...]) and the cluster with cta_id_in_cluster([...])", stmt);
  }

  void ReadScope(View stmt, const std::vector<View>& scopes) {
    const View scope = Get(stmt, FieldId::kDef);
    const auto binding = Get(scope, FieldId::kScope).AsInt();
    if (binding == kCtaPair) FailCluster("cta_id_in_pair", stmt);
    if (binding != kKernelCluster && binding != kKernelCta && binding != kClusterCta) return;
    const View vars = Get(scope, FieldId::kDefIds);
    const auto elements = Elements(vars);
    for (size_t axis = 0; axis < elements.size(); ++axis) {
      GridIndex index{.var = View::Of(elements[axis]), .axis = axis};
      if (binding != kKernelCta) {
        index.kind = binding == kKernelCluster ? GridIndex::kCluster : GridIndex::kInCluster;
        index.cluster = CellsOfCluster(axis, stmt, scopes);
      }
      Add(index);
    }
    Drop(stmt);
  }

  /*! How many cells a cluster has on an axis, by the scope that says so. */
  int64_t CellsOfCluster(size_t axis, View stmt, const std::vector<View>& scopes) {
    bool states_grid = false;
    View cells;
    for (View other : scopes) {
      const View scope = Get(other, FieldId::kDef);
      const auto binding = Get(scope, FieldId::kScope).AsInt();
      const View extents = Get(scope, FieldId::kExtents);
      states_grid |= binding == kKernelCta && !extents.is_none();
      if (binding == kClusterCta) cells = extents;
    }
    const auto elements = Elements(cells);
    // Without a grid of its own all clusters lie on x, and so must their cells.
    if (axis >= elements.size() || (!states_grid && elements.size() > 1)) {
      FailCluster("the cluster", stmt);
    }
    return ClusterExtent(View::Of(elements[axis]), "cta_id_in_cluster", stmt);
  }

  /*! The launched blocks only share the domain out; what counts is the domain's cell. */
  void ReadPersistence() {
    for (GridIndex& index : out_.indices) index.kind = GridIndex::kInCluster;  // of one cell: 0
    std::erase_if(out_.indices, [](const GridIndex& index) { return index.axis == 0; });
    const std::vector<View>& axes = launch_.persistence->axes;
    for (size_t axis = 0; axis < axes.size(); ++axis) Add({.var = axes[axis], .axis = axis});
    for (View stmt : launch_.persistence->stmts) Drop(stmt);
  }

  View func_;
  const Launch& launch_;
  GridStatements out_;
};

}  // namespace

GridStatements FindGridStatements(View func, const Launch& launch) {
  return Reader(func, launch).Read();
}

}  // namespace tt::ir
