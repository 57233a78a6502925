#include "ir/padding.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include "ir/index_bounds.h"
#include "ir/memory.h"
#include "ir/node.h"
#include "ir/tile_ops.h"

namespace tt::ir {
namespace {

constexpr const char* kUnknown = "unknown";

/*! A number that padding holds. */
struct PaddingValue {
  double number;
  std::string text;
};

std::string ToText(double number) {
  if (std::isnan(number)) return "nan";
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
  return {text.data(), end};
}

PaddingValue FromNumber(double number) { return {number, ToText(number)}; }

/*! The number that an annotation is, where it is one. */
std::optional<PaddingValue> ReadNumber(View expr) {
  if (const auto integer = ConstantOf(expr)) {
    return PaddingValue{static_cast<double>(*integer), std::to_string(*integer)};
  }
  if (expr.type_index() == kTVMFFIFloat) return FromNumber(expr.raw().v_float64);
  if (expr.type_index() < kTVMFFIDynObjectBegin) return std::nullopt;
  if (KindOf(expr) == NodeKind::kCall) {
    if (!CalleeOf(expr).ends_with(".infinity")) return std::nullopt;
    return FromNumber(std::numeric_limits<double>::infinity());
  }
  const std::string_view op = ShortKey(expr);
  if (op == "FloatImm" || op == "Cast") return ReadNumber(Get(expr, FieldId::kValue));
  if (op != "Mul" && op != "Sub") return std::nullopt;
  const auto a = ReadNumber(Get(expr, FieldId::kA)), b = ReadNumber(Get(expr, FieldId::kB));
  if (!a || !b) return std::nullopt;
  return FromNumber(op == "Mul" ? a->number * b->number : a->number - b->number);
}

/*! The least and the greatest number of a dtype; infinities are beyond them. */
std::pair<double, double> LimitsOf(const std::string& dtype) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto digits = dtype.find_first_of("0123456789");
  const int bits = digits == std::string::npos ? 0 : std::atoi(dtype.c_str() + digits);
  if (dtype.starts_with("uint")) return {0, std::ldexp(1, bits) - 1};
  if (dtype.starts_with("int")) return {-std::ldexp(1, bits - 1), std::ldexp(1, bits - 1) - 1};
  if (dtype == "float32") return {-3.4028234663852886e38, 3.4028234663852886e38};
  if (dtype == "bfloat16") return {-3.3895313892515355e38, 3.3895313892515355e38};
  if (dtype == "float16") return {-65504, 65504};
  return {-kInfinity, kInfinity};
}

/*! What a reduction leaves as it is, and whether a padding value is one of those. */
struct Neutral {
  std::string text;
  std::string annotation;
  bool fits;
};

/*! None for a reduction that is not known. */
std::optional<Neutral> NeutralOf(std::string_view reduction, const std::string& dtype,
                                 const PaddingValue& value) {
  const auto [least, greatest] = LimitsOf(dtype);
  const bool is_integer = dtype.find("int") != std::string::npos;
  const std::string of_dtype = "(\"" + dtype + "\")";
  if (reduction == "max") {
    return Neutral{is_integer ? ToText(least) : "-inf",
                   (is_integer ? "T.min_value" : "-T.infinity") + of_dtype, value.number <= least};
  }
  if (reduction == "min") {
    return Neutral{is_integer ? ToText(greatest) : "inf",
                   (is_integer ? "T.max_value" : "T.infinity") + of_dtype,
                   value.number >= greatest};
  }
  if (reduction == "bitand") {
    const bool is_unsigned = dtype.starts_with("uint");
    const double all_ones = is_unsigned ? greatest : -1;
    return Neutral{ToText(all_ones), is_unsigned ? "T.max_value" + of_dtype : "-1",
                   value.number == all_ones};
  }
  constexpr std::string_view kZero[] = {"sum", "abssum", "absmax", "bitor", "bitxor", "gemm"};
  if (std::ranges::find(kZero, reduction) == std::end(kZero)) return std::nullopt;
  return Neutral{"0", "0", value.number == 0};
}

/*! A box in a buffer: tl.region(load, mask, extent...). */
struct Region {
  View buffer;
  std::vector<View> starts;
  std::vector<View> extents;
};

std::vector<View> Copies(std::span<const TVMFFIAny> elements) {
  std::vector<View> out;
  for (const TVMFFIAny& element : elements) out.push_back(View::Of(element));
  return out;
}

std::optional<Region> ReadRegion(View call) {
  if (CalleeOf(call) != "tl.region") return std::nullopt;
  const View args = Get(call, FieldId::kArgs);
  const auto elements = Elements(args);
  if (elements.size() < 2) return std::nullopt;
  const View load = View::Of(elements[0]);
  if (KindOf(load) != NodeKind::kBufferLoad) return std::nullopt;
  const View indices = Get(load, FieldId::kIndices);
  Region region{BufferOf(load), Copies(Elements(indices)), Copies(elements.subspan(2))};
  if (region.starts.size() != region.extents.size()) return std::nullopt;
  return region;
}

using Dimensions = std::set<size_t>;

/*! Which dimension of a box becomes which of another; dimensions of one element drop out. */
Dimensions MapDimensions(const Dimensions& dims, const Region& from, const Region& to) {
  const auto kept = [](const Region& region) {
    std::vector<size_t> out;
    for (size_t i = 0; i < region.extents.size(); ++i) {
      if (ConstantOf(region.extents[i]) != 1) out.push_back(i);
    }
    return out;
  };
  const std::vector<size_t> sources = kept(from), targets = kept(to);
  Dimensions out;
  if (sources.size() != targets.size()) return out;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (dims.contains(sources[i])) out.insert(targets[i]);
  }
  return out;
}

