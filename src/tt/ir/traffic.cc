#include "ir/traffic.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory_resource>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "ir/launch.h"
#include "ir/memory.h"
#include "ir/node.h"
#include "ir/progression.h"
#include "ir/size.h"

namespace tt::ir {
namespace {

constexpr std::array<const char*, 3> kAxes = {"bx", "by", "bz"};
constexpr const char* kWhen = "when";
// The least width of a tile: elements no further apart touch every page between them.
constexpr int64_t kLeastTileWidth = 16;
// More than any index that a person writes; bindings of bindings may repeat each other.
constexpr int kMaxNodes = 512;

// Operations of TileLang 0.1.15 that touch what their regions say, and nothing else.
constexpr std::string_view kRegionOps[] = {
    "tl.tileop.copy",       "tl.tileop.async_copy",  "tl.tileop.tma_copy",  "tl.tileop.fill",
    "tl.tileop.transpose",  "tl.tileop.gemm",        "tl.tileop.reduce",    "tl.tileop.cumsum",
    "tl.tileop.cummax",     "tl.tileop.atomicadd",   "tl.tileop.atomicmax", "tl.tileop.atomicmin",
    "tl.tileop.wgmma_gemm", "tl.tileop.tcgen05_gemm"};
constexpr std::string_view kGemmOps[] = {"tl.tileop.gemm", "tl.tileop.wgmma_gemm",
                                         "tl.tileop.tcgen05_gemm"};
// Behind these the rest of a loop, or of the kernel, may not run.
constexpr std::string_view kJumps[] = {"tl.loop_break", "tirx.break_loop", "tirx.continue_loop",
                                       "tirx.ret", "tirx.thread_return"};

template <size_t N>
bool Contains(const std::string_view (&names)[N], std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

/*! A statement around an access that decides whether and how often it happens. */
struct Scope {
  enum Kind { kRoot, kLoop, kElements, kWhile, kCondition };
  Kind kind;
  size_t parent;
  View node;             // the loop, or the condition
  bool holds;            // the condition
  bool repeats = false;  // of kLoop: it is more than the elements of one access
  std::string name = {};
};

/*! What a variable of the body stands for. */
struct Definition {
  enum Kind { kGrid, kThread, kLoop, kValue };
  Kind kind;
  size_t index;  // of the axis
  View value;    // the extent of a thread, or what is bound
};

/*! An element of its own that one statement stores to. */
struct Cell {
  View value;
  size_t scope, statement;
  int stores;
};

/*! An access as the kernel writes it. */
struct Use {
  size_t parameter;
  Access access;
  std::string reason;
  std::vector<View> starts, extents;  // no extents: a single element
  size_t scope, statement;
};

struct Gemm {
  TileProduct product;
  size_t scope;
};

std::vector<View> Copies(std::span<const TVMFFIAny> elements) {
  std::vector<View> out;
  for (const TVMFFIAny& element : elements) out.push_back(View::Of(element));
  return out;
}

View DescriptionOf(View buffer) {
  return KindOf(buffer) == NodeKind::kBuffer ? buffer : TryGet(buffer, FieldId::kTy);
}

bool IsScalar(View buffer) {
  const View shape = Get(DescriptionOf(buffer), FieldId::kShape);
  return std::ranges::all_of(
      Elements(shape), [](const TVMFFIAny& extent) { return ConstantOf(View::Of(extent)) == 1; });
}

std::string Quoted(View named) { return "`" + GetString(named, FieldId::kName) + "`"; }

/*! Walks over a launch once and takes note of what decides about its accesses. */
class Collector {
 public:
  explicit Collector(const std::vector<Parameter>& parameters)
      : parameters_(parameters), memory_(parameters) {
    scopes.reserve(12);
    uses.reserve(8);
  }

  void Collect(View launch) {
    Walker walker(launch);
    for (View node; walker.Next(&node);) Visit(node, &walker);
    for (const auto& [indices, scope] : staged_) MarkRepeated(indices, scope);
  }

  // Most kernels need no memory beyond this for what follows.
  std::array<std::byte, 6144> space;
  std::pmr::monotonic_buffer_resource pool{space.data(), space.size()};
  std::pmr::vector<Scope> scopes{{{Scope::kRoot, 0, {}, false}}, &pool};
  std::pmr::unordered_map<const TVMFFIObject*, Definition> definitions{&pool};
  std::pmr::unordered_map<Memory, Cell> cells{&pool};
  std::array<View, 3> grid;   // extents by axis
  std::vector<View> threads;  // extents of TileLang's thread indices
  std::pmr::vector<Use> uses{&pool};
  std::vector<Gemm> gemms;
  bool left_early = false;

 private:
  void Visit(View node, Walker* walker) {
    const size_t scope = walker->context();
    switch (KindOf(node)) {
      case NodeKind::kFor: return VisitFor(node, walker);
      case NodeKind::kWhile: walker->set_context(Add(Scope::kWhile, scope, node)); break;
      case NodeKind::kIfThenElse:
        return VisitBranches(Get(node, FieldId::kCondition), Get(node, FieldId::kThenCase),
                             TryGet(node, FieldId::kElseCase), walker);
      case NodeKind::kJump: left_early = true; break;
      case NodeKind::kAttrStmt: DefineThread(node); break;
      case NodeKind::kScopeIdDefStmt: DefineScope(Get(node, FieldId::kDef)); break;
      case NodeKind::kSBlock: EnterBlock(node, walker); break;
      case NodeKind::kDeclBuffer:
      case NodeKind::kAllocBuffer: memory_.Follow(node, walker); return;
      case NodeKind::kBind:
        if (!VisitBind(node, walker)) return;
        break;
      case NodeKind::kBufferLoad:
        Touch(BufferOf(node), Get(node, FieldId::kIndices), kRead, scope);
        break;
      case NodeKind::kBufferStore: VisitStore(node, scope); break;
      case NodeKind::kBufferRegion:
        Report(MemoriesOf(BufferOf(node)), kReadWrite, "a region in an expression");
        break;
      case NodeKind::kVar: return Escape(node);
      case NodeKind::kCall: return VisitCall(node, walker);
      case NodeKind::kTilePrimitive: return VisitTilePrimitive(node, walker);
      default:
        if (const View block = TryGet(node, FieldId::kBlock); !block.is_none()) {
          return VisitRealize(node, block, walker);
        }
    }
    walker->PushChildren(node);
  }

  size_t Add(Scope::Kind kind, size_t parent, View node, bool holds = true) {
    scopes.push_back({kind, parent, node, holds});
    return scopes.size() - 1;
  }

  // Launches and loops.

  void DefineAxis(View var, std::string_view tag, View extent) {
    if (tag.starts_with("threadIdx") || tag.starts_with("vthread")) {
      definitions[var.object()] = {Definition::kThread, 0, std::move(extent)};
    }
    if (!tag.starts_with("blockIdx.")) return;
    const size_t axis = static_cast<size_t>(tag.back() - 'x');
    definitions[var.object()] = {Definition::kGrid, axis, {}};
    grid[axis] = std::move(extent);
  }

  void DefineThread(View stmt) {
    if (GetString(stmt, FieldId::kAttrKey) != "thread_extent") return;
    const View axis = Get(stmt, FieldId::kNode);
    DefineAxis(Get(axis, FieldId::kVar), GetString(axis, FieldId::kThreadTag),
               Get(stmt, FieldId::kValue));
  }

  /*! Source of the numbers: class ScopeBinding of TVM 0.25 to 0.27. */
  void DefineScope(View scope) {
    constexpr int64_t kKernelCta = 1, kCtaThread = 7;
    const auto binding = Get(scope, FieldId::kScope).AsInt();
    const View vars = Get(scope, FieldId::kDefIds), extents = Get(scope, FieldId::kExtents);
    if (Elements(vars).size() != Elements(extents).size()) return;
    for (size_t i = 0; i < Elements(vars).size() && i < 3; ++i) {
      const View var = View::Of(Elements(vars)[i]);
      View extent = View::Of(Elements(extents)[i]);
      if (binding == kKernelCta) DefineAxis(var, std::string("blockIdx.") + kAxes[i][1], extent);
      if (binding == kCtaThread) DefineAxis(var, "threadIdx", extent);
    }
  }

  void VisitFor(View loop, Walker* walker) {
    constexpr int64_t kParallel = 1, kVectorized = 2;  // ForKind of every TVM
    const View var = Get(loop, FieldId::kLoopVar);
    const size_t outside = walker->context();
    size_t inside = outside;
    const View binding = Get(loop, FieldId::kThreadBinding);
    if (!binding.is_none()) {
      DefineAxis(var, GetString(binding, FieldId::kThreadTag), Get(loop, FieldId::kExtent));
    } else if (IsOfLoweredGrid(loop, outside)) {
      // No loop of a work tile.
    } else if (first_use_.contains(var.object())) {
      return VisitPersistent(loop, walker);
    } else {
      const auto kind = Get(loop, FieldId::kKind).AsInt();
      const bool is_elements = kind == kParallel || kind == kVectorized;
      inside = Add(is_elements ? Scope::kElements : Scope::kLoop, outside, loop);
      definitions[var.object()] = {Definition::kLoop, 0, {}};
    }
    walker->set_context(inside);
    walker->Push(Get(loop, FieldId::kBody));
    walker->set_context(outside);
    walker->Push(Get(loop, FieldId::kExtent));
    walker->Push(Get(loop, FieldId::kMin));
  }

  /*! Whether this is a loop over the grid of a launch that the host has lowered to plain loops. */
  bool IsOfLoweredGrid(View loop, size_t outside) {
    if (is_tilelang_ || outside != 0) return false;
    if (grid_loops_.empty()) grid_loops_ = LoweredGrid(loop);
    const auto found = std::ranges::find(grid_loops_, loop.object(), &Value::object);
    if (found == grid_loops_.end()) return false;
    const size_t axis = std::min<size_t>(found - grid_loops_.begin(), 2);
    definitions[Get(loop, FieldId::kLoopVar).object()] = {Definition::kGrid, axis, {}};
    grid[axis] = Get(loop, FieldId::kExtent);
    return true;
  }

  /*! A wave is no loop of a work tile, and the guards of its coordinates hold of every one. */
  void VisitPersistent(View loop, Walker* walker) {
    const auto& coordinates = binds_;
    const size_t first = first_use_.at(Get(loop, FieldId::kLoopVar).object());
    const size_t count = std::min<size_t>(coordinates.size() - first, 3);
    for (size_t i = 0; i < count; ++i) {
      const View var = Get(coordinates[first + i], FieldId::kVar);
      definitions[var.object()] = {Definition::kGrid, count - 1 - i, {}};
    }
    grid = {};
    const View last = Get(coordinates[first], FieldId::kVar);
    View body = Get(loop, FieldId::kBody);
    for (int depth = 0; depth < 2 && KindOf(body) == NodeKind::kIfThenElse; ++depth) {
      const View left = TryGet(Get(body, FieldId::kCondition), FieldId::kA);
      const bool is_guard =
          left.object() == last.object() || Mentions(left, Get(loop, FieldId::kLoopVar));
      if (!is_guard) break;
      body = Get(body, FieldId::kThenCase);
    }
    walker->Push(body);
  }

  void VisitBranches(View condition, View then_case, View else_case, Walker* walker) {
    ++statement_;
    const size_t scope = walker->context();
    if (else_case.is_object()) {
      walker->set_context(Add(Scope::kCondition, scope, condition, false));
      walker->Push(else_case);
    }
    walker->set_context(Add(Scope::kCondition, scope, condition));
    walker->Push(then_case);
    walker->set_context(scope);
    walker->Push(condition);
  }

  void VisitRealize(View realize, View block, Walker* walker) {
    const View axes = Get(block, FieldId::kIterVars);
    const View values = Get(realize, FieldId::kIterValues);
    for (size_t i = 0; i < Elements(axes).size(); ++i) {
      const View var = Get(View::Of(Elements(axes)[i]), FieldId::kVar);
      definitions[var.object()] = {Definition::kValue, 0, View::Of(Elements(values)[i])};
    }
    const View predicate = Get(realize, FieldId::kPredicate);
    if (ConstantOf(predicate) == 1) {
      walker->Push(block);
    } else {
      VisitBranches(predicate, block, View(), walker);
    }
    walker->Push(values);
  }

  void EnterBlock(View block, Walker* walker) {
    static constinit const Interned launch_threads{"tl.launch_threads"};
    memory_.Follow(block, walker);
    if (GetString(block, FieldId::kNameHint) != "tilelang_root") return;
    is_tilelang_ = true;
    const View extents = MapGet(Get(block, FieldId::kAnnotations), launch_threads);
    threads = Copies(Elements(extents));
  }

  /*! Whether what is below is to be visited. */
  bool VisitBind(View bind, Walker* walker) {
    ++statement_;
    if (memory_.Follow(bind, walker)) return false;
    const View var = Get(bind, FieldId::kVar), value = Get(bind, FieldId::kValue);
    if (CalleeOf(value) == "tl.launch_thread_idx") {
      const View args = Get(value, FieldId::kArgs);
      const auto axis = ConstantOf(View::Of(Elements(args)[0])).value_or(3);
      definitions[var.object()] = {Definition::kThread, static_cast<size_t>(axis), {}};
      return false;
    }
    definitions[var.object()] = {Definition::kValue, 0, value};
    if (is_tilelang_) NoteUses(bind, value);
    return true;
  }

  /*! T.Persistent alone uses the variable of a loop before the loop defines it. */
  void NoteUses(View bind, View value) {
    Walker walker(value);
    for (View node; walker.Next(&node);) {
      const bool is_new = KindOf(node) == NodeKind::kVar && !definitions.contains(node.object());
      if (is_new) first_use_.try_emplace(node.object(), binds_.size());
      walker.PushChildren(node);
    }
    binds_.push_back(bind);
  }

  /*! A loop around a store to the chip that does not say where to store does more than that. */
  void MarkRepeated(View indices, size_t scope) {
    for (size_t id = scope; id != 0; id = scopes[id].parent) {
      Scope& loop = scopes[id];
      if (loop.kind != Scope::kLoop || loop.repeats) continue;
      loop.repeats = !Mentions(indices, Get(loop.node, FieldId::kLoopVar));
    }
  }

  void MarkAllRepeated(size_t scope) {
    for (size_t id = scope; id != 0; id = scopes[id].parent) {
      scopes[id].repeats |= scopes[id].kind == Scope::kLoop;
    }
  }

  bool Mentions(View expr, View var) const {
    Walker walker(expr);
    int budget = kMaxNodes;
    for (View node; walker.Next(&node) && --budget > 0;) {
      if (node.object() == var.object()) return true;
      if (const auto bound = definitions.find(node.object());
          bound != definitions.end() && bound->second.kind == Definition::kValue) {
        walker.Push(bound->second.value);
      } else if (KindOf(node) == NodeKind::kBufferLoad) {
        const auto cell = cells.find(MemoryOf(BufferOf(node)).object());
        if (cell != cells.end()) walker.Push(cell->second.value);
      }
      walker.PushChildren(node);
    }
    return false;
  }

  // Accesses.

  std::span<const Memory> MemoriesOf(View buffer) const { return memory_.Find(MemoryOf(buffer)); }

  void Touch(View buffer, View indices, Access access, size_t scope) {
    const auto memories = MemoriesOf(buffer);
    if (!memories.empty()) Touch(memories, buffer, Copies(Elements(indices)), {}, access, scope);
  }

  void Touch(std::span<const Memory> memories, View buffer, std::vector<View> starts,
             std::vector<View> extents, Access access, size_t scope) {
    const auto position = OnlyParameter(memories, buffer);
    if (!position) return Report(memories, access, "another view of its memory");
    if (*position == parameters_.size()) return;
    uses.push_back(
        {*position, access, "", std::move(starts), std::move(extents), scope, statement_});
  }

  /*! The parameter that a buffer is; their number for none, nothing for what may be one. */
  std::optional<size_t> OnlyParameter(std::span<const Memory> memories, View buffer) const {
    bool any = false;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Parameter& parameter = parameters_[i];
      if (parameter.memory.is_none()) continue;
      if (std::ranges::find(memories, parameter.memory.object()) == memories.end()) continue;
      any = true;
      const bool described = KindOf(buffer) == NodeKind::kBuffer;
      View self = described ? parameter.description : parameter.var;
      if (memories.size() == 1 && self.object() == buffer.object()) return i;
    }
    return any ? std::nullopt : std::optional(parameters_.size());
  }

  void Report(std::span<const Memory> memories, Access access, const std::string& reason) {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Memory memory = parameters_[i].memory.object();
      if (memory == nullptr || std::ranges::find(memories, memory) == memories.end()) continue;
      uses.push_back({i, access, reason, {}, {}, 0, statement_});
    }
    for (Memory memory : memories) ++cells[memory].stores;
  }

