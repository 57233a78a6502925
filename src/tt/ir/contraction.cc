#include "ir/contraction.h"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "ir/node.h"
#include "ir/products.h"
#include "ir/size.h"

namespace tt::ir {
namespace {

/*! Reads sizes, of which most are constants. */
class SizeReader {
 public:
  explicit SizeReader(const std::vector<Parameter>& parameters) : parameters_(parameters) {}

  /*! None for what is no expression over shape variables. */
  std::optional<Int> Read(View expr) {
    if (const auto constant = ConstantOf(expr)) return *constant;
    if (!variables_) variables_.emplace(parameters_);
    try {
      return ReadInt(expr, *variables_);
    } catch (const Error&) {
      return std::nullopt;
    }
  }

 private:
  const std::vector<Parameter>& parameters_;
  std::optional<ShapeVariables> variables_;
};

/*! How far one product reaches. */
class ProductReader {
 public:
  ProductReader(Kernel& kernel, SizeReader& sizes, const Product& product)
      : kernel_(kernel), sizes_(sizes), product_(product) {}

  /*! K; none for what sums over nothing, or has a problem. */
  std::optional<Int> Read() {
    FindContractedLoops();
    if (!problem_.empty()) return std::nullopt;
    if (!product_.block && loops_.empty()) return std::nullopt;
    return product_.block ? ExtentOfBlocks() : ExtentOfElements();
  }

  const std::string& problem() const { return problem_; }

  /*! The depth of the innermost scope of the product in which its accumulator starts anew. */
  size_t DepthOfReset() {
    size_t depth = 0;
    for (const Write& write : kernel_.writes) {
      if (!MayReset(write)) continue;
      depth = std::max(depth, kernel_.scopes[Common(write)].depth);
    }
    return depth;
  }

 private:
  struct Loop {
    size_t scope;
    View node;
    const TVMFFIObject* var;
    Int trips;
  };

  size_t Common(const Write& write) const {
    return kernel_.scopes.Common(write.scope, product_.scope);
  }

  /*! Whether a statement stores to the accumulator what does not depend on it. */
  bool MayReset(const Write& write) const {
    if (write.kind == Write::kUnclear || write.place.memory != product_.accumulator.memory)
      return false;
    return !IsOtherElement(write.place.indices);
  }

  /*! Constants that differ on some axis: for another element than the accumulator's. */
  bool IsOtherElement(View indices) const {
    const auto theirs = Elements(indices), ours = Elements(product_.accumulator.indices);
    if (theirs.size() != ours.size()) return false;
    for (size_t i = 0; i < ours.size(); ++i) {
      const auto a = ConstantOf(View::Of(theirs[i])), b = ConstantOf(View::Of(ours[i]));
      if (a && b && *a != *b) return true;
    }
    return false;
  }

  void FindContractedLoops() {
    if (product_.clear == Product::kClears) return;
    const size_t reset = DepthOfReset();
    View reduced;  // what the axes of a block that starts its sum anew are bound to
    for (size_t id = product_.scope; id != 0; id = kernel_.scopes[id].parent) {
      const Scope& scope = kernel_.scopes[id];
      if (scope.kind == Scope::kBlock) reduced = scope.node;
      if (scope.kind == Scope::kCondition) conditions_.push_back(scope.node);
      if (scope.depth <= reset) break;
      if (scope.kind == Scope::kWhile) return SetOnce(&problem_, "a sum in a while loop");
      if (scope.kind != Scope::kLoop) continue;
      const View var = Get(scope.node, FieldId::kLoopVar);
      if (Mentions(product_.accumulator.indices, var.object())) {
        if (!MayCollide(product_.accumulator.indices, var.object())) continue;
        return SetOnce(&problem_, "an accumulator whose index divides a loop variable");
      }
      if (!reduced.is_none() && !Mentions(reduced, var.object())) break;
      AddLoop(id, scope.node, var);
    }
    if (!loops_.empty() && product_.clear == Product::kMayClear) {
      return SetOnce(&problem_, "a product that clears its accumulator now and then");
    }
    CheckWrites(reset);
    for (View branch : conditions_) ReadCondition(branch);
  }

