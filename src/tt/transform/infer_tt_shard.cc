// InferDefaultTTShard: how every tensor of a kernel lies in memory.
//
//   A: T.Buffer((100, 100), "bfloat16")      T.func_attr({<inputs>, "tt_buffers": [{"name": "A",
//   T.func_attr({<inputs>})             -->      "tt_access": "read", "tt_num_pages": 16,
//   ...                                          "tt_padded_shape": [128, 128], ...}, ...]})
//                                            ...
//
// Requires: the inputs of ApplyTTDefaults; tt_buffer_layouts has what was chosen for single tensors.
// Ensures:  tt_buffers describes every buffer parameter, in parameter order, tt_on_chip what each
//           launch needs of a core, and tt_traffic what a work tile of it moves and multiplies;
//           functions that are no kernels have none of them.
// Warns of: float16, needs that a core does not meet, padding that a reduction takes for elements.
// Rejects:  missing or unknown inputs; tensors of an unknown dtype, of empty shape, or
//           that are not compact, row-major and in DRAM; raw pointers, whose shape nobody knows;
//           kernels that use memory of unknown origin.
#include "transform/infer_tt_shard.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "core/int.h"
#include "ir/access.h"
#include "ir/diagnostic.h"
#include "ir/launch.h"
#include "ir/node.h"
#include "ir/on_chip.h"
#include "ir/padding.h"
#include "ir/size.h"
#include "ir/traffic.h"
#include "plan/tensor_layout.h"
#include "transform/attributes.h"
#include "transform/cache.h"
#include "transform/on_chip.h"
#include "transform/pass.h"
#include "transform/traffic.h"

