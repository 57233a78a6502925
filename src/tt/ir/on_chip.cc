#include "ir/on_chip.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "ir/memory.h"
#include "ir/node.h"
#include "ir/size.h"
#include "ir/tile_ops.h"

namespace tt::ir {
namespace {

// Scopes that hold nothing for which a core would need a buffer: variables, barriers, descriptors.
constexpr std::string_view kNoBuffers[] = {
    "", "global", "local.var", "shared.barrier", "shared.cluster_barrier",
};

bool HoldsBuffers(std::string_view scope) {
  return std::ranges::find(kNoBuffers, scope) == std::end(kNoBuffers) &&
         !scope.starts_with("local.descriptor");
}

bool IsScalar(const std::vector<Int>& shape) {
  return std::ranges::all_of(shape, [](const Int& extent) { return extent == Int(1); });
}

/*! How many versions of its buffers a loop keeps, where its annotations say so. */
std::optional<int64_t> NumStages(View loop) {
  static constinit const Interned num_stages{"num_stages"};
  // What a schedule by hand says instead: the stage of each statement.
  static constinit const Interned stage_keys[] = {Interned{"tl_pipeline_stage"},
                                                  Interned{"software_pipeline_stage"}};
  const View annotations = Get(loop, FieldId::kAnnotations);
  if (const auto stages = ConstantOf(MapGet(annotations, num_stages))) return stages;
  for (const Interned& key : stage_keys) {
    const View stages = MapGet(annotations, key);
    int64_t last = 0;
    for (const TVMFFIAny& stage : Elements(stages)) {
      last = std::max(last, ConstantOf(View::Of(stage)).value_or(0));
    }
    if (last > 0) return last + 1;
  }
  return std::nullopt;
}

class OnChipReader {
 public:
  explicit OnChipReader(const std::vector<Parameter>& parameters)
      : parameters_(parameters), variables_(parameters) {}

  std::vector<OnChipAllocation> Read(View launch) {
    Walker walker(launch);
    for (View stmt; walker.Next(&stmt);) Visit(stmt, &walker);
    return std::move(allocations_);
  }

 private:
  void Visit(View stmt, Walker* walker) {
    switch (KindOf(stmt)) {
      case NodeKind::kFor: EnterLoop(stmt, walker); break;
      case NodeKind::kAllocBuffer: Allocate(Get(stmt, FieldId::kBuffer)); break;
      case NodeKind::kSBlock:
        AllocateAll(Get(stmt, FieldId::kAllocBuffers));
        FollowAlias(stmt);
        break;
      case NodeKind::kBind:
      case NodeKind::kDeclBuffer: FollowAlias(stmt); break;
      case NodeKind::kBufferStore: VisitStore(stmt, walker->context()); break;
      case NodeKind::kTilePrimitive: VisitTilePrimitive(stmt, walker->context()); break;
      default: VisitCall(TryGet(stmt, FieldId::kValue), walker->context()); break;
    }
    walker->PushStatements(stmt);
  }

  /*! Built where it is asked for the first time: many kernels hand no memory on. */
  MemoryMap& Names() {
    if (names_) return *names_;
    names_.emplace(parameters_);
    for (View var : vars_) names_->Allocate(var);
    return *names_;
  }

  void FollowAlias(View stmt) {
    Walker expressions{View()};  // in which nothing is allocated
    Names().Follow(stmt, &expressions);
  }

  /*! Hosts keep several versions of shared memory only. */
  void EnterLoop(View loop, Walker* walker) {
    if (!has_shared_) return;
    const auto num_stages = NumStages(loop);
    if (!num_stages || *num_stages <= 1) return;
    pipelines_.push_back(*num_stages);
    walker->set_context(pipelines_.size());
  }

  void AllocateAll(View buffers) {
    for (const TVMFFIAny& buffer : Elements(buffers)) Allocate(View::Of(buffer));
  }

  void Allocate(View buffer) {
    const std::string scope = ScopeOf(buffer);
    if (!HoldsBuffers(scope) || positions_.contains(MemoryOf(buffer).object())) return;
    const Value description =
        KindOf(buffer) == NodeKind::kBuffer ? buffer : TryGet(buffer, FieldId::kTy);
    const View shape = Get(description, FieldId::kShape);
    std::vector<Int> extents;
    for (const TVMFFIAny& extent : Elements(shape)) extents.push_back(Extent(extent));
    if (IsScalar(extents)) return;
    const View dtype = Get(description, FieldId::kDtype);
    has_shared_ |= scope.starts_with("shared");
    vars_.push_back(MemoryOf(buffer));
    if (names_) names_->Allocate(vars_.back());
    positions_[vars_.back().object()] = allocations_.size();
    allocations_.push_back({.name = GetString(buffer, FieldId::kName),
                            .scope = scope,
                            .dtype = DtypeOf(dtype),
                            .element_bits = BitsOf(dtype),
                            .shape = std::move(extents),
                            .is_private = scope == "local"});
  }

