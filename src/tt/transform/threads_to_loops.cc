// ThreadsToLoops: what the threads of a launch do, one thread after the other.
//
//   tx = T.launch_thread("threadIdx.x", 32)       for tx in range(32):
//   A[bx * 32 + tx] = ...                    -->      A[bx * 32 + tx] = ...
//
// A loop stands around what uses the index, and around nothing else: whole tiles are copied and
// multiplied once, not once for each thread. An index that nobody uses goes.
//
// Requires: nothing; a grid may be there or not.
// Ensures:  no thread index is left. What runs is one of the orders in which the threads may run,
//           with a barrier between any two of the new loops.
// Rejects:  operations in which threads wait for or talk to each other; jumps of single threads out
//           of a loop around theirs; uses of an index that cannot be told from operations on whole
//           tiles; threads whose private memory would have to live on from one loop to the next;
//           threads that exchange values through shared memory inside of one statement.
#include "transform/threads_to_loops.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "ir/diagnostic.h"
#include "ir/launch.h"
#include "ir/memory.h"
#include "ir/node.h"
#include "ir/parameters.h"
#include "ir/rewrite.h"
#include "transform/pass.h"

namespace tt::transform {
namespace {

using ir::Diagnostic;
using ir::FieldId;
using ir::Get;
using ir::KindOf;
using ir::NodeKind;
using ir::TryGet;
using ir::Value;
using ir::View;

using Object = const TVMFFIObject*;
using Statements = std::vector<Value>;

constexpr int64_t kParallelLoop = 1;  // ForKind of every host

// Operations in which threads wait for each other or see each other's values, by their beginnings.
// Sources: the operators of apache-tvm 0.25 to 0.27 and of tilelang 0.1.15.
constexpr std::string_view kCooperative[] = {
    "tirx.cuda",
    "tirx.metal.simd_shuffle",
    "tirx.nvshmem",
    "tirx.ptx",
    "tirx.thread_return",
    "tirx.tvm_global_barrier_kinit",
    "tirx.tvm_storage_sync",
    "tirx.tvm_thread_allreduce",
    "tirx.tvm_thread_invariant",
    "tirx.tvm_warp_",
    "tirx.webgpu.subgroup_shuffle",
    "tl.activemask",
    "tl.all_sync",
    "tl.any_sync",
    "tl.ballot",
    "tl.cluster_",
    "tl.fence_",
    "tl.get_lane_idx",
    "tl.get_warp_",
    "tl.match_",
    "tl.mbarrier_",
    "tl.named_barrier_",
    "tl.pdl_",
    "tl.ptx_",
    "tl.shfl_",
    "tl.sync",
    "tl.tcgen05_",
    "tl.tl_shuffle_elect",
    "tl.tma_",
    "tl.wait_wgmma",
    "tl.warp",
};

// Calls that every thread makes for itself, and whose number matters.
constexpr std::string_view kRepeated[] = {
    "tirx.atomic", "tirx.call_", "tirx.print_buffer", "tirx.tvm_call_", "tl.atomic_", "tl.reducer_",
};

bool StartsWithAny(std::string_view name, std::span<const std::string_view> beginnings) {
  return std::ranges::any_of(beginnings, [&](auto begin) { return name.starts_with(begin); });
}

bool IsThreadTag(std::string_view tag) {
  return tag.starts_with("threadIdx.") || tag.starts_with("vthread");
}

/*! Memory that each thread has for itself. */
bool IsPrivate(std::string_view scope) {
  return scope == "local" || (scope.starts_with("local.") && scope != "local.fragment");
}

/*! Memory that the threads of a launch have in common, beside DRAM. */
bool IsShared(std::string_view scope) {
  return scope.starts_with("shared") || scope == "warp" || scope == "local.fragment";
}

/*! Whether two expressions are the same, node by node. */
bool AreSame(View a, View b) {
  if (a.type_index() != b.type_index()) return false;
  if (!a.is_object()) return a.raw().v_int64 == b.raw().v_int64;
  if (a.object() == b.object()) return true;
  if (const auto left = ir::ConstantOf(a)) return left == ir::ConstantOf(b);
  const auto left = ir::Elements(a), right = ir::Elements(b);
  if (a.type_index() == kTVMFFIArray) {
    return std::ranges::equal(left, right, [](const TVMFFIAny& x, const TVMFFIAny& y) {
      return AreSame(View::Of(x), View::Of(y));
    });
  }
  if (KindOf(a) == NodeKind::kVar || KindOf(a) == NodeKind::kLeaf) return false;
  if (KindOf(a) == NodeKind::kBufferLoad &&
      ir::MemoryOf(ir::BufferOf(a)).object() != ir::MemoryOf(ir::BufferOf(b)).object()) {
    return false;
  }
  if (ir::CalleeOf(a) != ir::CalleeOf(b)) return false;
  return std::ranges::all_of(ir::TypeOf(a).children, [&](const ir::Field& field) {
    return AreSame(ir::Read(a, field), ir::Read(b, field));
  });
}

bool IsLoop(View stmt) {
  return KindOf(stmt) == NodeKind::kFor || KindOf(stmt) == NodeKind::kWhile;
}

/*! What a loop still is when statements in it have been replaced. */
Object IdentityOf(View loop) {
  return (KindOf(loop) == NodeKind::kFor ? Get(loop, FieldId::kLoopVar) : loop).object();
}

Statements ElementsOf(View sequence) {
  Statements out;
  const View seq = Get(sequence, FieldId::kSeq);
  for (const TVMFFIAny& element : ir::Elements(seq)) out.emplace_back(View::Of(element));
  return out;
}

/*! One index of the threads, whose values run from 0 to below the extent. */
struct Index {
  Value var;
  Value extent;
  std::string name;  // for messages
  View stmt;         // that binds it
};

/*! The index that a statement binds to threads; none for any other statement. */
std::optional<Index> BoundIndex(View stmt) {
  const bool is_loop = KindOf(stmt) == NodeKind::kFor;
  const bool is_attr = KindOf(stmt) == NodeKind::kAttrStmt;
  if (!is_loop && !is_attr) return std::nullopt;
  const std::string key = is_attr ? ir::GetString(stmt, FieldId::kAttrKey) : "";
  if (is_attr && key != "thread_extent" && key != "virtual_thread") return std::nullopt;
  const View iter_var = Get(stmt, is_loop ? FieldId::kThreadBinding : FieldId::kNode);
  const std::string tag = ir::GetString(iter_var, FieldId::kThreadTag);
  if (!IsThreadTag(tag)) return std::nullopt;
  return Index{is_loop ? Get(stmt, FieldId::kLoopVar) : Get(iter_var, FieldId::kVar),
               Get(stmt, is_loop ? FieldId::kExtent : FieldId::kValue), tag, stmt};
}

/*! What a function says about its names, which no rewriting here changes. */
class Function {
 public:
  explicit Function(View func)
      : func_(func), parameters_(ir::Parameters(func)), memory_(parameters_) {
    ir::Walker walker(Get(func, FieldId::kBody));
    ir::Walker aside{View()};
    for (View node; walker.Next(&node);) {
      Note(node, walker.context());
      memory_.Follow(node, &aside);
      if (IsLoop(node) && !BoundIndex(node)) {
        loops_.push_back(IdentityOf(node));
        walker.set_context(loops_.size());
      }
      walker.PushChildren(node);
    }
  }