namespace tt::transform {
namespace {

using ir::Interned;
using ir::Parameter;
using ir::Value;

namespace key {
constinit const Interned kBuffers{"tt_buffers"}, kName{"name"}, kParamIndex{"param_index"};
constinit const Interned kDtype{"dtype"}, kShape{"shape"}, kAccess{"tt_access"};
constinit const Interned kLayout{"tt_layout"}, kPageLayout{"tt_page_layout"};
constinit const Interned kTileShape{"tt_tile_shape"}, kNumTilesHeight{"tt_num_tiles_height"};
constinit const Interned kNumTilesWidth{"tt_num_tiles_width"}, kNumMatrices{"tt_num_matrices"};
constinit const Interned kNeedsPadding{"tt_needs_padding"}, kPaddedShape{"tt_padded_shape"};
constinit const Interned kDataFormat{"tt_data_format"}, kPageSize{"tt_page_size"};
constinit const Interned kAlignedPageSize{"tt_aligned_page_size"}, kNumPages{"tt_num_pages"};
constinit const Interned kAccessorCtArgs{"tt_accessor_ct_args"}, kMemory{"tt_memory"};
constinit const Interned kNumBanks{"tt_num_banks"}, kBytesPerBank{"tt_bytes_per_bank"};
constinit const Interned kPaddingBytes{"tt_padding_bytes"};
constinit const Interned kPaddingPercent{"tt_padding_percent"}, kShard{"tt_shard"};
constinit const Interned kPaddingValue{"tt_padding_value"}, kOnChip{"tt_on_chip"};
constinit const Interned kTraffic{"tt_traffic"};
}  // namespace key

/*! What holds for all tensors of a function. */
struct Context {
  device::Device device;
  plan::Memory memory;
  device::TileShape tile;
  std::string format;     // chosen for all tensors that can have it; empty where none is
  BufferLayouts layouts;  // chosen for single tensors
};

/*! A tensor that can be laid out. */
struct Tensor {
  const Parameter& parameter;
  std::string name;
  std::string dtype;
  plan::Shape shape;
  plan::LayoutChoice choice;
  plan::TensorLayout layout;
};

std::string Describe(const Parameter& parameter) {
  return "parameter " + std::to_string(parameter.index) + " (`" + ir::NameOf(parameter) + "`)";
}

plan::Shape ReadShape(const Value& shape, const ir::ShapeVariables& variables) {
  plan::Shape out;
  for (const TVMFFIAny& extent : ir::Elements(shape)) {
    out.push_back(ir::ReadInt(ir::View::Of(extent), variables));
  }
  return out;
}

/*! Refuses whatever is not a compact row-major tensor in DRAM that starts at its first element. */
void CheckCompact(const ir::Buffer& buffer, const plan::Shape& shape,
                  const ir::ShapeVariables& variables) {
  const auto offset = ir::ConstantOf(buffer.elem_offset);
  if (!buffer.elem_offset.is_none() && offset != 0) {
    throw Error(ErrorCode::kTensorOffset, "the tensor starts at an element offset of " +
                                              (offset ? std::to_string(*offset) : "unknown size") +
                                              "; expected 0");
  }
  if (buffer.scope != "global" && !buffer.scope.empty()) {
    throw Error(ErrorCode::kTensorScope,
                "the tensor lies in \"" + buffer.scope + "\" memory; expected \"global\"");
  }
  if (!ir::IsRowMajor(buffer, variables)) {
    throw Error(ErrorCode::kTensorOrder,
                "the tensor has a layout or axis separators of its own; expected "
                "a compact, row-major tensor");
  }
  const auto strides = ir::Elements(buffer.strides);
  if (!strides.empty() && strides.size() != shape.size()) {
    throw Error(ErrorCode::kStrideCount, "the tensor has " + std::to_string(strides.size()) +
                                             " strides; expected one for each of its " +
                                             std::to_string(shape.size()) + " dimensions");
  }
  Int compact = 1;
  for (size_t i = strides.size(); i-- > 0;) {
    const Int stride = ir::ReadInt(ir::View::Of(strides[i]), variables);
    // The stride of a dimension of one element is never used.
    if (stride != compact && shape[i] != 1) {
      throw Error(ErrorCode::kStrides, "dimension " + std::to_string(i) + " has stride " +
                                           stride.ToString() + "; expected " + compact.ToString() +
                                           " (compact, row-major)");
    }
    compact = compact * shape[i];
  }
}

/*! What holds for a tensor: its own layout, and the inputs of the function where it has none. */
plan::LayoutChoice ChoiceFor(int64_t index, const std::string& dtype, const Context& context) {
  const auto found = context.layouts.find(index);
  const BufferLayout own = found == context.layouts.end() ? BufferLayout{} : found->second;
  const std::string_view format =
      own.data_format.empty() ? device::CommonChoice(dtype, context.format) : own.data_format;
  return {.format = &device::FormatOf(dtype, format),
          .format_is_chosen = !format.empty(),
          .memory = own.memory.value_or(context.memory),
          .page_layout = own.page_layout.value_or(plan::PageLayout::kTile),
          .tile = own.tile.value_or(context.tile),
          .shard = own.shard};
}

Tensor LayOut(const Parameter& parameter, const ir::ShapeVariables& variables,
              const Context& context) {
  const ir::Buffer buffer = ir::ReadBuffer(parameter);
  const plan::LayoutChoice choice = ChoiceFor(parameter.index, buffer.dtype, context);
  plan::Shape shape = ReadShape(buffer.shape, variables);
  plan::TensorLayout layout = plan::LayOut(shape, choice, context.device);
  CheckCompact(buffer, shape, variables);
  return {parameter, ir::NameOf(parameter), buffer.dtype, std::move(shape),
          choice,    std::move(layout)};
}

const char* HelpFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kDtype:
      return "store the tensor in one of those dtypes and convert in the kernel";
    case ErrorCode::kOverflow: return "split the tensor: its size in bytes must fit 63 bits";
    case ErrorCode::kTensorExtent:
    case ErrorCode::kTensorOffset:
    case ErrorCode::kTensorOrder:
    case ErrorCode::kStrideCount:
    case ErrorCode::kStrides: return "pass a compact tensor of positive extents";
    case ErrorCode::kRowMajorDtype:
    case ErrorCode::kTiledFormat:
      return "choose other pages or another format with annotate_tt_layout";
    case ErrorCode::kStorageFormat:
    case ErrorCode::kFormatDevice: return "choose another format with annotate_tt_layout";
    case ErrorCode::kShardSymbolic:
      return "run specialize before this pass, or leave the tensor interleaved";
    case ErrorCode::kL1Capacity:
      return "put the tensor into DRAM, or cut it into smaller shards on more cores";
    case ErrorCode::kNoCores:
    case ErrorCode::kCoreRectangle:
    case ErrorCode::kCoresOverlap:
    case ErrorCode::kCoresOutside:
    case ErrorCode::kShardShape:
    case ErrorCode::kShardTile:
    case ErrorCode::kShardMatch:
    case ErrorCode::kShardCount:
    case ErrorCode::kShardRectangle:
    case ErrorCode::kShardGrid2D:
    case ErrorCode::kShardShares:
    case ErrorCode::kShardBanks: return "change the shard that annotate_tt_layout gave the tensor";
    default: return "";
  }
}