/*!
 * The memories of one element that one statement stores to, and that nothing else could change:
 * what TVM's parser makes of a name that is assigned to.
 */
std::set<Memory> FindCells(View body) {
  std::map<Memory, int> stores;  // by candidate
  const auto add = [&](View buffer) {
    const Value description =
        KindOf(buffer) == NodeKind::kBuffer ? buffer : TryGet(buffer, FieldId::kTy);
    const View shape = Get(description, FieldId::kShape);
    const bool is_scalar = std::ranges::all_of(
        Elements(shape), [](const TVMFFIAny& extent) { return ConstantOf(View::Of(extent)) == 1; });
    if (is_scalar && ScopeOf(buffer) == "local") stores[MemoryOf(buffer).object()] = 0;
  };
  const auto note = [&](View var, int count) {
    if (const auto found = stores.find(var.object()); found != stores.end()) found->second += count;
  };
  constexpr int kMany = 2;
  Walker walker(body);
  for (View node; walker.Next(&node);) {
    switch (KindOf(node)) {
      case NodeKind::kAllocBuffer: add(Get(node, FieldId::kBuffer)); break;
      case NodeKind::kBufferStore: note(MemoryOf(BufferOf(node)), 1); break;
      case NodeKind::kBufferRegion: note(MemoryOf(BufferOf(node)), kMany); break;
      case NodeKind::kVar: note(node, kMany); break;
      case NodeKind::kCall: {
        // A call may be told where a load would load from.
        const View args = Get(node, FieldId::kArgs);
        for (const TVMFFIAny& element : Elements(args)) {
          const View arg = View::Of(element);
          if (KindOf(arg) == NodeKind::kBufferLoad) note(MemoryOf(BufferOf(arg)), kMany);
        }
        break;
      }
      default: break;
    }
    walker.PushChildren(node);
  }
  std::set<Memory> cells;
  for (const auto& [memory, count] : stores) {
    if (count == 1) cells.insert(memory);
  }
  return cells;
}

/*! The file that a node is from; none where the host does not say. */
View FileOf(View node) { return TryGet(TryGet(node, FieldId::kSpan), FieldId::kSourceName); }