  View func() const { return func_; }
  /*! How often a name occurs. */
  size_t CountOf(Object name) const {
    const auto found = counts_.find(name);
    return found == counts_.end() ? 0 : found->second;
  }
  /*! The loop that memory is allocated in; none outside of all. */
  Object LoopOf(ir::Memory memory) const {
    const auto found = allocations_.find(memory);
    return found == allocations_.end() ? nullptr : found->second.loop;
  }
  /*! The buffer that memory is allocated as; none for a parameter. */
  View BufferOf(ir::Memory memory) const {
    const auto found = allocations_.find(memory);
    return found == allocations_.end() ? View() : found->second.buffer;
  }
  View BoundTo(Object var) const {
    const auto found = bound_.find(var);
    return found == bound_.end() ? View() : found->second;
  }
  /*! The memory of a buffer, by the variable that names it first. */
  ir::Memory MemoryOf(View buffer) const {
    const View var = ir::MemoryOf(buffer);
    const auto memories = memory_.Find(var);
    return memories.empty() ? var.object() : memories.front();
  }
  const ir::MemoryMap& memory() const { return memory_; }

  [[noreturn]] void Refuse(Diagnostic diagnostic) const {
    ir::Refuse(func_, {std::move(diagnostic)});
  }

  /*! The name that an occurrence of a node is of; none for what names nothing. */
  Object NameOf(View node) const {
    switch (KindOf(node)) {
      case NodeKind::kVar: return node.object();
      case NodeKind::kBufferLoad:
      case NodeKind::kBufferStore:
      case NodeKind::kBufferRegion: return MemoryOf(ir::BufferOf(node));
      default: return nullptr;
    }
  }

 private:
  void Note(View node, size_t loop) {
    if (const Object name = NameOf(node)) ++counts_[name];
    const Object around = loop == 0 ? nullptr : loops_[loop - 1];
    if (KindOf(node) == NodeKind::kBind && !ir::NamesThread(node)) {
      bound_[Get(node, FieldId::kVar).object()] = Get(node, FieldId::kValue);
    } else if (const View values = TryGet(node, FieldId::kIterValues); !values.is_none()) {
      const View vars = Get(Get(node, FieldId::kBlock), FieldId::kIterVars);
      for (size_t i = 0; i < ir::Elements(values).size(); ++i) {
        const View var = Get(View::Of(ir::Elements(vars)[i]), FieldId::kVar);
        bound_[var.object()] = View::Of(ir::Elements(values)[i]);
      }
    } else if (KindOf(node) == NodeKind::kAllocBuffer) {
      NoteAllocation(Get(node, FieldId::kBuffer), around);
    } else if (KindOf(node) == NodeKind::kSBlock) {
      const View buffers = Get(node, FieldId::kAllocBuffers);
      for (const TVMFFIAny& buffer : ir::Elements(buffers)) {
        NoteAllocation(View::Of(buffer), around);
      }
    }
  }

  void NoteAllocation(View buffer, Object loop) {
    allocations_[ir::MemoryOf(buffer).object()] = {buffer, loop};
  }