  void Escape(View var) {
    const auto memories = memory_.Find(var);
    if (!memories.empty()) Report(memories, kReadWrite, "a pointer that is handed on");
  }

  void VisitStore(View store, size_t scope) {
    ++statement_;
    const View buffer = BufferOf(store), indices = Get(store, FieldId::kIndices);
    const std::string where = ScopeOf(buffer);
    Touch(buffer, indices, kWrite, scope);
    if (where == "global") return;
    if (IsScalar(buffer)) {
      Cell& cell = cells[MemoryOf(buffer).object()];
      cell = {Get(store, FieldId::kValue), scope, statement_, cell.stores + 1};
    } else if (where != "local") {
      staged_.emplace_back(indices, scope);
    }
  }

  void VisitCall(View call, Walker* walker) {
    const std::string callee = CalleeOf(call);
    const View args = Get(call, FieldId::kArgs);
    const auto elements = Elements(args);
    if (callee.ends_with(".if_then_else") && elements.size() == 3) {
      return VisitBranches(View::Of(elements[0]), View::Of(elements[1]), View::Of(elements[2]),
                           walker);
    }
    if (Contains(kJumps, callee)) left_early = true;
    if (callee.starts_with("tl.tileop.")) return VisitTileOp(callee, args, walker);
    const auto range = memory_.RangeOf(call, walker);
    if (!range) return walker->Push(args);
    const bool is_element =
        callee == "tl.access_ptr" && elements.size() > 1 && ConstantOf(View::Of(elements[1])) == 1;
    if (!is_element) return Report(range->memories, range->access, "a pointer that is handed on");
    const View place = View::Of(elements[0]);
    Touch(range->memories, range->buffer, Copies(Elements(Get(place, FieldId::kIndices))), {},
          range->access, walker->context());
  }

