#include "ir/tile_ops.h"

#include <algorithm>

#include "ir/node.h"

namespace tt::ir {
namespace {

// Source of the facts about TileLang: the operators of tilelang 0.1.15. Of the ones that are not
// listed it is not known that they never accumulate.
constexpr std::string_view kPlainTileOps[] = {
    "tl.tileop.copy",   "tl.tileop.fill", "tl.tileop.transpose",
    "tl.tileop.im2col", "tl.region",      "tl.launch_thread_idx",
};

// Their destination's mask says "write" although they read it first.
constexpr std::string_view kUpdatingPrefixes[] = {
    "tl.tileop.atomic",
    "tl.tileop.finalize_reducer",
};

// Calls that hand out a pointer or leave the language, so that whoever gets it may accumulate, and
// jumps, behind which whether a store happens may depend on anything.
constexpr std::string_view kOpaquePrefixes[] = {
    "tirx.address_of", "tirx.break_loop", "tirx.buffer_data", "tirx.call_",
    "tirx.continue_",  "tirx.ret",        "tirx.tvm_",
};

// TIRx, of apache-tvm 0.25 to 0.27: one destination, then sources.
constexpr std::string_view kPointwise[] = {
    "copy", "copy_async", "cast", "permute_layout", "reciprocal", "silu",         "fill", "memset",
    "sqrt", "exp",        "exp2", "log2",           "add",        "sub",          "mul",  "fdiv",
    "fma",  "select",     "zero", "maximum",        "minimum",    "binary_chain",
};

/*! A reduction and the position of its flag "add to what is there already". */
struct Reduction {
  std::string_view name;
  size_t destinations;
  std::ptrdiff_t accumulate;  // from the end where negative, none where 0
};

constexpr Reduction kReductions[] = {
    {"sum", 1, 3},  {"max", 1, 3},         {"min", 1, 3},          {"reduce_negate", 1, 3},
    {"gemm", 1, 0}, {"gemm_async", 1, -1}, {"unary_reduce", 2, 0}, {"binary_reduce", 2, 0},
};

constexpr std::string_view kTilePrefix = "tirx.tile.";

/*! Anything but a constant false may be true. */
bool MayBeTrue(View flag) {
  const bool number = flag.type_index() == kTVMFFIBool || KindOf(flag) == NodeKind::kIntImm;
  if (!number) return !flag.is_none();
  const View value = flag.is_object() ? Get(flag, FieldId::kValue) : flag;
  return value.AsInt() != 0;
}

}  // namespace

bool UpdatesDestination(std::string_view op) {
  return std::ranges::any_of(kUpdatingPrefixes,
                             [&](auto prefix) { return op.starts_with(prefix); });
}

bool MayAccumulate(std::string_view op) {
  const bool plain = std::ranges::find(kPlainTileOps, op) != std::end(kPlainTileOps);
  return (op.starts_with("tl.") && !plain) ||
         std::ranges::any_of(kOpaquePrefixes, [&](auto prefix) { return op.starts_with(prefix); });
}

bool MultipliesMatrices(std::string_view op) { return op.find("gemm") != std::string_view::npos; }

TilePrimitive::TilePrimitive(std::string_view op, std::span<const TVMFFIAny> args)
    : destinations_(1) {
  op.remove_prefix(std::min(op.size(), kTilePrefix.size()));
  if (std::ranges::find(kPointwise, op) != std::end(kPointwise)) {
    accumulates_ = false;
    return;
  }
  const auto* known = std::ranges::find(kReductions, op, &Reduction::name);
  if (known == std::end(kReductions)) {
    opaque_ = true;
    return;
  }
  destinations_ = known->destinations;
  const auto position = known->accumulate < 0 ? args.size() + known->accumulate
                                              : static_cast<size_t>(known->accumulate);
  updates_ =
      known->accumulate != 0 && (position >= args.size() || MayBeTrue(View::Of(args[position])));
}

Access TilePrimitive::AccessOf(size_t position) const {
  if (opaque_) return kReadWrite;
  if (position >= destinations_) return kRead;
  return updates_ ? kReadWrite : kWrite;
}

}  // namespace tt::ir