  /*! Conditions about summing loops end the sum as the end of a tensor does. */
  void ReadCondition(View branch) {
    const bool is_either = !TryGet(branch, FieldId::kElseCase).is_none();
    Walker conjuncts(Get(branch, FieldId::kCondition));
    for (View node; conjuncts.Next(&node);) {
      const bool is_likely = KindOf(node) == NodeKind::kCall && CalleeOf(node).ends_with(".likely");
      if (is_likely || ShortKey(node) == "And") {
        conjuncts.PushChildren(node);
        continue;
      }
      const auto moves = [&](const Loop& loop) { return Mentions(node, loop.var); };
      if (std::ranges::none_of(loops_, moves) || (!is_either && KeepsInside(node))) continue;
      const auto end = is_either ? std::nullopt : EndBy(node);
      if (!end) return SetOnce(&problem_, "a condition that leaves out a part of the sum");
      end_ = end_ ? Min(*end_, *end) : *end;
    }
  }

  /*! Whether a comparison keeps an index of a factor inside of its tensor, which says as much. */
  bool KeepsInside(View comparison) const {
    const std::string_view op = ShortKey(comparison);
    const bool swapped = op == "GT" || op == "LE";
    if (op != "LT" && op != "GE" && !swapped) return false;
    const View index = Get(comparison, swapped ? FieldId::kB : FieldId::kA);
    const auto limit = sizes_.Read(Get(comparison, swapped ? FieldId::kA : FieldId::kB));
    const bool is_lower = op == "GE" || op == "LE";
    return limit && std::ranges::any_of(product_.operands, [&](const Operand& operand) {
             if (operand.place.memory == nullptr) return false;
             const auto indices = Elements(operand.place.indices);
             const View shape = ShapeOf(operand.place.buffer);
             if (Elements(shape).size() != indices.size()) return false;
             for (size_t i = 0; i < indices.size(); ++i) {
               if (!IsSameIndex(index, View::Of(indices[i]))) continue;
               if (limit == (is_lower ? Int(0) : sizes_.Read(View::Of(Elements(shape)[i]))))
                 return true;
             }
             return false;
           });
  }

  bool IsSameIndex(View a, View b) const {
    if (a.object() == b.object()) return true;
    const auto x = ReadAffine(a, kernel_.names), y = ReadAffine(b, kernel_.names);
    return x && y && x->constant == y->constant && std::ranges::is_permutation(x->terms, y->terms);
  }

  /*! How many steps of all summing loops a comparison with a size lets through. */
  std::optional<Int> EndBy(View comparison) const {
    const std::string_view op = ShortKey(comparison);
    if ((op != "LT" && op != "GT") || product_.block) return std::nullopt;
    const auto index =
        ReadAffine(Get(comparison, op == "LT" ? FieldId::kA : FieldId::kB), kernel_.names);
    const auto size = sizes_.Read(Get(comparison, op == "LT" ? FieldId::kB : FieldId::kA));
    if (!index || !size) return std::nullopt;
    size_t walked = 0;
    const auto steps = Walk(*index, 1, *size, &walked);
    return walked == loops_.size() ? steps : std::nullopt;
  }

  void AddLoop(size_t id, View loop, View var) {
    const auto trips = sizes_.Read(Get(loop, FieldId::kExtent));
    const View step = TryGet(loop, FieldId::kStep);
    if (!trips || (!step.is_none() && ConstantOf(step) != 1)) {
      return SetOnce(&problem_, "the number of trips of loop `" + GetString(var, FieldId::kName) +
                                    "` is not known");
    }
    loops_.push_back({id, loop, var.object(), *trips});
  }