  void VisitTileOp(const std::string& callee, View args, Walker* walker) {
    ++statement_;
    const size_t scope = walker->context();
    MarkAllRepeated(scope);
    if (MultipliesMatrices(callee)) AddGemm(callee, args, scope);
    const std::string reason = Contains(kRegionOps, callee) ? "" : "the operation " + callee;
    for (const TVMFFIAny& element : Elements(args)) {
      const View arg = View::Of(element);
      const auto range = memory_.RangeOf(arg, walker);
      if (!range) {
        walker->Push(arg);
        continue;
      }
      const bool updates = UpdatesDestination(callee) && (range->access & kWrite);
      const Access access = updates ? kReadWrite : range->access;
      const View region_args = Get(arg, FieldId::kArgs);
      const auto parts = Elements(region_args);
      const bool is_box = CalleeOf(arg) == "tl.region" && reason.empty();
      if (!is_box) {
        Report(range->memories, access, reason.empty() ? "a pointer that is handed on" : reason);
        continue;
      }
      const View place = View::Of(parts[0]);
      Touch(range->memories, range->buffer, Copies(Elements(Get(place, FieldId::kIndices))),
            Copies(parts.subspan(2)), access, scope);
      if (access & kWrite) {
        for (Memory memory : range->memories) cells[memory].stores += 2;
      }
    }
  }

