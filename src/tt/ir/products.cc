#include "ir/products.h"

#include <algorithm>
#include <array>
#include <ranges>
#include <span>
#include <unordered_map>
#include <utility>

#include "ir/node.h"
#include "ir/tile_ops.h"

namespace tt::ir {
namespace {

/*! What is known of the value of an expression. */
struct Facts {
  Memories sources;
  size_t loads = 0;  // at least
  bool multiplies = false;
};

// Operations of TileLang 0.1.15 that multiply nothing and store nothing that a product reads.
constexpr std::string_view kHarmlessPrefixes[] = {
    "tirx.assume",     "tirx.tvm_storage_sync",
    "tl.atomic",       "tl.fence",
    "tl.mbarrier",     "tl.no_set_",
    "tl.pdl_",         "tl.ptx_arrive",
    "tl.set_max_nreg", "tl.sync",
    "tl.wait",         "tl.launch_thread_idx",
};
// Calls in an expression that hand out memory or leave the language.
constexpr std::string_view kForeignPrefixes[] = {"tirx.call_", "tirx.tvm_call", "tl.ptx_", "tl.dp"};

template <size_t N>
bool StartsWithAny(std::string_view text, const std::string_view (&prefixes)[N]) {
  return std::ranges::any_of(prefixes, [&](auto prefix) { return text.starts_with(prefix); });
}

/*! Walks over a kernel's statements once. */
class KernelReader {
 public:
  KernelReader(const std::vector<Parameter>& parameters, Kernel* out)
      : memory_(parameters), out_(*out) {}

  void Read(View body) {
    Walker walker(body);
    for (View node; walker.Next(&node);) Visit(node, &walker);
  }

 private:
  void Visit(View node, Walker* walker) {
    scope_ = walker->context();
    switch (KindOf(node)) {
      case NodeKind::kFor: VisitFor(node, walker); break;
      case NodeKind::kWhile: Enter(Scope::kWhile, node, walker); break;
      case NodeKind::kIfThenElse: Enter(Scope::kCondition, node, walker); break;
      case NodeKind::kJump: SetOnce(&out_.problem, "a loop that is left early"); return;
      case NodeKind::kAttrStmt: VisitAttribute(node); break;
      case NodeKind::kBufferStore: return VisitStore(node);
      case NodeKind::kTilePrimitive: return SetOnce(&out_.problem, "a tile primitive of TIRx");
      case NodeKind::kSBlock: {
        memory_.Follow(node, walker);
        walker->Push(Get(node, FieldId::kBody));
        return;
      }
      case NodeKind::kBind: VisitBind(node, walker); return;
      case NodeKind::kAllocBuffer:
      case NodeKind::kDeclBuffer: memory_.Follow(node, walker); return;
      case NodeKind::kOther: VisitOther(node, walker); break;
      default: return;
    }
    walker->PushStatements(node);
  }

  void Enter(Scope::Kind kind, Value node, Walker* walker) {
    walker->set_context(out_.scopes.Add(kind, scope_, std::move(node)));
  }

  void VisitFor(View loop, Walker* walker) {
    if (Get(loop, FieldId::kThreadBinding).is_none()) return Enter(Scope::kLoop, loop, walker);
    out_.grid.emplace_back(Get(loop, FieldId::kLoopVar), Get(loop, FieldId::kExtent));
  }

  void VisitAttribute(View stmt) {
    if (GetString(stmt, FieldId::kAttrKey) != "thread_extent") return;
    const View var = TryGet(Get(stmt, FieldId::kNode), FieldId::kVar);
    out_.grid.emplace_back(var, Get(stmt, FieldId::kValue));
  }

  void VisitOther(View stmt, Walker* walker) {
    const View call = TryGet(stmt, FieldId::kValue);
    if (KindOf(call) == NodeKind::kCall) return VisitCall(call);
    const View block = TryGet(stmt, FieldId::kBlock);
    if (!block.is_none()) BindAxes(stmt, block, walker);
  }

  /*! The axes of a block are names for what they are bound to. */
  void BindAxes(View realize, View block, Walker* walker) {
    constexpr int64_t kCommReduce = 2;  // IterVarType of every TVM
    const View axes = Get(block, FieldId::kIterVars);
    const View values = Get(realize, FieldId::kIterValues);
    std::vector<Value> reduced;
    for (size_t i = 0; i < Elements(axes).size(); ++i) {
      const View axis = View::Of(Elements(axes)[i]);
      const View value = View::Of(Elements(values)[i]);
      out_.names.Bind(Get(axis, FieldId::kVar), value);
      if (Get(axis, FieldId::kIterType).AsInt() == kCommReduce) reduced.push_back(value);
    }
    const bool starts_anew = !Get(block, FieldId::kInit).is_none();
    if (starts_anew) Enter(Scope::kBlock, MakeArray(reduced), walker);
  }