  struct Allocation {
    View buffer;
    Object loop;
  };

  View func_;
  const std::vector<ir::Parameter> parameters_;
  ir::MemoryMap memory_;
  std::vector<Object> loops_;
  std::unordered_map<Object, size_t> counts_;
  std::unordered_map<ir::Memory, Allocation> allocations_;
  std::unordered_map<Object, View> bound_;
};

/*! Puts the loops over one index into what is executed with it. */
class Serializer {
 public:
  /*! \param is_tiled Whether the launch is TileLang's, whose parallel loops are of all threads. */
  Serializer(const Function& function, const Index& index, bool is_tiled)
      : function_(function), index_(index), is_tiled_(is_tiled) {}

  /*! \param loop The loop that the body is in; none outside of all. */
  Value Run(const Value& body, Object loop) {
    if (ir::ConstantOf(index_.extent) == 1) return BindToZero(body);
    Spread(body);
    return Distribute(body, loop);
  }

 private:
  // ---- which names differ between threads

  /*! Finds the names whose values differ, until no more are found. */
  void Spread(View body) {
    differing_.insert(index_.var.object());
    for (size_t known = 0; known != differing_.size();) {
      known = differing_.size();
      ir::Walker walker(body);
      for (View node; walker.Next(&node);) {
        const bool branch = walker.context() != 0;
        if (KindOf(node) == NodeKind::kBind && Differs(Get(node, FieldId::kValue))) {
          differing_.insert(Get(node, FieldId::kVar).object());
        }
        if (KindOf(node) == NodeKind::kFor && HeaderDiffers(node)) {
          differing_.insert(Get(node, FieldId::kLoopVar).object());
        }
        if (KindOf(node) == NodeKind::kBufferStore && IsPrivateBuffer(ir::BufferOf(node)) &&
            (branch || Differs(node))) {
          differing_.insert(function_.NameOf(node));
        }
        if (branch || HeaderDiffers(node)) walker.set_context(1);
        walker.PushChildren(node);
      }
    }
  }

  /*! Whether anything in a node is not the same for all threads, or is done once for each. */
  bool Differs(View node) const {
    ir::Walker walker(node);
    for (View part; walker.Next(&part);) {
      if (differing_.contains(function_.NameOf(part))) return true;
      if (IsCollective(part) && KindOf(part) == NodeKind::kFor) {
        if (NamesDiffering(part)) return true;
        continue;  // a loop of all threads calls once for each of its own trips
      }
      if (IsRepeated(part)) return true;
      walker.PushChildren(part);
    }
    return false;
  }

  bool NamesDiffering(View node) const {
    ir::Walker walker(node);
    for (View part; walker.Next(&part);) {
      if (differing_.contains(function_.NameOf(part))) return true;
      walker.PushChildren(part);
    }
    return false;
  }

  /*! Whether what decides about the statements in this one differs. */
  bool HeaderDiffers(View stmt) const {
    switch (KindOf(stmt)) {
      case NodeKind::kFor:
        return NamesDiffering(Get(stmt, FieldId::kMin)) ||
               NamesDiffering(Get(stmt, FieldId::kExtent));
      case NodeKind::kWhile:
      case NodeKind::kIfThenElse: return NamesDiffering(Get(stmt, FieldId::kCondition));
      case NodeKind::kAttrStmt: return NamesDiffering(Get(stmt, FieldId::kValue));
      default:
        return NamesDiffering(TryGet(stmt, FieldId::kIterValues)) ||
               NamesDiffering(TryGet(stmt, FieldId::kPredicate));
    }
  }

  static bool IsRepeated(View node) { return StartsWithAny(ir::CalleeOf(node), kRepeated); }
  static bool IsPrivateBuffer(View buffer) { return IsPrivate(ir::ScopeOf(buffer)); }

  /*! Whether all threads do this together: an operation on tiles that are not each thread's own. */
  bool IsCollective(View node) const {
    if (KindOf(node) == NodeKind::kTilePrimitive) return true;
    if (KindOf(node) == NodeKind::kFor) {
      return is_tiled_ && Get(node, FieldId::kKind).AsInt() == kParallelLoop;
    }
    if (!ir::CalleeOf(node).starts_with("tl.tileop.")) return false;
    const View args = Get(node, FieldId::kArgs);
    ir::Walker aside{View()};
    return std::ranges::any_of(ir::Elements(args), [&](const TVMFFIAny& arg) {
      const auto range = function_.memory().RangeOf(View::Of(arg), &aside);
      return range && !range->buffer.is_none() && !IsPrivateBuffer(range->buffer);
    });
  }

  // ---- where the loops stand

  Value Distribute(const Value& stmt, Object loop) {
    if (!Differs(stmt)) return stmt;
    if (!TryGet(stmt, FieldId::kSeq).is_none()) return DistributeSequence(stmt, loop);
    const bool is_frame = KindOf(stmt) == NodeKind::kAttrStmt || IsBlock(stmt);
    const auto problem = ProblemOf({&stmt, 1}, loop);
    const bool may_enter = !HeaderDiffers(stmt) && !IsCollective(stmt);
    if (!problem && !(is_frame && may_enter)) return Loop({stmt});
    if (may_enter) {
      if (auto entered = Enter(stmt, loop)) return *entered;
    }
    if (!problem) return Loop({stmt});
    function_.Refuse(*problem);
  }