  void VisitTilePrimitive(View call, Walker* walker) {
    ++statement_;
    const size_t scope = walker->context();
    MarkAllRepeated(scope);
    const View args = Get(call, FieldId::kArgs);
    const auto elements = Elements(args);
    const std::string op = GetString(Get(call, FieldId::kOp), FieldId::kName);
    const TilePrimitive primitive(op, elements);
    if (MultipliesMatrices(op)) gemms.push_back({{.reason = "the operation " + op}, scope});
    for (size_t i = 0; i < elements.size(); ++i) {
      const View arg = View::Of(elements[i]);
      if (KindOf(arg) != NodeKind::kBufferRegion) {
        walker->Push(arg);
        continue;
      }
      std::vector<View> starts, extents;
      const View ranges = Get(arg, FieldId::kRegion);
      for (const TVMFFIAny& element : Elements(ranges)) {
        const View range = View::Of(element);
        starts.push_back(Get(range, FieldId::kMin));
        extents.push_back(Get(range, FieldId::kExtent));
      }
      const auto memories = MemoriesOf(BufferOf(arg));
      if (!memories.empty()) {
        Touch(memories, BufferOf(arg), starts, extents, primitive.AccessOf(i), scope);
      }
      walker->PushChildren(arg);
    }
  }

  /*! gemm(A, B, C, transpose_A, transpose_B, M, N, K, ...), of TileLang 0.1.15. */
  void AddGemm(const std::string& callee, View args, size_t scope) {
    Gemm gemm = {{.reason = "the operation " + callee}, scope};
    const auto elements = Elements(args);
    if (Contains(kGemmOps, callee) && elements.size() >= 8) {
      const auto size = [&](size_t i) { return ConstantOf(View::Of(elements[i])); };
      const auto m = size(5), n = size(6), k = size(7);
      if (m && n && k) gemm.product = {"", *m, *n, *k, {}, {}};
      for (size_t i = 0; i < 3; ++i) {
        const View parts = TryGet(View::Of(elements[i]), FieldId::kArgs);
        if (Elements(parts).empty()) continue;
        const View buffer = BufferOf(View::Of(Elements(parts)[0]));
        gemm.product.dtypes[i] = DtypeOf(Get(DescriptionOf(buffer), FieldId::kDtype));
      }
    }
    gemms.push_back(std::move(gemm));
  }

  const std::vector<Parameter>& parameters_;
  MemoryMap memory_;
  size_t statement_ = 0;
  bool is_tilelang_ = false;
  std::vector<View> grid_loops_;
  std::vector<View> binds_;                                    // of TileLang, in program order
  std::unordered_map<const TVMFFIObject*, size_t> first_use_;  // by bind, of what is defined later
  std::vector<std::pair<View, size_t>> staged_;                // where stores to the chip go
};

/*! Says what the accesses that were collected move. */
class Resolver {
 public:
  Resolver(const std::vector<Parameter>& parameters, Collector* kernel)
      : parameters_(parameters), kernel_(*kernel), variables_(parameters) {}