  void VisitBind(View bind, Walker* walker) {
    if (memory_.Follow(bind, walker)) return;
    const View var = Get(bind, FieldId::kVar);
    const View value = Get(bind, FieldId::kValue);
    facts_[var.object()] = FactsOf(value);
    out_.names.Bind(var, value);
    walker->PushStatements(bind);
  }

  // Stores.

  void VisitStore(View store) {
    const View value = Get(store, FieldId::kValue);
    const Place place = PlaceOf(store);
    const Facts facts = FactsOf(value);
    if (facts.multiplies) products_.insert(place.memory);
    if (IsScalar(place)) out_.names.Store(MemoryOf(place.buffer), value);
    if (std::ranges::find(facts.sources, place.memory) == facts.sources.end()) {
      return AddWrite({Write::kReset, place, scope_, facts.sources, {}});
    }
    AddFlow(facts.sources, place.memory);
    std::vector<Operand> operands;
    if (ReadSumOfProducts(value, place, &operands)) {
      out_.sums.push_back({place, scope_, std::move(operands), std::nullopt});
    } else if (facts.multiplies) {
      SetOnce(&out_.problem_of_sums, "sums of another form than `C = C + a * b`");
    }
  }

  /*! Whether a place is all of its memory, on the chip. */
  static bool IsScalar(const Place& place) {
    const View shape = ShapeOf(place.buffer);
    const auto is_one = [](const TVMFFIAny& extent) { return ConstantOf(View::Of(extent)) == 1; };
    return std::ranges::all_of(Elements(shape), is_one) && ScopeOf(place.buffer) != "global";
  }

  /*! What an expression is, without conversions and names that it goes through. */
  View Bare(View expr) const {
    for (;;) {
      if (Value value = out_.names.Find(expr); !value.is_none()) {
        expr = std::move(value);
      } else if (KindOf(expr) == NodeKind::kOther && ShortKey(expr) == "Cast") {
        expr = Get(expr, FieldId::kValue);
      } else {
        return expr;
      }
    }
  }

  /*! Whether a value is what is stored at `place` already, plus a product of two values. */
  bool ReadSumOfProducts(View value, const Place& place, std::vector<Operand>* operands) {
    const View sum = Bare(value);
    if (ShortKey(sum) != "Add") return false;
    View a = Bare(Get(sum, FieldId::kA)), b = Bare(Get(sum, FieldId::kB));
    if (!IsLoadOf(a, place)) std::swap(a, b);
    if (!IsLoadOf(a, place)) return false;
    std::vector<View> factors = {b};
    while (!factors.empty()) {
      const View written = factors.back();
      const View factor = Bare(written);
      factors.pop_back();
      if (factor.is_object() && ShortKey(factor) == "Mul") {
        factors.push_back(Get(factor, FieldId::kB));
        factors.push_back(Get(factor, FieldId::kA));
        continue;
      }
      if (FactsOf(factor).loads == 0) continue;
      const bool is_load = KindOf(factor) == NodeKind::kBufferLoad;
      operands->push_back({written, is_load ? PlaceOf(factor) : Place(), std::nullopt});
    }
    // A value times itself, as in a norm, is no product of matrices.
    const auto is_first = [&](const Operand& operand) {
      return operand.place.memory == operands->front().place.memory &&
             IsSame(operand.expr, operands->front().expr);
    };
    return operands->size() >= 2 && !std::ranges::all_of(*operands | std::views::drop(1), is_first);
  }

  bool IsLoadOf(View expr, const Place& place) {
    if (KindOf(expr) != NodeKind::kBufferLoad) return false;
    return MemoryIn(BufferOf(expr)) == place.memory &&
           IsSame(Get(expr, FieldId::kIndices), place.indices);
  }