  Int Extent(const TVMFFIAny& extent) {
    const View expr = View::Of(extent);
    if (const auto constant = ConstantOf(expr)) return *constant;
    return ReadInt(expr, variables_);
  }

  static int64_t BitsOf(View dtype) {
    const auto type = dtype.AsDataType();
    if (!type) return BitsOf(Get(dtype, FieldId::kDtype));
    return int64_t{type->bits} * type->lanes;
  }

  /*! An operation on ranges of memory. */
  void VisitCall(View call, size_t pipeline) {
    if (KindOf(call) != NodeKind::kCall || allocations_.empty()) return;
    ranges_.clear();
    Walker expressions{View()};
    const View args = Get(call, FieldId::kArgs);
    for (const TVMFFIAny& arg : Elements(args)) {
      if (auto range = Names().RangeOf(View::Of(arg), &expressions)) {
        NoteRange(range->memories, range->buffer, range->access);
      }
    }
    VisitRanges(CalleeOf(call), pipeline);
  }

  void VisitTilePrimitive(View call, size_t pipeline) {
    ranges_.clear();
    const View args = Get(call, FieldId::kArgs);
    const auto elements = Elements(args);
    const std::string op = GetString(Get(call, FieldId::kOp), FieldId::kName);
    const TilePrimitive primitive(op, elements);
    for (size_t i = 0; i < elements.size(); ++i) {
      const View arg = View::Of(elements[i]);
      if (KindOf(arg) == NodeKind::kBufferRegion) {
        NoteRange(MemoriesOf(BufferOf(arg)), BufferOf(arg), primitive.AccessOf(i));
      }
    }
    VisitRanges(op, pipeline);
  }

  /*! A store of what is loaded from DRAM is a copy by hand. */
  void VisitStore(View store, size_t pipeline) {
    if (pipeline == 0) return;
    const View buffer = BufferOf(store);
    ranges_.clear();
    NoteRange(MemoriesOf(buffer), buffer, kWrite);
    Walker walker(Get(store, FieldId::kValue));
    for (View node; walker.Next(&node);) {
      if (KindOf(node) == NodeKind::kBufferLoad) {
        NoteRange(MemoriesOf(BufferOf(node)), BufferOf(node), kRead);
      }
      walker.PushChildren(node);
    }
    VisitRanges("", pipeline);
  }

  Memories MemoriesOf(View buffer) {
    const auto found = Names().Find(MemoryOf(buffer));
    return {found.begin(), found.end()};
  }

  void NoteRange(const Memories& memories, View buffer, Access access) {
    const bool in_dram =
        std::ranges::any_of(memories, [&](Memory memory) { return IsParameter(memory); }) ||
        (!buffer.is_none() && ScopeOf(buffer) == "global");
    ranges_.push_back({memories, access, in_dram});
  }

  bool IsParameter(Memory memory) const {
    return std::ranges::any_of(parameters_, [&](const Parameter& parameter) {
      return parameter.memory.object() == memory && memory != nullptr;
    });
  }

  void VisitRanges(std::string_view op, size_t pipeline) {
    const bool multiplies = MultipliesMatrices(op);
    const bool reads_dram = std::ranges::any_of(
        ranges_, [](const Range& range) { return range.in_dram && (range.access & kRead); });
    for (const Range& range : ranges_) {
      if (!(range.access & kWrite)) continue;
      for (Memory memory : range.memories) {
        const auto position = positions_.find(memory);
        if (position == positions_.end()) continue;
        OnChipAllocation& allocation = allocations_[position->second];
        allocation.accumulates |= multiplies;
        if (pipeline > 0 && reads_dram) Fill(&allocation, pipeline - 1);
      }
    }
  }

  /*! Of two loops the one with more stages counts. */
  void Fill(OnChipAllocation* allocation, size_t pipeline) const {
    if (!allocation->scope.starts_with("shared")) return;
    if (pipelines_[pipeline] <= allocation->num_stages) return;
    allocation->num_stages = pipelines_[pipeline];
    allocation->pipeline = pipeline;
  }

  struct Range {
    Memories memories;
    Access access;
    bool in_dram;
  };

  const std::vector<Parameter>& parameters_;
  std::optional<MemoryMap> names_;
  ShapeVariables variables_;
  std::vector<OnChipAllocation> allocations_;
  std::vector<View> vars_;  // of their memories
  std::unordered_map<Memory, size_t> positions_;
  bool has_shared_ = false;
  std::vector<int64_t> pipelines_;  // their stages
  std::vector<Range> ranges_;       // of the operation that is visited
};

}  // namespace

bool operator<(const OnChipAllocation& a, const OnChipAllocation& b) {
  const auto key = [](const OnChipAllocation& allocation) {
    return std::tie(allocation.name, allocation.scope, allocation.dtype, allocation.shape,
                    allocation.accumulates, allocation.num_stages, allocation.pipeline);
  };
  return key(a) < key(b);
}

std::vector<OnChipAllocation> ReadOnChip(View launch, const std::vector<Parameter>& parameters) {
  return OnChipReader(parameters).Read(launch);
}

}  // namespace tt::ir