  Traffic Resolve() {
    Traffic out;
    NameLoops();
    size_t statement = 0, first = 0;  // transfers of one statement begin there
    for (const Use& use : kernel_.uses) {
      if (use.statement != statement) first = out.transfers.size();
      statement = use.statement;
      const auto transfer = Resolve(use);
      if (!transfer) continue;
      // What one statement says twice, as A[i] * A[i] does, it moves once.
      const auto same = std::find(out.transfers.begin() + first, out.transfers.end(), *transfer);
      const bool is_known = use.extents.empty() && same != out.transfers.end();
      if (!is_known) out.transfers.push_back(*transfer);
    }
    for (const Gemm& gemm : kernel_.gemms) {
      if (auto product = Resolve(gemm)) out.products.push_back(*std::move(product));
    }
    return out;
  }

 private:
  struct Failure {
    std::string reason;
  };

  [[noreturn]] static void Fail(const std::string& reason) { throw Failure{reason}; }

  // Names.

  void NameLoops() {
    if (kernel_.left_early) problem_ = "a loop that is left early";
    const auto sizes = variables_.All();
    if (sizes.empty() && std::ranges::none_of(kernel_.scopes, &Scope::repeats)) return;
    std::set<std::string> taken = {kWhen, "min", "max"};
    for (View var : sizes) taken.insert(GetString(var, FieldId::kName));
    for (const char* axis : kAxes) {
      const bool is_new = taken.insert(axis).second;
      if (!is_new) problem_ = std::string("a size that is called `") + axis + "`";
    }
    for (Scope& scope : kernel_.scopes) {
      if (scope.kind != Scope::kLoop || !scope.repeats) continue;
      std::string name = GetString(Get(scope.node, FieldId::kLoopVar), FieldId::kName);
      for (char& c : name) {
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
      }
      if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) name = "_" + name;
      scope.name = name;
      for (int i = 1; !taken.insert(scope.name).second; ++i) {
        scope.name = name + "_" + std::to_string(i);
      }
    }
  }

  // Indices.

  Progression Read(View expr, size_t scope) {
    const size_t outer = std::exchange(scope_, scope);
    if (outer == kNowhere) budget_ = kMaxNodes;
    Progression out = ReadExpr(expr);
    scope_ = outer;
    return out;
  }

  Progression ReadExpr(View expr) {
    if (const auto constant = ConstantOf(expr)) return Progression::Of(*constant);
    if (--budget_ < 0) Fail("an index that is too long");
    switch (KindOf(expr)) {
      case NodeKind::kLeaf: Fail("an index that is no integer");
      case NodeKind::kVar: return ReadVariable(expr);
      case NodeKind::kBufferLoad: return ReadCell(expr);
      case NodeKind::kCall: return ReadCall(expr);
      default: break;
    }
    const std::string_view op = ShortKey(expr);
    if (op == "Cast") {
      const View inner = Get(expr, FieldId::kValue);
      if (!IsInteger(expr) || !IsInteger(inner)) Fail("an index that is converted to an integer");
      return ReadExpr(inner);
    }
    const View a = TryGet(expr, FieldId::kA), b = TryGet(expr, FieldId::kB);
    if (a.is_none() || b.is_none()) Fail("an index with a node of type " + std::string(op));
    return Apply(op, ReadExpr(a), ReadExpr(b));
  }

  Progression ReadCall(View call) {
    const std::string callee = CalleeOf(call);
    const View args = Get(call, FieldId::kArgs);
    const auto elements = Elements(args);
    const bool left = callee.ends_with("shift_left"), right = callee.ends_with("shift_right");
    if ((!left && !right) || elements.size() != 2) {
      Fail("an index with a call of " + (callee.empty() ? "a function" : callee));
    }
    return Apply(left ? "LShift" : "RShift", ReadExpr(View::Of(elements[0])),
                 ReadExpr(View::Of(elements[1])));
  }

  static Progression Exact(std::optional<Progression> progression) {
    if (!progression) Fail("elements that lie apart");
    return *std::move(progression);
  }

  static Progression Apply(std::string_view op, const Progression& a, const Progression& b) {
    const Bound constant = b.modulus == 0 ? Bound(b.residue) : std::nullopt;
    if (op == "Add") return Exact(Sum(a, b));
    if (op == "Sub") return Exact(Sum(a, Scale(b, -1)));
    if (op == "Mul" && constant) return Scale(a, *constant);
    if (op == "Mul" && a.modulus == 0) return Scale(b, a.residue);
    const bool is_shift = op == "LShift" || op == "RShift";
    if (is_shift && constant && *constant >= 0 && *constant < 62) {
      const int64_t power = int64_t{1} << *constant;
      return op == "LShift" ? Scale(a, power) : Exact(Quotient(a, power));
    }
    const bool rounds_down = a.least && *a.least >= 0 && b.least && *b.least >= 0;
    const bool divides = op == "FloorDiv" || (op == "Div" && rounds_down);
    const bool leaves = op == "FloorMod" || (op == "Mod" && rounds_down);
    if ((divides || leaves) && constant && *constant >= 1) {
      return Exact(divides ? Quotient(a, *constant) : Remainder(a, *constant));
    }
    if (!a.is_single() || !b.is_single()) Fail("elements that lie apart");
    Progression out;
    const bool natural = a.least >= 0 && b.least >= 0;
    if (op == "Mul") {
      out.first = a.first * b.first;
    } else if (divides) {
      out.first = FloorDiv(a.first, b.first);
    } else if (leaves) {
      out.first = FloorMod(a.first, b.first);
    } else if (op == "Min" || op == "Max") {
      return Extremum(op == "Min", a, b);
    } else {
      Fail("an index with a node of type " + std::string(op));
    }
    if (natural) out.least = 0;
    return out;
  }

  static Progression Extremum(bool is_min, const Progression& a, const Progression& b) {
    if (a.greatest && b.least && *a.greatest <= *b.least) return is_min ? a : b;
    if (b.greatest && a.least && *b.greatest <= *a.least) return is_min ? b : a;
    Progression out;
    out.first = is_min ? Min(a.first, b.first) : Max(a.first, b.first);
    // None of two compares as less than any number: right for what is least known, of either end.
    const bool low = a.least && b.least, high = a.greatest && b.greatest;
    if (is_min) {
      if (low) out.least = std::min(a.least, b.least);
      out.greatest = high ? std::min(a.greatest, b.greatest) : std::max(a.greatest, b.greatest);
    } else {
      out.least = std::max(a.least, b.least);
      if (high) out.greatest = std::max(a.greatest, b.greatest);
    }
    return out;
  }

