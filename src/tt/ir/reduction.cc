#include "ir/reduction.h"

#include <algorithm>
#include <deque>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "ir/flow.h"
#include "ir/memory.h"
#include "ir/node.h"

namespace tt::ir {
namespace {

class ReductionFinder {
 public:
  explicit ReductionFinder(const std::vector<Parameter>& parameters) : memory_(parameters) {}

  bool Find(View body) {
    Walker walker(body);
    for (View node; !accumulates_ && walker.Next(&node);) Visit(node, &walker);
    return accumulates_ || flow_.IsCyclic();
  }

 private:
  void Visit(View node, Walker* walker) {
    scope_ = walker->context();
    switch (KindOf(node)) {
      case NodeKind::kBufferStore: return VisitStore(node);
      case NodeKind::kTilePrimitive: return VisitTilePrimitive(node, walker);
      case NodeKind::kCall: return VisitCall(node, walker);
      case NodeKind::kIfThenElse:
      case NodeKind::kFor:
      case NodeKind::kWhile: return VisitControl(node, walker);
      case NodeKind::kJump: accumulates_ = true; return;
      case NodeKind::kSBlock: NoteReduceAxes(node); break;
      default: break;
    }
    const bool followed = memory_.Follow(node, walker);
    if (KindOf(node) == NodeKind::kBind && !followed) return VisitBind(node, walker);
    if (!followed || KindOf(node) == NodeKind::kSBlock) walker->PushChildren(node);
  }

  /*! What decides whether and how often the stores below happen flows into each of them. */
  void VisitControl(View stmt, Walker* walker) {
    Memories sources;
    for (FieldId field : {FieldId::kCondition, FieldId::kMin, FieldId::kExtent}) {
      const View expr = TryGet(stmt, field);
      const NodeKind kind = KindOf(expr);
      if (kind != NodeKind::kIntImm && kind != NodeKind::kLeaf) Collect(expr, &sources);
    }
    if (!sources.empty()) {
      scopes_.emplace_back();
      for (Memory source : sources) flow_.Add(source, &scopes_.back());
      flow_.Add(&scopes_[scope_], &scopes_.back());
      walker->set_context(scopes_.size() - 1);
    }
    walker->PushStatements(stmt);
  }

  void VisitStore(View store) {
    const auto targets = TargetsOf(BufferOf(store));
    const View value = Get(store, FieldId::kValue);
    // What nearly every reduction looks like, and the end of the search.
    accumulates_ |= LoadsFirst(value, targets);
    if (accumulates_) return;
    Memories sources;
    Collect(value, &sources);
    Collect(Get(store, FieldId::kIndices), &sources);
    AddFlow(sources, targets);
  }

  /*! Whether the leftmost operand of an expression is a load from one of these memories. */
  bool LoadsFirst(View expr, std::span<const Memory> memories) {
    Walker walker(expr);
    for (View node; walker.Next(&node);) {
      if (KindOf(node) == NodeKind::kBufferLoad) {
        const auto loaded = TargetsOf(BufferOf(node));
        return std::ranges::find_first_of(loaded, memories) != loaded.end();
      }
      if (KindOf(node) != NodeKind::kOther) return false;
      walker.PushChildren(node);
    }
    return false;
  }

  void VisitBind(View bind, Walker* walker) {
    const View var = Get(bind, FieldId::kVar);
    Memories sources;
    Collect(Get(bind, FieldId::kValue), &sources);
    memory_.Allocate(var);
    bound_.insert(var.object());
    const Memory target = var.object();
    AddFlow(sources, {&target, 1});
    const View body = TryGet(bind, FieldId::kBody);
    if (!body.is_none()) walker->Push(body);
  }

  /*! An operation on ranges of memory: values flow from those it reads to those it writes. */
  void VisitCall(View call, Walker* walker) {
    if (IsOpaque(call)) return;
    Memories sources;
    Memories targets;
    const View args = Get(call, FieldId::kArgs);
    for (const TVMFFIAny& element : Elements(args)) {
      const View arg = View::Of(element);
      const auto range = memory_.RangeOf(arg, walker);
      if (!range) {
        Collect(arg, &sources);
      } else {
        NoteRange(range->buffer, range->memories, range->access, &sources, &targets);
      }
    }
    AddFlow(sources, targets);
  }