  static bool IsSame(View a, View b) {
    static constinit const GlobalFunction equal{"ffi.StructuralEqual"};
    if (a.object() == b.object()) return true;
    const auto left = Elements(a), right = Elements(b);
    const auto is_same = [](const TVMFFIAny& x, const TVMFFIAny& y) { return x.v_obj == y.v_obj; };
    if (!left.empty() && std::ranges::equal(left, right, is_same)) return true;
    const Value no(false);
    return *equal({a.raw(), b.raw(), no.raw(), no.raw()}).AsInt() != 0;
  }

  /*! Indices say where, not what: they are left out. */
  Facts FactsOf(View expr) {
    Facts facts;
    bool loads_product = false;
    Walker walker(expr);
    for (View node; walker.Next(&node);) {
      switch (KindOf(node)) {
        case NodeKind::kBufferLoad:
          facts.sources.push_back(MemoryIn(BufferOf(node)));
          loads_product |= products_.contains(facts.sources.back());
          ++facts.loads;
          continue;
        case NodeKind::kVar: AddFacts(node, &facts); continue;
        case NodeKind::kCall: ReadCallIn(node, &facts); break;
        default: facts.multiplies |= ShortKey(node) == "Mul" || ShortKey(node) == "Div";
      }
      walker.PushChildren(node);
    }
    facts.multiplies = loads_product || (facts.multiplies && facts.loads >= 2);
    return facts;
  }

  void AddFacts(View var, Facts* facts) {
    const auto bound = facts_.find(var.object());
    if (bound == facts_.end()) return;
    for (Memory source : bound->second.sources) {
      const bool known = std::ranges::find(facts->sources, source) != facts->sources.end();
      if (!known) facts->sources.push_back(source);
    }
    facts->loads += std::min<size_t>(bound->second.loads, 2);
    facts->multiplies |= bound->second.multiplies;
  }

  /*! A function of several values may multiply them. */
  void ReadCallIn(View call, Facts* facts) {
    const std::string callee = CalleeOf(call);
    if (callee.empty() || StartsWithAny(callee, kForeignPrefixes)) ReportCall(callee);
    facts->multiplies |= Elements(Get(call, FieldId::kArgs)).size() > 1;
  }

  void ReportCall(const std::string& callee) {
    SetOnce(&out_.problem, "a call of " + (callee.empty() ? "a function" : callee));
  }

  // Calls.

  void VisitCall(View call) {
    const std::string callee = CalleeOf(call);
    if (callee.starts_with("tl.tileop.") && callee.find("gemm") != std::string::npos) {
      if (!ReadGemm(Get(call, FieldId::kArgs))) ReportCall(callee);
    } else if (callee.starts_with("tl.tileop.")) {
      ReadTileOperation(callee, Get(call, FieldId::kArgs));
    } else if (!StartsWithAny(callee, kHarmlessPrefixes)) {
      ReportCall(callee);
    } else if (callee.starts_with("tl.atomic")) {
      // It adds to what is there; what is added may be a product.
      SetOnce(&out_.problem_of_sums, "a call of " + callee);
    }
  }

  /*! gemm(A, B, C, transpose_A, transpose_B, M, N, K, policy, clear, ...), of TileLang 0.1.15. */
  bool ReadGemm(View args) {
    const auto elements = Elements(args);
    if (elements.size() < 10) return false;
    std::array<std::optional<Place>, 3> places;
    for (size_t i = 0; i < places.size(); ++i) places[i] = RegionOf(View::Of(elements[i]));
    const auto transposes_a = FlagOf(elements[3]), transposes_b = FlagOf(elements[4]);
    const auto k = ConstantOf(View::Of(elements[7]));
    if (!places[0] || !places[1] || !places[2] || !transposes_a || !transposes_b || !k)
      return false;
    const auto operand = [&](Place place, bool k_is_last) -> std::optional<Operand> {
      const size_t rank = place.extents.size();
      if (rank < 2) return std::nullopt;
      const size_t axis = rank - (k_is_last ? 1 : 2);
      if (place.extents[axis] != *k) return std::nullopt;
      return Operand{{}, std::move(place), axis};
    };
    auto a = operand(*std::move(places[0]), !*transposes_a);
    auto b = operand(*std::move(places[1]), *transposes_b);
    if (!a || !b) return false;
    Product product{*places[2], scope_, {}, k};
    for (const Operand& factor : {*a, *b})
      AddFlow({factor.place.memory}, product.accumulator.memory);
    product.operands = {*std::move(a), *std::move(b)};
    const auto clears = FlagOf(elements[9]);
    product.clear = !clears ? Product::kMayClear : *clears ? Product::kClears : Product::kKeeps;
    out_.gemms.push_back(std::move(product));
    return true;
  }