  Progression ReadVariable(View var) {
    const auto found = kernel_.definitions.find(var.object());
    if (found == kernel_.definitions.end()) return ReadSizeVariable(var);
    const Definition& definition = found->second;
    switch (definition.kind) {
      case Definition::kGrid: return OfAxis(definition.index);
      case Definition::kThread: return OfThread(var, definition);
      case Definition::kLoop: return OfLoop(var);
      default: return ReadExpr(definition.value);
    }
  }

  Progression ReadSizeVariable(View var) {
    const auto size = variables_.Find(var);
    if (!size) Fail("an index with the variable " + Quoted(var));
    Progression out;
    out.first = size->value;
    out.least = size->at_least;
    return out;
  }

  Progression OfAxis(size_t axis) {
    const auto extent = ConstantOf(kernel_.grid[axis]);
    if (extent == 1) return Progression::Of(0);
    Progression out;
    // Never freed, as threads may run passes while the process exits.
    static const auto* names = new std::array<Int, 3>{
        Int::Variable(kAxes[0]), Int::Variable(kAxes[1]), Int::Variable(kAxes[2])};
    out.first = (*names)[axis];
    out.least = 0;
    if (extent) out.greatest = *extent - 1;
    return out;
  }

  Progression OfThread(View var, const Definition& definition) {
    View extent = definition.value;
    if (extent.is_none() && definition.index < kernel_.threads.size()) {
      extent = kernel_.threads[definition.index];
    }
    const auto count = ConstantOf(extent);
    if (!count) Fail("a number of threads that is not known");
    if (*count == 1) return Progression::Of(0);
    Progression out = Progression::Of(0);
    out.count = *count;
    out.elements = ElementLoops(var.object());
    return out;
  }

  bool IsAround(size_t scope, size_t inner) const {
    while (inner > scope) inner = kernel_.scopes[inner].parent;
    return inner == scope;
  }

  /*! Of the loop around the expression; one that stands in several places is in each another. */
  Progression OfLoop(View var) {
    size_t id = scope_;
    while (id != 0 && !DefinesVariable(id, var)) id = kernel_.scopes[id].parent;
    if (id == 0) Fail("a value from a loop that has ended");
    const Scope& scope = kernel_.scopes[id];
    const auto [step, min, trips] = HeadOf(id);
    Progression out;
    if (trips.first == Int(1)) return min;
    if (scope.kind == Scope::kElements || !scope.repeats) {
      out = min;
      out.step = step;
      out.count = trips.first;
      out.elements = ElementLoops(var.object());
      return out;
    }
    out.first = Int::Variable(scope.name);
    out.least = 0;
    if (trips.greatest) out.greatest = std::max<int64_t>(*trips.greatest - 1, 0);
    return Exact(Sum(min, Scale(out, step)));
  }

  bool DefinesVariable(size_t id, View var) const {
    const Scope& scope = kernel_.scopes[id];
    const bool is_loop = scope.kind == Scope::kLoop || scope.kind == Scope::kElements;
    return is_loop && Get(scope.node, FieldId::kLoopVar).object() == var.object();
  }

  struct Head {
    int64_t step;
    Progression min, trips;
  };

  /*! Where a loop begins and how often it runs. */
  Head HeadOf(size_t id) {
    if (const auto known = heads_.find(id); known != heads_.end()) return known->second;
    View loop = kernel_.scopes[id].node;
    const size_t outside = kernel_.scopes[id].parent;
    const View step_expr = TryGet(loop, FieldId::kStep);
    const auto step = step_expr.is_none() ? Bound(1) : ConstantOf(step_expr);
    if (!step || *step < 1) Fail("a loop whose step is not known");
    const Progression min = Read(Get(loop, FieldId::kMin), outside);
    Progression trips = Read(Get(loop, FieldId::kExtent), outside);
    if (!min.is_single() || !trips.is_single()) Fail("a loop whose length differs by element");
    if (*step > 1) trips = Exact(Quotient(Exact(Sum(trips, Progression::Of(*step - 1))), *step));
    return heads_[id] = {*step, min, trips};
  }

  /*! An element that one store before sets for sure. */
  Progression ReadCell(View load) {
    const View buffer = BufferOf(load);
    const auto found = kernel_.cells.find(MemoryOf(buffer).object());
    const bool is_set = found != kernel_.cells.end() && found->second.stores == 1 &&
                        !found->second.value.is_none() && found->second.statement < statement_ &&
                        IsAround(found->second.scope, scope_);
    if (!is_set) Fail("an index with a load from " + Quoted(buffer));
    return ReadExpr(found->second.value);
  }

  // Boxes.

  struct Box {
    std::vector<Progression> indices;
    std::vector<Int> shape;
    std::vector<Int> start, extent;
    std::vector<TrafficLoop> loops;
    bool is_element = false;  // and no region of a tile operation
    bool is_empty = false;    // it never happens
  };

  std::optional<Transfer> Resolve(const Use& use) {
    Transfer out = {parameters_[use.parameter].index, use.access, "", {}, {}, {}};
    try {
      if (!use.reason.empty()) Fail(use.reason);
      if (!problem_.empty()) Fail(problem_);
      statement_ = use.statement;
      Box box;
      ReadBox(use, &box);
      ReadScopes(use.scope, &box);
      const auto is_none = [](const Int& extent) { return extent.constant().value_or(1) < 1; };
      if (box.is_empty || std::ranges::any_of(box.extent, is_none)) return std::nullopt;
      if (use.extents.empty()) FoldLoops(&box);
      out.start = std::move(box.start);
      out.extent = std::move(box.extent);
      out.loops = std::move(box.loops);
    } catch (const Failure& failure) {
      out.reason = failure.reason;
    } catch (const Error& error) {
      out.reason = error.what();
    }
    scope_ = kNowhere;
    return out;
  }