  static bool IsBlock(View stmt) {
    return KindOf(stmt) == NodeKind::kSBlock || !TryGet(stmt, FieldId::kBlock).is_none();
  }

  /*! A statement with the loops in it; none where no statement is in it. */
  std::optional<Value> Enter(const Value& stmt, Object loop) {
    if (IsLoop(stmt)) loop = IdentityOf(stmt);
    bool is_outer = true, found = false;
    const Value entered = ir::RewriteStatements(stmt, [&](View part) -> std::optional<Value> {
      if (std::exchange(is_outer, false)) return std::nullopt;
      found = true;
      return Distribute(part, loop);
    });
    return found ? std::optional(entered) : std::nullopt;
  }

  /*! As few loops as there can be, each from the first statement that differs to the last. */
  Value DistributeSequence(const Value& sequence, Object loop) {
    const Statements stmts = ElementsOf(sequence);
    Statements out;
    for (size_t first = 0; first < stmts.size();) {
      size_t end = Differs(stmts[first]) ? stmts.size() : first;
      for (; end > first; --end) {
        const std::span group(&stmts[first], end - first);
        if (Differs(group.back()) && !ProblemOf(group, loop)) break;
      }
      if (end > first + 1) {
        out.push_back(Loop({stmts.begin() + first, stmts.begin() + end}));
        first = end;
      } else {
        out.push_back(Distribute(stmts[first], loop));
        ++first;
      }
    }
    const Value joined = ir::MakeSequence(out);
    const View seq = TryGet(joined, FieldId::kSeq);
    return seq.is_none() ? joined : ir::With(sequence, {{"seq", seq}});
  }

  /*! The first loop has the index itself for its variable, the others have new ones. */
  Value Loop(const Statements& stmts) {
    Value body = ir::MakeSequence(stmts);
    Value var = index_.var;
    if (std::exchange(is_var_used_, true)) {
      var = ir::With(index_.var, {});
      body = ir::Substitute(body, index_.var, var);
    }
    return ir::MakeNode("For", {{"loop_var", var},
                                {"min", ir::MakeInt(ir::DtypeOfExpr(var), 0)},
                                {"extent", index_.extent},
                                {"kind", int64_t{0}},
                                {"body", body},
                                {"thread_binding", Value()},
                                {"step", Value()},
                                {"span", SpanOf(index_.stmt)}});
  }

  Value BindToZero(const Value& body) {
    differing_.insert(index_.var.object());
    if (!NamesDiffering(body)) return body;
    const Value zero = ir::MakeInt(ir::DtypeOfExpr(index_.var), 0);
    const Value bind =
        ir::MakeNode("Bind", {{"var", index_.var}, {"value", zero}, {"span", SpanOf(index_.stmt)}});
    return ir::MakeSequence({bind, body});
  }

  static Value SpanOf(View stmt) { return TryGet(stmt, FieldId::kSpan); }

  // ---- whether one loop may stand around statements

  /*! What each thread does to one memory in these statements. */
  struct Accesses {
    bool is_private = false;
    bool loads = false;
    bool stores = false;
    View stmt;  // one that stores
    std::string name;
    std::vector<View> indices;  // arrays, one for each access
    bool is_opaque = false;     // accessed otherwise than by indices
  };

  static constexpr size_t kInLoop = 1;
  /*! How often the loops of statements run, by their variables; none where that is no constant. */
  using Trips = std::unordered_map<Object, std::optional<int64_t>>;

  static std::optional<int64_t> CountTrips(View loop) {
    const bool is_fixed = ir::ConstantOf(Get(loop, FieldId::kMin)).has_value();
    return is_fixed ? ir::ConstantOf(Get(loop, FieldId::kExtent)) : std::nullopt;
  }

  /*! Why the threads cannot run these statements one after the other; none where they can. */
  std::optional<Diagnostic> ProblemOf(std::span<const Value> stmts, Object loop) const {
    std::unordered_map<Object, Accesses> accesses;
    std::unordered_map<Object, size_t> counts;
    std::vector<Object> defined;
    Trips trips;
    for (const Value& stmt : stmts) {
      ir::Walker walker(stmt);
      for (View node; walker.Next(&node);) {
        if (IsCollective(node)) return Tiles(node);
        if (ir::LeavesLoop(node) && (walker.context() & kInLoop) == 0) return Jump(node);
        if (const Object name = function_.NameOf(node)) ++counts[name];
        if (KindOf(node) == NodeKind::kBind) defined.push_back(Get(node, FieldId::kVar).object());
        if (KindOf(node) == NodeKind::kAllocBuffer || KindOf(node) == NodeKind::kDeclBuffer) {
          defined.push_back(function_.MemoryOf(Get(node, FieldId::kBuffer)));
        }
        if (KindOf(node) == NodeKind::kFor) {
          trips[Get(node, FieldId::kLoopVar).object()] = CountTrips(node);
        }
        NoteAccess(node, &accesses);
        if (IsLoop(node)) walker.set_context(kInLoop);
        walker.PushChildren(node);
      }
    }
    for (const Object name : defined) {
      if (counts[name] != function_.CountOf(name))
        return Crossing("a name that it defines", stmts.front());
    }
    for (const auto& [memory, access] : accesses) {
      const bool is_inside = std::ranges::find(defined, memory) != defined.end();
      if (access.is_private) {
        const bool stays = counts[memory] == function_.CountOf(memory) &&
                           (is_inside || function_.LoopOf(memory) == loop);
        if (access.stores && !stays) return Crossing("`" + access.name + "`", access.stmt);
      } else if (access.loads && access.stores && !IsSeparate(access, trips)) {
        return Exchange(access);
      }
    }
    return std::nullopt;
  }