  /*! Refuses statements of which it is not certain when they start the sum anew. */
  void CheckWrites(size_t reset) {
    for (const Write& write : kernel_.writes) {
      if (write.place.memory != product_.accumulator.memory) continue;
      const size_t common = Common(write);
      const size_t outermost = loops_.empty() ? product_.scope : loops_.back().scope;
      const bool in_sum = kernel_.scopes[common].depth >= kernel_.scopes[outermost].depth;
      if (write.kind == Write::kUnclear && in_sum) {
        return SetOnce(&problem_, "an accumulator that an operation rewrites");
      }
      if (!MayReset(write) || kernel_.scopes[common].depth < reset) continue;
      if (common != 0 && kernel_.scopes.IsConditional(write.scope, common)) {
        return SetOnce(&problem_, "an accumulator that is cleared now and then");
      }
      if (common != 0 && std::ranges::any_of(write.sources, [&](Memory source) {
            return kernel_.flow.Reaches(product_.accumulator.memory, source);
          })) {
        return SetOnce(&problem_, "an accumulator that is rewritten with what it held");
      }
      if (common != 0 && IsClearedInPart(write, common)) {
        return SetOnce(&problem_, "an accumulator that is cleared in part");
      }
    }
  }

  /*! Whether a statement stores to fewer elements than the product does, each time that both run. */
  bool IsClearedInPart(const Write& write, size_t common) const {
    const auto cleared = CountElements(write.place, write.scope, common);
    const auto updated = CountElements(product_.accumulator, product_.scope, common);
    return cleared && updated && cleared->is_constant() && updated->is_constant() &&
           *cleared < *updated;
  }

  /*! The elements of a place, times the trips of the loops up to `outer` that its index follows. */
  std::optional<Int> CountElements(const Place& place, size_t scope, size_t outer) const {
    Int count = 1;
    for (const auto& extent : place.extents) {
      if (!extent) return std::nullopt;
      count = count * Int(*extent);
    }
    for (size_t id = scope; id != outer; id = kernel_.scopes[id].parent) {
      const Scope& loop = kernel_.scopes[id];
      if (loop.kind != Scope::kLoop) continue;
      if (!Mentions(place.indices, Get(loop.node, FieldId::kLoopVar).object())) continue;
      const auto trips = sizes_.Read(Get(loop.node, FieldId::kExtent));
      if (!trips) return std::nullopt;
      count = count * *trips;
    }
    return count;
  }

  /*! Whether several values of a variable may give one index: it is there as a quotient alone, or as
   *  a remainder alone. */
  bool MayCollide(View indices, const TVMFFIObject* var) const {
    constexpr size_t kQuotient = 1, kRemainder = 2;
    size_t seen = 0;
    Walker walker(indices);
    for (View node; walker.Next(&node);) {
      if (node.object() == var) {
        if (walker.context() == 0) return false;
        seen |= walker.context();
      }
      const std::string_view op = ShortKey(node);
      if (op == "FloorDiv" || op == "Div") walker.set_context(walker.context() | kQuotient);
      if (op == "FloorMod" || op == "Mod") walker.set_context(walker.context() | kRemainder);
      const View value = kernel_.names.Find(node);
      if (!value.is_none()) walker.Push(value);
      walker.PushChildren(node);
    }
    return seen == kQuotient || seen == kRemainder;
  }

  /*! Whether expressions depend on a variable, through the names that values have. */
  bool Mentions(View expr, const TVMFFIObject* var) const {
    std::unordered_set<const TVMFFIObject*> seen;
    Walker walker(expr);
    for (View node; walker.Next(&node);) {
      if (node.object() == var) return true;
      const View value = kernel_.names.Find(node);
      if (!value.is_none() && seen.insert(value.object()).second) walker.Push(value);
      walker.PushChildren(node);
    }
    return false;
  }