  std::optional<TileProduct> Resolve(const Gemm& gemm) {
    TileProduct out = gemm.product;
    try {
      if (!out.reason.empty()) Fail(out.reason);
      if (!problem_.empty()) Fail(problem_);
      statement_ = static_cast<size_t>(-1);
      Box box;
      ReadScopes(gemm.scope, &box);
      if (box.is_empty) return std::nullopt;
      out.loops = std::move(box.loops);
    } catch (const Failure& failure) {
      out = {failure.reason, 0, 0, 0, {}, {}};
    } catch (const Error& error) {
      out = {error.what(), 0, 0, 0, {}, {}};
    }
    scope_ = kNowhere;
    return out;
  }

  void ReadBox(const Use& use, Box* box) {
    const View shape = Get(parameters_[use.parameter].description, FieldId::kShape);
    for (const TVMFFIAny& extent : Elements(shape)) {
      const View expr = View::Of(extent);
      const auto constant = ConstantOf(expr);
      box->shape.push_back(constant ? Int(*constant) : ReadInt(expr, variables_));
    }
    const bool is_element = box->is_element = use.extents.empty();
    // Hosts write an element of a tensor without dimensions as its first.
    const bool is_whole = box->shape.empty() && use.starts.size() == 1;
    if (is_whole) return;
    if (use.starts.size() != box->shape.size()) Fail("another number of indices than dimensions");
    if (!is_element && use.extents.size() != use.starts.size()) {
      Fail("another number of extents than dimensions");
    }
    for (size_t i = 0; i < use.starts.size(); ++i) {
      const Progression index = Read(use.starts[i], use.scope);
      box->start.push_back(index.first);
      if (is_element) {
        const bool is_last = i + 1 == use.starts.size();
        const bool is_dense = index.step == 1 || (is_last && index.step <= kLeastTileWidth);
        if (index.count != Int(1) && !is_dense) Fail("elements that lie apart");
        box->extent.push_back((index.count - Int(1)) * Int(index.step) + Int(1));
      } else {
        const Progression extent = Read(use.extents[i], use.scope);
        if (!index.is_single() || !extent.is_single()) Fail("a region that differs by thread");
        box->extent.push_back(extent.first);
      }
      box->indices.push_back(index);
    }
  }

  void ReadScopes(size_t innermost, Box* box) {
    std::vector<size_t> scopes;
    for (size_t id = innermost; id != 0; id = kernel_.scopes[id].parent) scopes.push_back(id);
    for (size_t i = scopes.size(); i-- > 0;) {
      const Scope& scope = kernel_.scopes[scopes[i]];
      if (scope.kind == Scope::kWhile) Fail("a while loop");
      if (scope.kind == Scope::kCondition) Assume(scope.node, scope.holds, scope.parent, box);
      if (scope.kind != Scope::kLoop || !scope.repeats) continue;
      const Int trips = HeadOf(scopes[i]).trips.first;
      if (trips == Int(1)) continue;
      box->is_empty |= trips.constant().value_or(1) < 1;
      box->loops.push_back({scope.name, trips});
    }
  }

  // Conditions.

  void Assume(View condition, bool holds, size_t scope, Box* box) {
    if (const auto constant = ConstantOf(condition)) {
      box->is_empty |= (*constant != 0) != holds;
      return;
    }
    const std::string_view op = condition.is_object() ? ShortKey(condition) : "";
    const View a = TryGet(condition, FieldId::kA), b = TryGet(condition, FieldId::kB);
    if (op == "Not") return Assume(a, !holds, scope, box);
    if (op == (holds ? "And" : "Or")) {
      Assume(a, holds, scope, box);
      return Assume(b, holds, scope, box);
    }
    if (CalleeOf(condition).ends_with(".likely")) {
      const View args = Get(condition, FieldId::kArgs);
      return Assume(View::Of(Elements(args)[0]), holds, scope, box);
    }
    if (KindOf(condition) == NodeKind::kVar) {
      const auto bound = kernel_.definitions.find(condition.object());
      const bool is_value =
          bound != kernel_.definitions.end() && bound->second.kind == Definition::kValue;
      if (is_value) return Assume(bound->second.value, holds, scope, box);
    }
    if (op == (holds ? "Or" : "And")) return AssumeTruth(Truth(condition, scope), holds, box);
    if (a.is_none() || b.is_none()) Fail("a condition that is no comparison");
    const Progression x = Read(a, scope), y = Read(b, scope);
    const Progression one = Progression::Of(1);
    if (op == (holds ? "LT" : "GE")) return AssumeLess(x, y, box);
    if (op == (holds ? "LE" : "GT")) return AssumeLess(x, Exact(Sum(y, one)), box);
    if (op == (holds ? "GT" : "LE")) return AssumeLess(y, x, box);
    if (op == (holds ? "GE" : "LT")) return AssumeLess(y, Exact(Sum(x, one)), box);
    if (op == (holds ? "EQ" : "NE")) {
      AssumeLess(x, Exact(Sum(y, one)), box);
      return AssumeLess(y, Exact(Sum(x, one)), box);
    }
    if (op != (holds ? "NE" : "EQ")) Fail("a condition that is no comparison");
    // One element that is left out changes no box of several.
    if (!x.is_single() || !y.is_single()) return;
    AssumeTruth(Min(1, Max(x.first - y.first, y.first - x.first)), true, box);
  }

  static void AssumeTruth(const Int& truth, bool holds, Box* box) {
    const Int trips = holds ? truth : Int(1) - truth;
    if (trips == Int(0)) box->is_empty = true;
    if (!trips.is_constant()) box->loops.push_back({kWhen, trips});
  }