/*! Refuses layouts of parameters that are no tensors. */
void CheckLaidOut(const Value& func, const std::vector<Parameter>& parameters,
                  const BufferLayouts& layouts) {
  std::vector<ir::Diagnostic> diagnostics;
  for (const auto& [index, layout] : layouts) {
    const bool is_parameter = index >= 0 && index < static_cast<int64_t>(parameters.size());
    if (is_parameter && !parameters[index].memory.is_none()) continue;
    diagnostics.push_back({ErrorCode::kBufferLayoutParameter,
                           "attribute tt_buffer_layouts: parameter " + std::to_string(index) +
                               " is no tensor of the function",
                           "annotate the tensor again with annotate_tt_layout",
                           {},
                           {}});
  }
  if (!diagnostics.empty()) ir::Refuse(func, diagnostics);
}

/*! What a parameter cannot be made responsible for has no place in a plan. */
void CheckNotForeign(const Value& func, const std::vector<ir::View>& foreign) {
  std::vector<ir::Diagnostic> diagnostics;
  for (const ir::View& buffer : foreign) {
    diagnostics.push_back({ErrorCode::kForeignMemory,
                           "buffer `" + ir::GetString(buffer, ir::FieldId::kName) +
                               "` lies in DRAM that belongs to no parameter; expected a tensor "
                               "parameter or memory that the kernel allocates",
                           "pass the tensor as a parameter of its own", buffer, buffer});
  }
  if (!diagnostics.empty()) ir::Refuse(func, diagnostics);
}

/*! Lays out every tensor, or refuses the function with all that is wrong. */
std::vector<Tensor> LayOutAll(const Value& func, const std::vector<Parameter>& parameters,
                              const Context& context) {
  const ir::ShapeVariables variables(parameters);
  std::vector<Tensor> tensors;
  tensors.reserve(parameters.size());
  std::vector<ir::Diagnostic> diagnostics;
  for (const Parameter& parameter : parameters) {
    if (parameter.memory.is_none()) continue;
    if (parameter.description.is_none()) {
      diagnostics.push_back(
          {ErrorCode::kRawPointer,
           Describe(parameter) + " is a raw pointer; expected a tensor with a shape",
           "run this pass before the host/device split, where tensors still have "
           "their shapes",
           parameter.var,
           {}});
      continue;
    }
    try {
      tensors.push_back(LayOut(parameter, variables, context));
    } catch (const Error& error) {
      diagnostics.push_back({error.code(),
                             Describe(parameter) + ": " + error.what(),
                             HelpFor(error.code()),
                             parameter.var,
                             {}});
    }
  }
  if (!diagnostics.empty()) ir::Refuse(func, diagnostics);
  return tensors;
}

Value ShardEntry(const plan::LayoutChoice& choice, const plan::TensorLayout& layout) {
  const plan::Sharding& sharding = *layout.sharding;
  std::vector<Value> cores;
  for (const CoreCoord& core : sharding.cores) cores.push_back(ir::MakeArray({core.x, core.y}));
  ir::Entries entries = {
      {"shape", ir::MakeArray(choice.shard->shape)},
      {"cores", ir::MakeArray(cores)},
      {"orientation", plan::ToString(sharding.orientation)},
      {"distribution", plan::ToString(sharding.distribution)},
      {"tensor_pages", ir::MakeArray(sharding.tensor_pages)},
      {"shard_pages", ir::MakeArray(sharding.shard_pages)},
      {"shard_grid", ir::MakeArray(sharding.shard_grid)},
      {"num_shards", sharding.num_shards},
      {"shards_per_core", sharding.shards_per_core},
      {"pages_per_shard", sharding.pages_per_shard},
  };
  if (layout.address_if_alone) entries.emplace_back("address_if_alone", *layout.address_if_alone);
  return ir::MakeMap(entries);
}