class PaddingReader {
 public:
  PaddingReader(View func, const std::vector<Parameter>& parameters,
                const std::vector<bool>& padded)
      : parameters_(parameters), padded_(padded), file_(FileOf(func)), memory_(parameters) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (!padded[i]) continue;
      positions_[parameters[i].memory.object()] = i;
      tensors_[i] = {};
    }
  }

  PaddingFacts Read(View body) {
    cells_ = FindCells(body);
    Walker walker(body);
    for (View node; walker.Next(&node);) {
      // What the host's own library writes stands there; the user wrote what is before it.
      const View file = FileOf(node);
      if (!file.is_none() && file.object() == file_.object()) placed_ = node;
      Visit(node, &walker);
    }
    EndLaunch();
    PaddingFacts facts{std::vector<std::string>(parameters_.size()), {}, is_tilelang_};
    for (const auto& [position, tensor] : tensors_) facts.values[position] = ValueOf(tensor);
    for (auto& [trap, annotation] : traps_) {
      trap.remedy = RemedyFor(trap, annotation);
      facts.traps.push_back(std::move(trap));
    }
    return facts;
  }

 private:
  /*! What is known of one tensor. */
  struct Tensor {
    bool escapes = false;          // its pointer leaves the kernel
    bool stays_inside = true;      // every access is proven to
    bool is_read = false;          // in this launch
    std::optional<View> chosen;    // by this launch, for reads over the edge
    std::set<std::string> values;  // that the launches so far read there
  };

  /*! The padding that memory on the chip holds, and the dimensions at whose end that lies. */
  using Held = std::map<size_t, Dimensions>;

  std::string ValueOf(const Tensor& tensor) const {
    if (tensor.escapes) return kUnknown;
    if (!is_tilelang_) return tensor.stays_inside ? "any" : kUnknown;
    if (tensor.values.empty()) return "0";
    return tensor.values.size() == 1 ? *tensor.values.begin() : kUnknown;
  }

  std::optional<PaddingValue> LaunchValue(const Tensor& tensor) const {
    return tensor.chosen ? ReadNumber(*tensor.chosen) : PaddingValue{0, "0"};
  }

  void EndLaunch() {
    for (auto& [position, tensor] : tensors_) {
      if (tensor.is_read || tensor.chosen) {
        const auto value = LaunchValue(tensor);
        tensor.values.insert(value ? value->text : kUnknown);
      }
      tensor.is_read = false;
      tensor.chosen.reset();
    }
    held_.clear();
  }

  /*! One value has to suit whatever takes that padding for elements. */
  std::string RemedyFor(const PaddingTrap& trap, const std::string& annotation) const {
    const std::string name = NameOf(parameters_[trap.parameter]);
    const auto& needed = needs_.at(trap.parameter);
    if (needed.size() == 1) {
      return "T.annotate_safe_value({" + name + ": " + annotation + "}) in the kernel";
    }
    return "what takes the padding of `" + name +
           "` for elements needs several values of it: overwrite what lies over the edge in the "
           "kernel, or copy the tensor once for each";
  }

  void Visit(View node, Walker* walker) {
    const IndexBounds::Guards guards = walker->context();
    switch (KindOf(node)) {
      case NodeKind::kFor: return VisitLoop(node, walker);
      case NodeKind::kWhile: walker->set_context(bounds_.Enter(guards)); break;
      case NodeKind::kAttrStmt: DefineThread(node, walker); break;
      case NodeKind::kScopeIdDefStmt: DefineScope(Get(node, FieldId::kDef), guards); break;
      case NodeKind::kSBlock: EnterBlock(node, walker); break;
      case NodeKind::kIfThenElse: {
        const View condition = Get(node, FieldId::kCondition);
        return VisitBranches(condition, Get(node, FieldId::kThenCase),
                             TryGet(node, FieldId::kElseCase), walker);
      }
      case NodeKind::kBufferLoad:
        Note(BufferOf(node), kRead);
        CheckElement(BufferOf(node), Get(node, FieldId::kIndices), guards);
        break;
      case NodeKind::kBufferStore: VisitStore(node, guards); break;
      case NodeKind::kBufferRegion: CheckBox(node, guards); break;
      case NodeKind::kVar: return Escape(memory_.Find(node));
      case NodeKind::kCall: return VisitCall(node, walker);
      default: break;
    }
    if (memory_.Follow(node, walker) && KindOf(node) != NodeKind::kSBlock) return;
    if (KindOf(node) == NodeKind::kBind) {
      bounds_.Bind(Get(node, FieldId::kVar), Get(node, FieldId::kValue), guards);
    }
    if (const View block = TryGet(node, FieldId::kBlock); !block.is_none()) {
      return VisitBranches(Get(node, FieldId::kPredicate), block, View(), walker,
                           Get(node, FieldId::kIterValues));
    }
    walker->PushChildren(node);
  }

  void VisitLoop(View loop, Walker* walker) {
    const IndexBounds::Guards guards = walker->context(), inside = bounds_.Enter(guards);
    const View step = TryGet(loop, FieldId::kStep);
    const View min = Get(loop, FieldId::kMin), extent = Get(loop, FieldId::kExtent);
    if (step.is_none() || ConstantOf(step) == 1) {
      bounds_.Define(Get(loop, FieldId::kLoopVar), min, extent, inside);
    }
    walker->set_context(inside);
    walker->Push(Get(loop, FieldId::kBody));
    walker->set_context(guards);
    for (View outside : {step, extent, min}) walker->Push(outside);
  }

  void DefineThread(View stmt, Walker* walker) {
    if (GetString(stmt, FieldId::kAttrKey) != "thread_extent") return;
    walker->set_context(bounds_.Enter(walker->context()));
    bounds_.Define(Get(Get(stmt, FieldId::kNode), FieldId::kVar), zero_, Get(stmt, FieldId::kValue),
                   walker->context());
  }

  void DefineScope(View scope, IndexBounds::Guards guards) {
    const View vars = Get(scope, FieldId::kDefIds), extents = Get(scope, FieldId::kExtents);
    if (Elements(vars).size() != Elements(extents).size()) return;
    for (size_t i = 0; i < Elements(vars).size(); ++i) {
      bounds_.Define(View::Of(Elements(vars)[i]), zero_, View::Of(Elements(extents)[i]), guards);
    }
  }

  void EnterBlock(View block, Walker* walker) {
    static constinit const Interned safe_values{"safe_value_map"};
    if (GetString(block, FieldId::kNameHint) == "tilelang_root") {
      EndLaunch();
      is_tilelang_ = true;
    }
    walker->set_context(bounds_.Enter(walker->context()));
    const View iter_vars = Get(block, FieldId::kIterVars);
    for (const TVMFFIAny& element : Elements(iter_vars)) {
      const View iter_var = View::Of(element);
      const View domain = Get(iter_var, FieldId::kDom);
      if (domain.is_none()) continue;
      bounds_.Define(Get(iter_var, FieldId::kVar), Get(domain, FieldId::kMin),
                     Get(domain, FieldId::kExtent), walker->context());
    }
    const View values = MapGet(Get(block, FieldId::kAnnotations), safe_values);
    if (values.is_none()) return;
    for (auto& [position, tensor] : tensors_) {
      const View value = MapGet(values, parameters_[position].memory);
      if (!value.is_none()) tensor.chosen = value;
    }
  }

  void VisitBranches(View condition, View then_case, View else_case, Walker* walker,
                     View first = {}) {
    const IndexBounds::Guards guards = walker->context();
    walker->set_context(bounds_.Assume(guards, condition, false));
    walker->Push(else_case);
    walker->set_context(bounds_.Assume(guards, condition, true));
    walker->Push(then_case);
    walker->set_context(guards);
    walker->Push(condition);
    walker->Push(first);
  }

  /*! The tensor with padding that a buffer is, under another name or not. */
  template <typename Use>
  void ForEachTensor(std::span<const Memory> memories, Use use) {
    for (Memory memory : memories) {
      const auto position = positions_.find(memory);
      if (position != positions_.end()) use(position->second, tensors_[position->second]);
    }
  }

  void Escape(std::span<const Memory> memories) {
    ForEachTensor(memories, [](size_t, Tensor& tensor) { tensor.escapes = true; });
  }

  void Note(View buffer, Access access) {
    if (!(access & kRead)) return;
    ForEachTensor(memory_.Find(MemoryOf(buffer)),
                  [](size_t, Tensor& tensor) { tensor.is_read = true; });
  }

  /*! Whether a buffer is a parameter itself and not another view of its memory. */
  bool IsParameter(View buffer, size_t position) const {
    const Parameter& parameter = parameters_[position];
    const bool described = KindOf(buffer) == NodeKind::kBuffer;
    return buffer.object() == (described ? parameter.description : parameter.var).object();
  }

  /*! Takes note of an access to some elements from each start on. */
  void CheckInside(View buffer, const std::vector<View>& starts, const std::vector<View>& counts,
                   IndexBounds::Guards guards) {
    ForEachTensor(memory_.Find(MemoryOf(buffer)), [&](size_t position, Tensor& tensor) {
      if (is_tilelang_ || !tensor.stays_inside) return;
      tensor.stays_inside = IsParameter(buffer, position) &&
                            std::ranges::all_of(Reaches(position, starts, counts, guards),
                                                [](Reach r) { return r == Reach::kInside; });
    });
  }

  /*! How far an access goes on each dimension of a parameter. */
  std::vector<Reach> Reaches(size_t position, const std::vector<View>& starts,
                             const std::vector<View>& counts, IndexBounds::Guards guards) {
    const View shape = Get(parameters_[position].description, FieldId::kShape);
    const auto extents = Elements(shape);
    std::vector<Reach> out(std::max<size_t>(extents.size(), 1), Reach::kUnknown);
    if (extents.empty() && starts.empty()) return {Reach::kInside};
    if (starts.size() != extents.size()) return out;
    for (size_t i = 0; i < extents.size(); ++i) {
      const auto count = counts.empty() ? std::optional<int64_t>(1) : ConstantOf(counts[i]);
      if (!count) continue;
      out[i] = bounds_.Check(starts[i], *count, View::Of(extents[i]), guards);
    }
    return out;
  }

  void CheckElement(View buffer, View indices, IndexBounds::Guards guards) {
    if (memory_.Find(MemoryOf(buffer)).empty()) return;
    CheckInside(buffer, Copies(Elements(indices)), {}, guards);
  }

  /*! A box that a tile primitive of TIRx names. */
  void CheckBox(View region, IndexBounds::Guards guards) {
    std::vector<View> starts, counts;
    const View ranges = Get(region, FieldId::kRegion);
    for (const TVMFFIAny& element : Elements(ranges)) {
      const View range = View::Of(element);
      starts.push_back(Get(range, FieldId::kMin));
      counts.push_back(Get(range, FieldId::kExtent));
    }
    CheckInside(BufferOf(region), starts, counts, guards);
  }

  void VisitStore(View store, IndexBounds::Guards guards) {
    const View buffer = BufferOf(store), indices = Get(store, FieldId::kIndices);
    CheckElement(buffer, indices, guards);
    if (cells_.contains(MemoryOf(buffer).object())) {
      bounds_.Store(buffer, Get(store, FieldId::kValue), guards);
    }
    if (!is_tilelang_) return;
    Held held;
    View value = Get(store, FieldId::kValue);
    while (ShortKeyOf(value) == "Cast") value = Get(value, FieldId::kValue);
    if (KindOf(value) == NodeKind::kBufferLoad) {
      const std::vector<View> from = Copies(Elements(Get(value, FieldId::kIndices)));
      const std::vector<View> to = Copies(Elements(indices));
      for (const auto& [position, dims] : HeldBy(BufferOf(value), from, {}, guards)) {
        held[position] = SharedDimensions(dims, from, to);
      }
    }
    Hold(buffer, std::move(held));
  }

  static std::string_view ShortKeyOf(View value) {
    return value.type_index() < kTVMFFIDynObjectBegin ? "" : ShortKey(value);
  }

  /*! The dimensions of a store whose index moves with one of those dimensions of a load. */
  Dimensions SharedDimensions(const Dimensions& dims, const std::vector<View>& from,
                              const std::vector<View>& to) {
    Dimensions out;
    for (size_t source : dims) {
      for (size_t target = 0; target < to.size(); ++target) {
        if (bounds_.ShareVariable(from[source], to[target])) out.insert(target);
      }
    }
    return out;
  }

  /*! What padding comes with elements of a buffer, and at the end of which of its dimensions. */
  Held HeldBy(View buffer, const std::vector<View>& starts, const std::vector<View>& counts,
              IndexBounds::Guards guards) {
    Held out;
    for (Memory memory : memory_.Find(MemoryOf(buffer))) {
      if (const auto held = held_.find(memory); held != held_.end()) {
        for (const auto& [position, dims] : held->second) {
          if (std::ranges::all_of(dims, [&](size_t dim) { return dim < starts.size(); })) {
            out[position] = dims;
          }
        }
      }
    }
    ForEachTensor(memory_.Find(MemoryOf(buffer)), [&](size_t position, Tensor&) {
      if (!IsParameter(buffer, position)) return;
      const std::vector<Reach> reaches = Reaches(position, starts, counts, guards);
      for (size_t dim = 0; dim < reaches.size(); ++dim) {
        if (reaches[dim] == Reach::kOutside) out[position].insert(dim);
      }
    });
    return out;
  }

  /*! From here on memory holds that padding and no other. */
  void Hold(View buffer, Held held) {
    std::erase_if(held, [](const auto& entry) { return entry.second.empty(); });
    for (Memory memory : memory_.Find(MemoryOf(buffer))) {
      if (held.empty()) {
        held_.erase(memory);
      } else {
        held_[memory] = held;
      }
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
    if (const auto range = memory_.RangeOf(call, walker)) {
      if (callee == "tirx.address_of") Escape(range->memories);
      return NoteRange(*range);
    }
    if (is_tilelang_) VisitTileOp(callee, elements, walker->context());
    walker->Push(args);
  }

  void NoteRange(const MemoryRange& range) {
    ForEachTensor(range.memories, [&](size_t, Tensor& tensor) {
      tensor.is_read |= (range.access & kRead) != 0;
      tensor.stays_inside = false;
    });
  }

  /*! Data is followed through copies, up to the operation that reduces it. */
  void VisitTileOp(std::string_view callee, std::span<const TVMFFIAny> args,
                   IndexBounds::Guards guards) {
    std::vector<std::optional<Region>> regions;
    for (const TVMFFIAny& arg : args) regions.push_back(ReadRegion(View::Of(arg)));
    const auto is_region = [&](size_t i) { return i < regions.size() && regions[i]; };
    Held held;
    if (callee == "tl.tileop.copy" && is_region(0) && is_region(1)) {
      const Region& source = *regions[0];
      for (const auto& [position, dims] :
           HeldBy(source.buffer, source.starts, source.extents, guards)) {
        held[position] = MapDimensions(dims, source, *regions[1]);
      }
    } else if (callee == "tl.tileop.reduce" && is_region(0) && args.size() > 3) {
      CheckReduction(View::Of(args[2]), View::Of(args[3]), *regions[0], guards);
    } else if (callee == "tl.tileop.gemm" && is_region(0) && is_region(1) && args.size() > 4) {
      CheckProduct(*regions[0], IsTrue(args[3]) ? 2 : 1, guards);
      CheckProduct(*regions[1], IsTrue(args[4]) ? 1 : 2, guards);
    }
    for (size_t i = 0; i < regions.size(); ++i) {
      if (regions[i] && (MaskOf(args[i]) & kWrite)) Hold(regions[i]->buffer, held);
    }
  }

  static bool IsTrue(const TVMFFIAny& flag) {
    const View value = View::Of(flag);
    return (value.is_object() ? TryGet(value, FieldId::kValue) : value).AsInt().value_or(0) != 0;
  }

  static int64_t MaskOf(const TVMFFIAny& region) {
    const View args = Get(View::Of(region), FieldId::kArgs);
    return ConstantOf(View::Of(Elements(args)[1])).value_or(kReadWrite);
  }

  void CheckReduction(View type, View dim, const Region& region, IndexBounds::Guards guards) {
    const auto name =
        (type.is_object() && type.AsString() ? type : TryGet(type, FieldId::kValue)).AsString();
    const auto position = ConstantOf(dim);
    if (!name || !position || *position < 0) return;
    Check(*name, "T.reduce_" + *name + " over dimension " + std::to_string(*position), region,
          static_cast<size_t>(*position), guards);
  }

  /*! A product sums over one of an operand's dimensions, counted from the end. */
  void CheckProduct(const Region& region, size_t from_end, IndexBounds::Guards guards) {
    if (region.extents.size() < from_end) return;
    Check("gemm", "T.gemm, in its sum,", region, region.extents.size() - from_end, guards);
  }

  void Check(std::string_view reduction, const std::string& what, const Region& region, size_t dim,
             IndexBounds::Guards guards) {
    for (const auto& [position, dims] :
         HeldBy(region.buffer, region.starts, region.extents, guards)) {
      if (!dims.contains(dim)) continue;
      const auto value = LaunchValue(tensors_[position]);
      const std::string dtype = DtypeOf(Get(parameters_[position].description, FieldId::kDtype));
      const auto neutral = value ? NeutralOf(reduction, dtype, *value) : std::nullopt;
      if (!neutral) continue;
      needs_[position].insert(neutral->text);
      if (neutral->fits) continue;
      traps_.push_back(
          {{position, value->text, what + " of `" + GetString(region.buffer, FieldId::kName) + "`",
            neutral->text, "", placed_},
           neutral->annotation});
    }
  }

  const std::vector<Parameter>& parameters_;
  const std::vector<bool>& padded_;
  const View file_;
  View placed_;  // the last node in the function's file
  MemoryMap memory_;
  IndexBounds bounds_;
  const Value zero_{int64_t{0}};  // where threads and scopes begin
  std::set<Memory> cells_;
  std::unordered_map<Memory, size_t> positions_;
  std::map<size_t, Tensor> tensors_;
  std::unordered_map<Memory, Held> held_;
  bool is_tilelang_ = false;
  std::map<size_t, std::set<std::string>> needs_;           // of those who take it for elements
  std::vector<std::pair<PaddingTrap, std::string>> traps_;  // with the value to annotate
};

}  // namespace

PaddingFacts ReadPadding(View func, const std::vector<Parameter>& parameters,
                         const std::vector<bool>& padded) {
  return PaddingReader(func, parameters, padded).Read(Get(func, FieldId::kBody));
}

}  // namespace tt::ir