  /*! 1 where a condition that is the same for all elements holds, 0 where it does not. */
  Int Truth(View condition, size_t scope) {
    if (const auto constant = ConstantOf(condition)) return *constant != 0 ? 1 : 0;
    const std::string_view op = condition.is_object() ? ShortKey(condition) : "";
    const View a = TryGet(condition, FieldId::kA), b = TryGet(condition, FieldId::kB);
    if (op == "Not") return Int(1) - Truth(a, scope);
    if (op == "And") return Truth(a, scope) * Truth(b, scope);
    if (op == "Or") return Max(Truth(a, scope), Truth(b, scope));
    if (a.is_none() || b.is_none()) Fail("a condition that is no comparison");
    const Progression x = Read(a, scope), y = Read(b, scope);
    if (!x.is_single() || !y.is_single()) Fail("a condition that differs by element");
    const auto less = [](const Int& small, const Int& large) {
      return Min(1, Max(0, large - small));
    };
    if (op == "LT") return less(x.first, y.first);
    if (op == "LE") return less(x.first, y.first + Int(1));
    if (op == "GT") return less(y.first, x.first);
    if (op == "GE") return less(y.first, x.first + Int(1));
    const Int differ = Min(1, Max(x.first - y.first, y.first - x.first));
    if (op == "NE") return differ;
    if (op != "EQ") Fail("a condition that is no comparison");
    return Int(1) - differ;
  }

  static void AssumeLess(const Progression& a, const Progression& b, Box* box) {
    const Bound greatest = a.greatest_of_all();
    if (greatest && b.least && *greatest < *b.least) return;
    for (size_t i = 0; i < box->indices.size(); ++i) {
      const Progression& index = box->indices[i];
      if (const auto offset = OffsetFrom(index, a); offset && b.is_single()) {
        if (IsEdge(i, b.first - *offset, *box)) return;
        if (box->is_element) return ClipEnd(i, b.first - *offset, box);
      }
      const auto offset = box->is_element ? OffsetFrom(index, b) : std::nullopt;
      if (offset && a.is_single()) return ClipStart(i, a.first + Int(1) - *offset, box);
    }
    // Of the elements, whether there is one.
    const Bound never = b.greatest_of_all();
    if (never && a.least && *a.least >= *never) {
      box->is_empty = true;
      return;
    }
    if (a.greatest && b.least && *a.greatest < *b.least) return;
    AssumeTruth(Min(1, Max(0, b.last() - a.first)), true, box);
  }

  /*! How far a value lies from an index that moves with the same elements. */
  static std::optional<Int> OffsetFrom(const Progression& index, const Progression& value) {
    if (index.step != value.step || index.count != value.count) return std::nullopt;
    if (!SameLoops(index.elements, value.elements)) return std::nullopt;
    const Int offset = value.first - index.first;
    // Of a single element only the edge is more than a condition.
    return index.is_single() && offset != Int(0) ? std::nullopt : std::optional(offset);
  }

  /*! Whether a tensor ends there, or before: no element beyond it is touched anyway. */
  static bool IsEdge(size_t dim, const Int& end, const Box& box) {
    const auto limit = end.constant(), size = box.shape[dim].constant();
    return end == box.shape[dim] || (limit && size && *limit >= *size);
  }

  static void ClipEnd(size_t dim, const Int& end, Box* box) {
    box->extent[dim] = Max(0, Min(box->extent[dim], end - box->start[dim]));
  }

  static void ClipStart(size_t dim, const Int& start, Box* box) {
    const auto limit = start.constant();
    if (limit && *limit <= 0) return;
    const Int end = box->start[dim] + box->extent[dim];
    box->start[dim] = Max(box->start[dim], start);
    box->extent[dim] = Max(0, end - box->start[dim]);
  }

  // Loops.

  /*! Single elements that a loop moves on without gaps are one box. */
  static void FoldLoops(Box* box) {
    for (size_t i = box->loops.size(); i-- > 0;) {
      const TrafficLoop loop = box->loops[i];
      const auto mentions = [&](const Int& number) {
        return number.Variables().contains(loop.name);
      };
      if (loop.name == kWhen) continue;
      const auto depends = [&](const TrafficLoop& other) { return mentions(other.trips); };
      if (std::ranges::any_of(box->loops, depends)) continue;
      if (std::ranges::any_of(box->extent, mentions)) continue;
      const auto moves = std::ranges::find_if(box->start, mentions);
      if (moves == box->start.end() ||
          std::find_if(moves + 1, box->start.end(), mentions) != box->start.end()) {
        continue;
      }
      const size_t dim = static_cast<size_t>(moves - box->start.begin());
      const Int first = moves->Substitute({{loop.name, 0}});
      const auto step = (moves->Substitute({{loop.name, 1}}) - first).constant();
      const auto width = box->extent[dim].constant();
      const auto trips = loop.trips.constant();
      if (!step || !width || !trips || *step < 1 || *step > *width || *trips < 1) continue;
      if (mentions(*moves - Int::Variable(loop.name) * Int(*step))) continue;
      box->extent[dim] = box->extent[dim] + (loop.trips - Int(1)) * Int(*step);
      box->start[dim] = first;
      box->loops.erase(box->loops.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  static constexpr size_t kNowhere = static_cast<size_t>(-1);

  const std::vector<Parameter>& parameters_;
  Collector& kernel_;
  const ShapeVariables variables_;
  std::string problem_;  // of all accesses
  std::unordered_map<size_t, Head> heads_;
  size_t scope_ = kNowhere;  // around the expression that is read
  size_t statement_ = 0;     // that it belongs to
  int budget_ = 0;
};

}  // namespace

Traffic ReadTraffic(View launch, const std::vector<Parameter>& parameters) {
  Collector collector(parameters);
  collector.Collect(launch);
  return Resolver(parameters, &collector).Resolve();
}

}  // namespace tt::ir