  void NoteAccess(View node, std::unordered_map<Object, Accesses>* out) const {
    ir::Walker aside{View()};
    const NodeKind kind = KindOf(node);
    if (kind == NodeKind::kBufferLoad || kind == NodeKind::kBufferStore) {
      Accesses* accesses = Find(ir::BufferOf(node), out);
      if (accesses == nullptr) return;
      accesses->indices.push_back(Get(node, FieldId::kIndices));
      if (kind == NodeKind::kBufferLoad) {
        accesses->loads = true;
        return;
      }
      accesses->stores = true;
      accesses->stmt = node;
    } else if (const auto range = function_.memory().RangeOf(node, &aside)) {
      if (!range->buffer.is_none()) return NoteRange(node, range->access, range->buffer, out);
      for (const ir::Memory memory : range->memories) {
        const View buffer = function_.BufferOf(memory);
        if (!buffer.is_none()) NoteRange(node, range->access, buffer, out);
      }
    }
  }

  void NoteRange(View node, ir::Access access, View buffer,
                 std::unordered_map<Object, Accesses>* out) const {
    Accesses* accesses = Find(buffer, out);
    if (accesses == nullptr) return;
    accesses->loads |= (access & ir::kRead) != 0;
    accesses->is_opaque = true;
    if ((access & ir::kWrite) == 0) return;
    accesses->stores = true;
    accesses->stmt = node;
  }

  Accesses* Find(View buffer, std::unordered_map<Object, Accesses>* out) const {
    const std::string scope = ir::ScopeOf(buffer);
    if (!IsPrivate(scope) && !IsShared(scope)) return nullptr;
    Accesses& found = (*out)[function_.MemoryOf(buffer)];
    found.is_private = IsPrivate(scope);
    found.name = ir::GetString(buffer, FieldId::kName);
    return &found;
  }

  /*! Whether no thread touches an element that another one touches, in whatever trip. */
  bool IsSeparate(const Accesses& accesses, const Trips& trips) const {
    if (accesses.is_opaque) return false;
    const auto first = ir::Elements(accesses.indices.front());
    for (size_t dim = 0; dim < first.size(); ++dim) {
      const View index = View::Of(first[dim]);
      if (TellsThreadsApart(index, trips) && std::ranges::all_of(accesses.indices, [&](View other) {
            return AreSame(index, View::Of(ir::Elements(other)[dim]));
          })) {
        return true;
      }
    }
    return false;
  }

  /*! Numbers up to here can be multiplied, and added up, without overflow. */
  static constexpr int64_t kLargest = int64_t{1} << 30;

  /*! Whether an expression has no value for two threads, whatever the trips they are in. */
  bool TellsThreadsApart(View expr, const Trips& trips) const {
    Factors factors;
    if (!AddFactors(expr, 1, trips, &factors)) return false;
    const int64_t own = std::abs(std::exchange(factors[index_.var.object()], 0));
    if (own == 0 || own > kLargest) return false;
    // Like digits: loops either stay between two threads, or step over all of them.
    int64_t between = 0, step = 0;
    for (const auto& [var, factor] : factors) {
      if (factor == 0) continue;
      const auto count = trips.at(var);
      if (std::abs(factor) >= own) {
        step = std::gcd(step, factor);
      } else if (!count || *count > kLargest) {
        return false;
      } else {
        between += std::abs(factor) * std::max<int64_t>(*count - 1, 0);
        if (between >= own) return false;
      }
    }
    const auto threads = ir::ConstantOf(index_.extent);
    return step == 0 || (threads && *threads <= kLargest && step > own * (*threads - 1) + between);
  }

  /*! What variables are multiplied by in a sum. */
  using Factors = std::map<Object, int64_t>;

  /*! Adds the factors of the index and of loops; false where it is no sum of them and constants. */
  bool AddFactors(View expr, int64_t factor, const Trips& trips, Factors* out) const {
    if (std::abs(factor) > kLargest) return false;
    if (KindOf(expr) == NodeKind::kVar) {
      if (expr.object() == index_.var.object() || trips.contains(expr.object())) {
        (*out)[expr.object()] += factor;
        return true;
      }
      const View value = function_.BoundTo(expr.object());
      return value.is_none() ? !Differs(expr) : AddFactors(value, factor, trips, out);
    }
    const View a = TryGet(expr, FieldId::kA), b = TryGet(expr, FieldId::kB);
    const std::string_view op = ir::ShortKey(expr);
    if (op == "Add" || op == "Sub") {
      return AddFactors(a, factor, trips, out) &&
             AddFactors(b, op == "Add" ? factor : -factor, trips, out);
    }
    if (op == "Mul") {
      const auto left = ir::ConstantOf(a), right = ir::ConstantOf(b);
      const int64_t number = right ? *right : left.value_or(0);
      if ((left || right) && std::abs(number) <= kLargest) {
        return AddFactors(right ? a : b, factor * number, trips, out);
      }
    }
    return IsFixed(expr, trips);
  }