  /*! Of a gemm operation: where neither operand is a tensor's, the chip's own tiles say it. */
  std::optional<Int> ExtentOfBlocks() {
    const auto extent = ExtentOfOperands();
    if (extent || !loops_.empty()) return extent;
    return Int(*product_.block);
  }

  std::optional<Int> ExtentOfElements() {
    if (!AllLoopsMove()) {
      SetOnce(&problem_, "a sum over a loop that not both factors follow");
      return std::nullopt;
    }
    const auto extent = ExtentOfOperands();
    const auto is_on_chip = [](const Operand& operand) {
      return operand.place.memory == nullptr || ScopeOf(operand.place.buffer) != "global";
    };
    if (extent || !conditions_.empty() || std::ranges::any_of(product_.operands, is_on_chip))
      return extent;
    problem_.clear();  // every step of the loops is a product of two elements
    Int trips = 1;
    for (const Loop& loop : loops_) trips = trips * loop.trips;
    return trips;
  }

  /*! Whether every loop changes two factors at least: others only repeat, or scale a sum. */
  bool AllLoopsMove() const {
    return std::ranges::all_of(loops_, [&](const Loop& loop) {
      return std::ranges::count_if(product_.operands, [&](const Operand& operand) {
               return Mentions(operand.expr, loop.var);
             }) >= 2;
    });
  }

  /*! The least that an operand which can be followed has; a problem where none can. */
  std::optional<Int> ExtentOfOperands() {
    std::optional<Int> least;
    for (const Operand& operand : product_.operands) {
      const auto extent = Follow(operand);
      if (extent) least = least ? Min(*least, *extent) : *extent;
    }
    if (!least && !loops_.empty()) SetOnce(&problem_, "operands that no tensor can be found for");
    return least && end_ ? Min(*least, *end_) : least;
  }

  /*! How much of a tensor an operand walks over along the axes that are summed over. */
  std::optional<Int> Follow(const Operand& operand) const {
    if (operand.place.memory == nullptr) return std::nullopt;
    Place place = operand.place;
    std::optional<size_t> axis = operand.axis;
    std::unordered_set<Memory> seen;
    while (ScopeOf(place.buffer) != "global") {
      const auto* copy = seen.insert(place.memory).second ? OnlyCopyTo(place.memory) : nullptr;
      if (copy == nullptr || !axis) return std::nullopt;
      axis = AxisBefore(*copy, place, *axis);
      if (!axis) return std::nullopt;
      place = copy->copied;
    }
    return ExtentIn(place, axis);
  }

  /*! The copy that alone writes to a memory. */
  const Write* OnlyCopyTo(Memory memory) const {
    const Write* copy = nullptr;
    for (const Write& write : kernel_.writes) {
      if (write.place.memory != memory) continue;
      if (copy != nullptr || write.kind != Write::kCopy) return nullptr;
      copy = &write;
    }
    return copy;
  }

  /*! Which axis of a copy's source becomes this axis of what `place` reads; axes of 1 vanish. */
  static std::optional<size_t> AxisBefore(const Write& copy, const Place& place, size_t axis) {
    if (axis >= copy.place.extents.size() || place.extents.size() != copy.place.extents.size())
      return std::nullopt;
    if (copy.place.extents[axis] == 1 || copy.place.extents[axis] != place.extents[axis])
      return std::nullopt;
    for (const Place* corner : {&copy.place, &place}) {
      if (ConstantOf(View::Of(Elements(corner->indices)[axis])) != 0) return std::nullopt;
    }
    const auto axes = [](const Place& region) {
      std::vector<size_t> out;
      for (size_t i = 0; i < region.extents.size(); ++i) {
        if (region.extents[i] != 1) out.push_back(i);
      }
      return out;
    };
    const auto to = axes(copy.place), from = axes(copy.copied);
    if (to.size() != from.size()) return std::nullopt;
    for (size_t i = 0; i < to.size(); ++i) {
      if (copy.place.extents[to[i]] != copy.copied.extents[from[i]]) return std::nullopt;
    }
    return from[std::ranges::find(to, axis) - to.begin()];
  }