Value BufferEntry(const Tensor& tensor, ir::Access access, const std::string& padding_value) {
  const plan::TensorLayout& layout = tensor.layout;
  const plan::LayoutChoice& choice = tensor.choice;
  ir::Entries entries = {
      {key::kName, tensor.name},
      {key::kParamIndex, tensor.parameter.index},
      {key::kDtype, tensor.dtype},
      {key::kShape, ToValue(tensor.shape)},
      {key::kAccess, ToString(access)},
      {key::kMemory, plan::ToString(choice.memory)},
      {key::kLayout, plan::LayoutName(choice, layout)},
      {key::kPageLayout, plan::ToString(choice.page_layout)},
      {key::kNumMatrices, ToValue(layout.num_matrices)},
      {key::kNeedsPadding, Value(layout.needs_padding)},
      {key::kDataFormat, choice.format->name},
      {key::kPageSize, ToValue(layout.page_size)},
      {key::kAlignedPageSize, ToValue(layout.aligned_page_size)},
      {key::kNumPages, ToValue(layout.num_pages)},
      {key::kNumBanks, layout.num_banks},
      {key::kBytesPerBank, ToValue(layout.bytes_per_bank)},
      {key::kPaddingBytes, ToValue(layout.padding_bytes)},
      {key::kPaddingPercent, ToValue(layout.padding_percent)},
      {key::kAccessorCtArgs, ToValue(layout.accessor_ct_args)},
  };
  if (choice.page_layout == plan::PageLayout::kTile) {
    entries.emplace_back(key::kTileShape, ir::MakeArray({choice.tile.height, choice.tile.width}));
    entries.emplace_back(key::kNumTilesHeight, ToValue(layout.num_tiles_height));
    entries.emplace_back(key::kNumTilesWidth, ToValue(layout.num_tiles_width));
  }
  if (layout.needs_padding) {
    entries.emplace_back(key::kPaddedShape, ToValue(layout.padded_shape));
    entries.emplace_back(key::kPaddingValue, padding_value);
  }
  if (layout.sharding) entries.emplace_back(key::kShard, ShardEntry(choice, layout));
  return ir::MakeMap(entries);
}

/*! BufferEntry, remembered: a map of this size is the costliest thing that a pass builds. */
Value CachedBufferEntry(const Tensor& tensor, ir::Access access, const std::string& padding_value) {
  // Rare, and would need long keys.
  if (tensor.choice.shard) return BufferEntry(tensor, access, padding_value);
  // What a layout takes from the device is the alignment and the number of banks; not its name,
  // which differing devices may share.
  // Which differs most comes first: most comparisons end there.
  using Key = std::tuple<plan::Shape, int64_t, ir::Access, plan::Memory, plan::PageLayout,
                         device::TileShape, Int, int64_t, std::string_view, std::string,
                         std::string, std::string>;
  static auto* cache = new Cache<Key, Value>;
  const plan::LayoutChoice& choice = tensor.choice;
  return cache->Get(
      {tensor.shape, tensor.parameter.index, access, choice.memory, choice.page_layout, choice.tile,
       tensor.layout.aligned_page_size, tensor.layout.num_banks, choice.format->name, tensor.name,
       tensor.dtype, padding_value},
      [&] { return BufferEntry(tensor, access, padding_value); });
}

/*! float16 is a format of the hardware but not of ttnn; whoever stores it so should know. */
void WarnOfFloat16(const Value& func, const std::vector<Tensor>& tensors,
                   std::vector<ir::Warning>* warnings) {
  std::string names;
  for (const Tensor& tensor : tensors) {
    if (tensor.choice.format->name == "Float16" && !tensor.choice.format_is_chosen) {
      names += (names.empty() ? "" : ", ") + tensor.name;
    }
  }
  if (names.empty()) return;
  warnings->push_back(
      {ErrorCode::kFloat16,
       "kernel " + ir::FunctionName(func) + " stores " + names +
           " as Float16, which ttnn has no tensor type for; "
           "apply_tt_defaults(mod, data_format=\"Float16_b\") stores float16 as bfloat16",
       Value()});
}

/*! What the padding of each parameter holds; the walk is spared where none has any. */
ir::PaddingFacts PaddingOf(const Value& func, const std::vector<Parameter>& parameters,
                           const std::vector<Tensor>& tensors) {
  std::vector<bool> padded(parameters.size());
  for (const Tensor& tensor : tensors) {
    padded[tensor.parameter.index] = tensor.layout.needs_padding;
  }
  const bool any = std::ranges::find(padded, true) != padded.end();
  return any ? ir::ReadPadding(func, parameters, padded)
             : ir::PaddingFacts{.values = std::vector<std::string>(parameters.size())};
}