  /*! Whether an expression keeps its value in all trips of all threads. */
  bool IsFixed(View expr, const Trips& trips) const {
    ir::Walker walker(expr);
    for (View node; walker.Next(&node);) {
      const NodeKind kind = KindOf(node);
      if (kind == NodeKind::kBufferLoad || kind == NodeKind::kCall) return false;
      if (trips.contains(node.object()) || differing_.contains(node.object())) return false;
      if (kind == NodeKind::kVar) walker.Push(function_.BoundTo(node.object()));
      walker.PushChildren(node);
    }
    return true;
  }

  Diagnostic Tiles(View node) const {
    const std::string callee = ir::CalleeOf(node);
    const std::string what = !callee.empty()                            ? callee
                             : KindOf(node) == NodeKind::kTilePrimitive ? "a tile primitive"
                                                                        : "T.Parallel";
    return {ErrorCode::kThreadsAndTiles,
            what + " is done by all threads together, and stands among statements that use " +
                index_.name + "; expected statements of the one or of the other kind",
            "put what single threads do into statements of its own, or write it with T.Parallel",
            node,
            {}};
  }

  Diagnostic Jump(View node) const {
    return {ErrorCode::kThreadCooperation,
            "a jump leaves a loop that stands around the one over " + index_.name +
                "; expected that all threads leave it together",
            "write the condition so that it does not depend on the thread", node, node};
  }

  Diagnostic Crossing(const std::string& what, View node) const {
    return {ErrorCode::kThreadMemory,
            "what each thread keeps in " + what + " has to live on outside of the loop over " +
                index_.name + "; expected memory that is written and read in one loop",
            "allocate it with an element for each thread, or write the statements between as ones "
            "that a thread can do alone",
            node,
            {}};
  }

  Diagnostic Exchange(const Accesses& accesses) const {
    return {ErrorCode::kThreadExchange,
            "`" + accesses.name + "` is written by one thread of " + index_.name +
                " and read by another in the same statement; expected elements of which each "
                "belongs to one thread",
            "write it in one statement and read it in the next",
            accesses.stmt,
            {}};
  }

  const Function& function_;
  const Index& index_;
  const bool is_tiled_;
  std::unordered_set<Object> differing_;
  bool is_var_used_ = false;
};

/*! The extents of TileLang's threads, [x, y, z], as its root block has them; none where it has not. */
View LaunchThreads(View stmt) {
  ir::Walker walker(stmt);
  for (View node; walker.Next(&node);) {
    if (KindOf(node) == NodeKind::kSBlock) {
      const View threads = ir::MapGet(Get(node, FieldId::kAnnotations), "tl.launch_threads");
      if (!threads.is_none()) return threads;
    }
    walker.PushStatements(node);
  }
  return {};
}

/*! Which of the three indices of TileLang's threads a statement names; none for any other one. */
std::optional<size_t> LaunchThreadAxis(View stmt) {
  if (KindOf(stmt) != NodeKind::kBind) return std::nullopt;
  const View value = Get(stmt, FieldId::kValue);
  if (ir::CalleeOf(value) != "tl.launch_thread_idx") return std::nullopt;
  return ir::ConstantOf(View::Of(ir::Elements(Get(value, FieldId::kArgs)).front()));
}

/*! A scope of TIRx inside of a CTA: its number is `thread // divisor % count`. */
struct ThreadScope {
  int64_t binding;  // source: class ScopeBinding of TVM 0.25 to 0.27
  int64_t divisor;
  int64_t count;  // in what it is a part of; 0 where that is the CTA
};
constexpr ThreadScope kThreadScopes[] = {
    {3, 128, 0},  // warpgroups of a CTA
    {4, 32, 0},   // warps of a CTA
    {5, 32, 4},   // warps of a warpgroup
    {6, 1, 32},   // threads of a warp
    {7, 1, 0},    // threads of a CTA
    {8, 1, 128},  // threads of a warpgroup
};

const ThreadScope* FindThreadScope(View stmt) {
  if (KindOf(stmt) != NodeKind::kScopeIdDefStmt) return nullptr;
  const auto binding = Get(Get(stmt, FieldId::kDef), FieldId::kScope).AsInt();
  const auto* found = std::ranges::find(kThreadScopes, binding, &ThreadScope::binding);
  return found == std::end(kThreadScopes) ? nullptr : found;
}

class ThreadRemover {
 public:
  explicit ThreadRemover(const Value& func) : func_(func), function_(func) {}

  Value Run() {
    const Value body = Get(func_, FieldId::kBody);
    RefuseCooperation(body);
    const Value rewritten = Visit(body, nullptr);
    return rewritten.object() == body.object() ? func_ : ir::With(func_, {{"body", rewritten}});
  }