  /*! The product over the axes that the summing loops walk along; each loop walks along one. */
  std::optional<Int> ExtentIn(const Place& place, std::optional<size_t> axis) const {
    const auto indices = Elements(place.indices);
    const View shape = ShapeOf(place.buffer);
    if (Elements(shape).size() != indices.size()) return std::nullopt;
    Int extent = 1;
    size_t walked = 0;
    for (size_t i = 0; i < indices.size(); ++i) {
      const View index = View::Of(indices[i]);
      const auto affine = ReadAffine(index, kernel_.names);
      const auto moves = [&](const Loop& loop) {
        return affine ? affine->FactorOf(loop.var) != 0 : Mentions(index, loop.var);
      };
      if (axis != i && std::ranges::none_of(loops_, moves)) continue;
      const auto size = sizes_.Read(View::Of(Elements(shape)[i]));
      if (!affine || !size) return std::nullopt;
      const auto steps = Walk(*affine, axis == i ? *product_.block : 1, *size, &walked);
      if (!steps) return std::nullopt;
      extent = extent * *steps;
    }
    return walked == loops_.size() ? std::optional(extent) : std::nullopt;
  }

  /*! How many elements of an axis the loops walk over, one block after the other. */
  std::optional<Int> Walk(Affine index, int64_t block, const Int& size, size_t* walked) const {
    std::vector<std::pair<int64_t, const Loop*>> steps;
    for (const Loop& loop : loops_) {
      const int64_t factor = index.FactorOf(loop.var);
      if (factor == 0) continue;
      const auto first = ConstantOf(Get(loop.node, FieldId::kMin));
      int64_t offset;
      if (!first || __builtin_mul_overflow(*first, factor, &offset) ||
          __builtin_add_overflow(index.constant, offset, &index.constant)) {
        return std::nullopt;
      }
      std::erase_if(index.terms, [&](const auto& term) { return term.first == loop.var; });
      steps.emplace_back(factor, &loop);
    }
    std::ranges::sort(steps);
    Int extent = block;
    for (const auto& [factor, loop] : steps) {
      if (extent != Int(factor)) return std::nullopt;
      extent = extent * loop->trips;
      ++*walked;
    }
    return Clip(index, extent, size);
  }

  /*! What lies inside the tensor of `extent` elements from a start on. */
  std::optional<Int> Clip(const Affine& start, const Int& extent, const Int& size) const {
    if (start.terms.empty() && start.constant == 0) {
      return extent == RoundUp(size, product_.block.value_or(1)) ? size : Min(extent, size);
    }
    const auto last = LargestOf(start);
    if (!last || !extent.is_constant() || !size.is_constant()) return std::nullopt;
    return *last <= *size.constant() - *extent.constant() ? std::optional(extent) : std::nullopt;
  }

  std::optional<int64_t> LargestOf(const Affine& index) const {
    int64_t largest = index.constant;
    for (const auto& [variable, factor] : index.terms) {
      const auto last = LastOf(variable);
      int64_t scaled;
      if (!last || factor < 0 || __builtin_mul_overflow(*last, factor, &scaled) ||
          __builtin_add_overflow(largest, scaled, &largest)) {
        return std::nullopt;
      }
    }
    return largest;
  }

  /*! The largest value of a loop's or the grid's index. */
  std::optional<int64_t> LastOf(const TVMFFIObject* variable) const {
    for (const auto& [var, extent] : kernel_.grid) {
      if (var.object() == variable) return Before(ConstantOf(extent));
    }
    for (const Scope& scope : kernel_.scopes) {
      if (scope.kind != Scope::kLoop) continue;
      if (Get(scope.node, FieldId::kLoopVar).object() != variable) continue;
      if (ConstantOf(Get(scope.node, FieldId::kMin)) != 0) return std::nullopt;
      return Before(ConstantOf(Get(scope.node, FieldId::kExtent)));
    }
    return std::nullopt;
  }