  void VisitTilePrimitive(View call, Walker* walker) {
    Memories sources;
    Memories targets;
    const View args = Get(call, FieldId::kArgs);
    const auto elements = Elements(args);
    const TilePrimitive primitive(GetString(Get(call, FieldId::kOp), FieldId::kName), elements);
    accumulates_ |= primitive.accumulates();
    for (size_t i = 0; i < elements.size(); ++i) {
      const View arg = View::Of(elements[i]);
      if (KindOf(arg) == NodeKind::kBufferRegion) {
        NoteRange(BufferOf(arg), {}, primitive.AccessOf(i), &sources, &targets);
        walker->PushChildren(arg);
      } else {
        Collect(arg, &sources);
      }
    }
    AddFlow(sources, targets);
  }

  void NoteRange(View buffer, const Memories& memories, Access access, Memories* sources,
                 Memories* targets) {
    const auto named = buffer.is_none() ? std::span<const Memory>(memories) : TargetsOf(buffer);
    if (access & kRead) sources->insert(sources->end(), named.begin(), named.end());
    if (access & kWrite) targets->insert(targets->end(), named.begin(), named.end());
  }

  /*! Everything that an expression loads, and the names that it uses. */
  void Collect(View expr, Memories* sources) {
    Walker walker(expr);
    for (View node; walker.Next(&node);) {
      if (KindOf(node) == NodeKind::kBufferLoad) NoteSource(BufferOf(node), sources);
      if (KindOf(node) == NodeKind::kVar) VisitVar(node, sources);
      if (KindOf(node) == NodeKind::kCall && IsOpaque(node)) return;
      walker.PushChildren(node);
    }
  }

  void VisitVar(View var, Memories* sources) {
    if (bound_.contains(var.object())) {
      sources->push_back(var.object());
    } else {
      accumulates_ |= !memory_.Find(var).empty();  // a pointer that leaves
    }
  }

  /*! A call of a function, of an operation that may accumulate, or of one that gets a pointer. */
  bool IsOpaque(View call) {
    const std::string callee = CalleeOf(call);
    accumulates_ |= callee.empty() || MayAccumulate(callee);
    return accumulates_;
  }

  void NoteSource(View buffer, Memories* sources) {
    const auto memories = TargetsOf(buffer);
    sources->insert(sources->end(), memories.begin(), memories.end());
  }

  std::span<const Memory> TargetsOf(View buffer) {
    const View var = MemoryOf(buffer);
    if (memory_.Find(var).empty()) memory_.Allocate(var);
    return memory_.Find(var);
  }

  void AddFlow(const Memories& sources, std::span<const Memory> targets) {
    for (Memory target : targets) {
      accumulates_ |= std::ranges::find(sources, target) != sources.end();
      for (Memory source : sources) flow_.Add(source, target);
      flow_.Add(&scopes_[scope_], target);
    }
  }

  void NoteReduceAxes(View block) {
    constexpr int64_t kCommReduce = 2;  // IterVarType of every TVM
    const View iter_vars = Get(block, FieldId::kIterVars);
    for (const TVMFFIAny& iter_var : Elements(iter_vars)) {
      accumulates_ |= Get(View::Of(iter_var), FieldId::kIterType).AsInt() == kCommReduce;
    }
  }

  MemoryMap memory_;
  Flow flow_;
  std::unordered_set<Memory> bound_;  // names of values
  // Stand for the conditions of statements; the first for none.
  std::deque<TVMFFIObject> scopes_{1};
  size_t scope_ = 0;  // of the statement that is visited
  bool accumulates_ = false;
};

}  // namespace

bool MayReduce(View body, const std::vector<Parameter>& parameters) {
  return ReductionFinder(parameters).Find(body);
}

}  // namespace tt::ir