 private:
  void RefuseCooperation(View body) const {
    std::vector<Diagnostic> found;
    std::unordered_set<std::string> named;  // each operation once is enough
    ir::Walker walker(body);
    for (View node; walker.Next(&node);) {
      const std::string callee = ir::CalleeOf(node);
      if (StartsWithAny(callee, kCooperative) && named.insert(callee).second) {
        found.push_back({ErrorCode::kThreadCooperation,
                         callee + " lets threads wait for each other, or see each other's values; "
                                  "expected threads that can run one after the other",
                         "write it with operations on whole tiles, which need no threads", node,
                         node});
      }
      walker.PushChildren(node);
    }
    if (!found.empty()) ir::Refuse(func_, found);
  }

  Value Visit(View stmt, Object loop) {
    return ir::RewriteStatements(stmt, [&](View part) { return Replace(part, loop); });
  }

  /*! What is in a statement, which itself stays. */
  Value VisitInside(View stmt, Object loop) {
    bool is_outer = true;
    return ir::RewriteStatements(stmt, [&](View part) -> std::optional<Value> {
      if (std::exchange(is_outer, false)) return std::nullopt;
      return Visit(part, loop);
    });
  }

  std::optional<Value> Replace(View stmt, Object loop) {
    if (const auto index = BoundIndex(stmt)) return ReplaceBinding(stmt, *index, loop);
    if (!TryGet(stmt, FieldId::kSeq).is_none()) return ReplaceSequence(stmt, loop);
    if (IsLoop(stmt)) return VisitInside(stmt, IdentityOf(stmt));
    if (ir::IsDeviceEntry(stmt)) return ReplaceEntry(stmt, loop);
    return std::nullopt;
  }

  // ---- thread_extent, and loops that are bound to threads

  Value ReplaceBinding(View stmt, const Index& index, Object loop) {
    const View inner = Get(stmt, FieldId::kBody);
    const auto outer = std::ranges::find(active_, index.name, &Index::name);
    if (outer != active_.end()) {
      // The same threads once more.
      if (!AreSame(outer->extent, index.extent)) {
        function_.Refuse({ErrorCode::kThreadExtent, index.name + " has two extents; expected one",
                          "launch it once", stmt, stmt});
      }
      const Value body = Visit(inner, loop);
      return ir::Substitute(body, index.var, outer->var);
    }
    active_.push_back(index);
    const Value body = Visit(inner, loop);
    active_.pop_back();
    return Serializer(function_, index, HoldsTiles(inner)).Run(body, loop);
  }

  // ---- TileLang's threads, and TIRx's scopes

  std::optional<Value> ReplaceSequence(View sequence, Object loop) {
    const Statements stmts = ElementsOf(sequence);
    const bool names_threads = std::ranges::any_of(stmts, [](View stmt) {
      return LaunchThreadAxis(stmt) || FindThreadScope(stmt) != nullptr;
    });
    if (!names_threads) return std::nullopt;
    Statements rest;
    std::vector<Value> threads, scopes;
    for (const Value& stmt : stmts) {
      if (LaunchThreadAxis(stmt)) {
        threads.push_back(stmt);
      } else if (FindThreadScope(stmt) != nullptr) {
        scopes.push_back(stmt);
      } else {
        rest.push_back(Visit(stmt, loop));
      }
    }
    Value body = ir::MakeSequence(rest);
    if (!threads.empty()) body = WithoutThreads(threads, body, loop);
    if (!scopes.empty()) body = WithoutScopes(scopes, body, loop);
    return body;
  }

  Value WithoutThreads(const std::vector<Value>& binds, Value body, Object loop) {
    const Value extents = LaunchThreads(body);
    for (const Value& bind : binds) {
      const size_t axis = *LaunchThreadAxis(bind);
      const View var = Get(bind, FieldId::kVar);
      const std::string name = std::string("threadIdx.") + "xyz"[axis];
      if (extents.is_none()) {
        if (function_.CountOf(var.object()) == 0) continue;
        function_.Refuse({ErrorCode::kThreadExtent,
                          name + " has no extent; expected T.Kernel(..., threads=...)",
                          "say how many threads there are", bind, bind});
      }
      const Index index = {var, View::Of(ir::Elements(extents)[axis]), name, bind};
      body = Serializer(function_, index, true).Run(body, loop);
    }
    return WithoutLaunchThreads(body);
  }

  /*! The root block without its extents of threads: there are none any more. */
  static Value WithoutLaunchThreads(const Value& body) {
    return ir::RewriteStatements(body, [](View stmt) -> std::optional<Value> {
      if (KindOf(stmt) != NodeKind::kSBlock) return std::nullopt;
      ir::Entries annotations = ir::MapItems(Get(stmt, FieldId::kAnnotations));
      const auto gone = std::erase_if(annotations, [](const auto& entry) {
        return entry.first.AsString() == "tl.launch_threads";
      });
      if (gone == 0) return std::nullopt;
      return ir::With(stmt, {{"annotations", ir::MakeMap(annotations)}});
    });
  }