  static std::optional<bool> FlagOf(const TVMFFIAny& any) {
    const View flag = View::Of(any);
    if (flag.type_index() == kTVMFFIBool) return flag.AsInt() != 0;
    const auto number = ConstantOf(flag);
    return number ? std::optional(*number != 0) : std::nullopt;
  }

  /*! tl.region(load, mask, extents...) */
  std::optional<Place> RegionOf(View arg) {
    if (CalleeOf(arg) != "tl.region") return std::nullopt;
    const View args = Get(arg, FieldId::kArgs);
    const auto elements = Elements(args);
    if (elements.size() < 2) return std::nullopt;
    const View load = View::Of(elements[0]);
    if (KindOf(load) != NodeKind::kBufferLoad) return std::nullopt;
    Place place = PlaceOf(load);
    for (const TVMFFIAny& extent : elements.subspan(2))
      place.extents.push_back(ConstantOf(View::Of(extent)));
    // An extent for every index, or it is no region that anyone can follow.
    if (place.extents.size() != Elements(place.indices).size()) return std::nullopt;
    return place;
  }

  void ReadTileOperation(const std::string& callee, View args) {
    Memories sources;
    std::vector<Place> targets, copied;
    for (const TVMFFIAny& element : Elements(args)) {
      const View arg = View::Of(element);
      auto place = RegionOf(arg);
      if (!place) {
        if (KindOf(arg) == NodeKind::kOther) FactsOf(arg);
        continue;
      }
      const auto mask = ConstantOf(View::Of(Elements(Get(arg, FieldId::kArgs))[1]));
      const bool writes = !mask || (*mask & kWrite) != 0;
      if (!writes) sources.push_back(place->memory);
      (writes ? targets : copied).push_back(*std::move(place));
    }
    const bool copies = callee == "tl.tileop.copy" && targets.size() == 1 && copied.size() == 1;
    const auto kind = copies                  ? Write::kCopy
                      : MayAccumulate(callee) ? Write::kUnclear
                                              : Write::kReset;
    for (const Place& target : targets) {
      AddWrite({kind, target, scope_, sources, copies ? copied.front() : Place()});
    }
  }

  void AddWrite(Write write) {
    AddFlow(write.sources, write.place.memory);
    out_.writes.push_back(std::move(write));
  }

  void AddFlow(const Memories& sources, Memory target) {
    for (Memory source : sources) {
      if (source != target) out_.flow.Add(source, target);
    }
  }

  Place PlaceOf(View access) {
    const View buffer = BufferOf(access);
    return {MemoryIn(buffer), buffer, Get(access, FieldId::kIndices), {}};
  }

  Memory MemoryIn(View buffer) {
    const View var = MemoryOf(buffer);
    const auto memories = memory_.Find(var);
    if (memories.size() == 1) return memories.front();
    if (memories.size() > 1) SetOnce(&out_.problem, "a pointer that is chosen at run time");
    return var.object();
  }

  MemoryMap memory_;
  std::unordered_map<const TVMFFIObject*, Facts> facts_;  // of bound variables
  std::unordered_set<Memory> products_;                   // that hold what has been multiplied
  Kernel& out_;
  size_t scope_ = 0;  // of the statement that is visited
};

}  // namespace

size_t Scopes::Common(size_t a, size_t b) const {
  while (a != b) {
    size_t& deeper = scopes_[a].depth >= scopes_[b].depth ? a : b;
    deeper = scopes_[deeper].parent;
  }
  return a;
}

bool Scopes::IsConditional(size_t inner, size_t outer) const {
  for (size_t id = inner; id != outer; id = scopes_[id].parent) {
    if (scopes_[id].kind == Scope::kCondition || scopes_[id].kind == Scope::kWhile) return true;
  }
  return false;
}

Kernel FindProducts(View body, const std::vector<Parameter>& parameters) {
  Kernel kernel;
  KernelReader(parameters, &kernel).Read(body);
  return kernel;
}

View ShapeOf(View buffer) {
  const bool is_buffer = KindOf(buffer) == NodeKind::kBuffer;
  return TryGet(is_buffer ? buffer : TryGet(buffer, FieldId::kTy), FieldId::kShape);
}

void SetOnce(std::string* problem, const std::string& text) {
  if (problem->empty()) *problem = text;
}

}  // namespace tt::ir