/*! A reduction over the edge of a tensor takes what the padding holds for elements. */
void WarnOfTraps(const Value& func, const std::vector<Parameter>& parameters,
                 const std::vector<ir::PaddingTrap>& traps, std::vector<ir::Warning>* warnings) {
  for (const ir::PaddingTrap& trap : traps) {
    const std::string name = ir::NameOf(parameters[trap.parameter]);
    warnings->push_back({ErrorCode::kPaddingTrap,
                         "kernel " + ir::FunctionName(func) + ": " + trap.consumer +
                             " takes the padding of `" + name + "`, which holds " + trap.value +
                             ", for elements; expected " + trap.needed + "\nhelp: " + trap.remedy,
                         trap.node});
  }
}

/*! Inference goes on: the kernel may be meant for another device. */
void WarnOfCapacity(const Value& func, const device::Device& device,
                    const std::vector<plan::CapacityProblem>& problems,
                    std::vector<ir::Warning>* warnings) {
  for (const plan::CapacityProblem& problem : problems) {
    warnings->push_back(
        {problem.code,
         "kernel " + ir::FunctionName(func) + " on " + device.name + " needs " + problem.message,
         Value()});
  }
}

OnChipContext OnChipContextOf(const Context& context, const std::vector<Tensor>& tensors) {
  OnChipContext out{.device = context.device, .tile = context.tile, .format = context.format};
  for (const Tensor& tensor : tensors) {
    if (tensor.choice.memory != plan::Memory::kL1) continue;
    out.tensor_bytes = out.tensor_bytes + tensor.layout.bytes_per_bank;
  }
  return out;
}

Value InferAndWarn(const Value& func) {
  std::vector<ir::Warning> warnings;
  Value out = InferShard(func, &warnings);
  for (const ir::Warning& warning : warnings) ir::Warn(warning);
  return out;
}

}  // namespace

Value InferShard(const Value& func, std::vector<ir::Warning>* warnings) {
  if (ir::IsCoreProgram(func)) return func;
  const std::vector<ir::View> launches = ir::LaunchBodies(func);
  if (launches.empty()) return WithoutAttributes(func, ShardKeys());
  const Inputs inputs = Inputs::Of(func);
  const Context context = {inputs.Device(), inputs.LayoutType(), inputs.Tile(), inputs.DataFormat(),
                           inputs.BufferLayouts()};
  const std::vector<Parameter> parameters = ir::Parameters(func);
  CheckLaidOut(func, parameters, context.layouts);
  const std::vector<Tensor> tensors = LayOutAll(func, parameters, context);
  const ir::KernelAccess access = ir::AccessOf(func, parameters);
  CheckNotForeign(func, access.foreign);

  const ir::PaddingFacts padding = PaddingOf(func, parameters, tensors);

  std::vector<Value> buffers;
  for (const Tensor& tensor : tensors) {
    const int64_t index = tensor.parameter.index;
    buffers.push_back(CachedBufferEntry(tensor, access.parameters[index], padding.values[index]));
  }
  const OnChipContext on_chip = OnChipContextOf(context, tensors);
  std::vector<Value> entries, traffic;
  for (const ir::View& launch : launches) {
    const OnChipNeeds needs = OnChipNeedsOf(ir::ReadOnChip(launch, parameters), on_chip);
    entries.push_back(needs.entry);
    traffic.push_back(TrafficEntry(ir::ReadTraffic(launch, parameters)));
    WarnOfCapacity(func, context.device, needs.problems, warnings);
  }
  Value out = WithAttributes(func, {{key::kBuffers, ir::MakeArray(buffers)},
                                    {key::kOnChip, ir::MakeArray(entries)},
                                    {key::kTraffic, ir::MakeArray(traffic)}});
  WarnOfTraps(func, parameters, padding.traps, warnings);
  WarnOfFloat16(func, tensors, warnings);
  return out;
}

const Keys& ShardKeys() {
  static const Keys keys = {&key::kBuffers, &key::kOnChip, &key::kTraffic};
  return keys;
}

Value InferDefaultTTShard() { return MakePass("tt.InferDefaultTTShard", InferAndWarn); }

}  // namespace tt::transform