  /*! Threads of a CTA are loops of their own; all other numbers follow from the thread's. */
  Value WithoutScopes(const std::vector<Value>& scopes, Value body, Object loop) {
    std::vector<Value> used;
    std::ranges::copy_if(scopes, std::back_inserter(used),
                         [&](View scope) { return IsUsed(scope); });
    // A number that nobody uses may be the one that says how many threads there are.
    const View stmt = used.empty() ? scopes.front() : used.front();
    if (used.size() <= 1 && FindThreadScope(stmt)->binding == kThreadsOfCta &&
        !ExtentsOf(stmt).empty()) {
      return WithoutThreadIds(stmt, std::move(body), loop);
    }
    const Value thread = ir::MakeVar("thread", "int32");
    const Index index = {thread, ir::MakeInt("int32", CountThreads(scopes, stmt)), "thread_id",
                         stmt};
    Statements stmts;
    for (const Value& scope : used) BindIds(scope, thread, &stmts);
    stmts.push_back(std::move(body));
    return Serializer(function_, index, false).Run(ir::MakeSequence(stmts), loop);
  }

  static constexpr int64_t kThreadsOfCta = 7;

  bool IsUsed(View scope) const {
    const View ids = Get(Get(scope, FieldId::kDef), FieldId::kDefIds);
    return std::ranges::any_of(ir::Elements(ids), [&](const TVMFFIAny& id) {
      return function_.CountOf(View::Of(id).object()) > 0;
    });
  }

  static std::vector<View> ExtentsOf(View scope) {
    std::vector<View> out;
    const View extents = Get(Get(scope, FieldId::kDef), FieldId::kExtents);
    for (const TVMFFIAny& extent : ir::Elements(extents)) out.push_back(View::Of(extent));
    return out;
  }

  Value WithoutThreadIds(View stmt, Value body, Object loop) {
    const std::vector<View> extents = ExtentsOf(stmt);
    const View ids = Get(Get(stmt, FieldId::kDef), FieldId::kDefIds);
    for (size_t i = 0; i < extents.size(); ++i) {
      const Index index = {View::Of(ir::Elements(ids)[i]), extents[i], "thread_id", stmt};
      body = Serializer(function_, index, false).Run(body, loop);
    }
    return body;
  }

  /*! How many threads a CTA has, from the first scope that says it. */
  int64_t CountThreads(const std::vector<Value>& scopes, View used) const {
    for (const Value& stmt : scopes) {
      const ThreadScope* scope = FindThreadScope(stmt);
      const std::vector<View> extents = ExtentsOf(stmt);
      if (scope->count != 0 || extents.empty()) continue;
      int64_t threads = scope->divisor;
      for (View extent : extents) threads *= ir::ConstantOf(extent).value_or(0);
      if (threads > 0) return threads;
    }
    function_.Refuse({ErrorCode::kThreadExtent,
                      "no scope says how many threads there are; expected constant extents of "
                      "thread_id, warp_id or warpgroup_id",
                      "give T.thread_id its extents", used, used});
  }

  /*! Several numbers of one scope count like digits, the first one fastest. */
  static void BindIds(View stmt, const Value& thread, Statements* out) {
    const ThreadScope& scope = *FindThreadScope(stmt);
    const View ids = Get(Get(stmt, FieldId::kDef), FieldId::kDefIds);
    const std::vector<View> extents = ExtentsOf(stmt);
    Value number = Divide("FloorDiv", thread, scope.divisor);
    if (scope.count != 0) number = Divide("FloorMod", number, scope.count);
    for (size_t i = 0; i < ir::Elements(ids).size(); ++i) {
      const bool is_last = i + 1 == ir::Elements(ids).size();
      const int64_t extent = is_last ? 1 : ir::ConstantOf(extents[i]).value_or(1);
      out->push_back(
          ir::MakeNode("Bind", {{"var", View::Of(ir::Elements(ids)[i])},
                                {"value", is_last ? number : Divide("FloorMod", number, extent)},
                                {"span", Value(TryGet(stmt, FieldId::kSpan))}}));
      number = Divide("FloorDiv", number, extent);
    }
  }

  static Value Divide(const char* op, const Value& number, int64_t by) {
    if (by == 1 && std::string_view(op) == "FloorDiv") return number;
    return ir::MakeExpr(op, "int32", {{"a", number}, {"b", ir::MakeInt("int32", by)}});
  }

  /*! The entry into the device goes with the last of its scopes. */
  std::optional<Value> ReplaceEntry(View entry, Object loop) {
    const View before = Get(entry, FieldId::kBody);
    const Value body = Visit(before, loop);
    ir::Walker walker(body);
    for (View node; walker.Next(&node);) {
      if (KindOf(node) == NodeKind::kScopeIdDefStmt) {
        if (body.object() == before.object()) return entry;
        return ir::With(entry, {{"body", body}});
      }
      walker.PushStatements(node);
    }
    return body;
  }

  /*! Whether a launch of TileLang's is at or below a statement. */
  static bool HoldsTiles(View stmt) {
    ir::Walker walker(stmt);
    for (View node; walker.Next(&node);) {
      if (ir::IsRootBlock(node)) return true;
      walker.PushStatements(node);
    }
    return false;
  }

  const Value& func_;
  const Function function_;
  std::vector<Index> active_;  // whose statements are around
};

Value SerializeThreads(const Value& func) {
  if (KindOf(func) != NodeKind::kPrimFunc) return func;
  return ThreadRemover(func).Run();
}

}  // namespace

Value ThreadsToLoops() { return MakePass("tt.ThreadsToLoops", SerializeThreads); }

}  // namespace tt::transform