  static std::optional<int64_t> Before(std::optional<int64_t> extent) {
    return extent ? std::optional(*extent - 1) : std::nullopt;
  }

  Kernel& kernel_;
  SizeReader& sizes_;
  const Product& product_;
  std::vector<Loop> loops_;       // that are summed over, innermost first
  std::optional<Int> end_;        // of the sum, by conditions
  std::vector<View> conditions_;  // branches around it, innermost first
  std::string problem_;
};

// More are no kernel of matrix products, and every one is compared with every other.
constexpr size_t kMaxProducts = 64;

/*! A product and how deep in the kernel its sum starts anew. */
struct Sum {
  const Product& product;
  size_t depth_of_reset;
};

/*! Whether two products may add to one sum. */
bool ShareASum(const Scopes& scopes, const Sum& a, const Sum& b) {
  if (a.product.accumulator.memory != b.product.accumulator.memory) return false;
  const size_t common = scopes[scopes.Common(a.product.scope, b.product.scope)].depth;
  const auto is_apart = [&](const Sum& sum) {
    return sum.product.clear == Product::kClears || sum.depth_of_reset > common;
  };
  return !is_apart(a) || !is_apart(b);
}

/*! The extents of products, each once. */
void ReadProducts(Kernel& kernel, SizeReader& sizes, const std::vector<Product>& products,
                  Contractions* out) {
  if (products.size() > kMaxProducts) {
    return SetOnce(&out->problem, std::to_string(products.size()) + " products; at most " +
                                      std::to_string(kMaxProducts) + " are looked at");
  }
  std::vector<Sum> sums;
  for (const Product& product : products) {
    ProductReader reader(kernel, sizes, product);
    const auto extent = reader.Read();
    SetOnce(&out->problem, reader.problem());
    if (extent && std::ranges::find(out->extents, *extent) == out->extents.end()) {
      out->extents.push_back(*extent);
    }
    const Sum sum{product, reader.DepthOfReset()};
    const auto shared = [&](const Sum& other) { return ShareASum(kernel.scopes, sum, other); };
    if (std::ranges::any_of(sums, shared)) {
      SetOnce(&out->problem, "several products that are added into one accumulator");
    }
    sums.push_back(sum);
  }
}

/*! The loops whose trips depend on sizes, each name and number once. */
std::vector<SizedLoop> ReadLoops(const Scopes& scopes, SizeReader& sizes) {
  std::vector<SizedLoop> out;
  for (const Scope& scope : scopes) {
    if (scope.kind != Scope::kLoop) continue;
    const auto trips = sizes.Read(Get(scope.node, FieldId::kExtent));
    if (!trips || trips->is_constant()) continue;
    SizedLoop loop{GetString(Get(scope.node, FieldId::kLoopVar), FieldId::kName), *trips};
    if (std::ranges::find(out, loop) == out.end()) out.push_back(std::move(loop));
  }
  return out;
}

}  // namespace

Contractions FindContractions(View body, const std::vector<Parameter>& parameters) {
  Kernel kernel = FindProducts(body, parameters);
  SizeReader sizes(parameters);
  Contractions out{{}, kernel.problem, ReadLoops(kernel.scopes, sizes)};
  if (!kernel.gemms.empty()) {
    ReadProducts(kernel, sizes, kernel.gemms, &out);
  } else {
    SetOnce(&out.problem, kernel.problem_of_sums);
    if (!kernel.sums.empty() && kernel.flow.IsCyclic())
      SetOnce(&out.problem, "sums that go through several buffers");
    ReadProducts(kernel, sizes, kernel.sums, &out);
  }
  return out;
}

}  // namespace tt::ir
