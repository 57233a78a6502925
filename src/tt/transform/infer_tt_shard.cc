// InferDefaultTTShard: how every tensor of a kernel lies in DRAM.
//
//   A: T.Buffer((100, 100), "bfloat16")      T.func_attr({<inputs>, "tt_buffers": [{"name": "A",
//   T.func_attr({<inputs>})             -->      "tt_access": "read", "tt_num_pages": 16,
//   ...                                          "tt_padded_shape": [128, 128], ...}, ...]})
//                                            ...
//
// Requires: the inputs of ApplyTTDefaults.
// Ensures:  tt_buffers describes every buffer parameter, in parameter order; functions that are no
//           kernels have none.
// Rejects:  missing or unknown inputs; tensors of an unknown dtype, of empty shape, or
//           that are not compact, row-major and in DRAM; raw pointers, whose shape nobody knows;
//           kernels that use memory of unknown origin.
#include "transform/infer_tt_shard.h"

#include <optional>
#include <tuple>

#include "core/int.h"
#include "ir/access.h"
#include "ir/diagnostic.h"
#include "ir/launch.h"
#include "ir/node.h"
#include "ir/size.h"
#include "plan/tensor_layout.h"
#include "transform/attributes.h"
#include "transform/cache.h"
#include "transform/pass.h"

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
constinit const Interned kPaddingPercent{"tt_padding_percent"};
}  // namespace key

/*! What holds for all tensors of a function. */
struct Context {
  device::Device device;
  plan::Memory memory;
  device::TileShape tile;
  std::string format;  // chosen for all tensors that can have it; empty where none is
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
    out.push_back(ir::ReadInt(Value::CopyOf(extent), variables));
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
    const Int stride = ir::ReadInt(Value::CopyOf(strides[i]), variables);
    // The stride of a dimension of one element is never used.
    if (stride != compact && shape[i] != 1) {
      throw Error(ErrorCode::kStrides, "dimension " + std::to_string(i) + " has stride " +
                                           stride.ToString() + "; expected " + compact.ToString() +
                                           " (compact, row-major)");
    }
    compact = compact * shape[i];
  }
}

plan::LayoutChoice ChoiceFor(const std::string& dtype, const Context& context) {
  const std::string_view format = device::CommonChoice(dtype, context.format);
  return {
      .format = &device::FormatOf(dtype, format), .memory = context.memory, .tile = context.tile};
}

Tensor LayOut(const Parameter& parameter, const ir::ShapeVariables& variables,
              const Context& context) {
  const ir::Buffer buffer = ir::ReadBuffer(parameter);
  const plan::LayoutChoice choice = ChoiceFor(buffer.dtype, context);
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
    default: return "";
  }
}

/*! What a parameter cannot be made responsible for has no place in a plan. */
void CheckNotForeign(const Value& func, const std::vector<Value>& foreign) {
  std::vector<ir::Diagnostic> diagnostics;
  for (const Value& buffer : foreign) {
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
  std::vector<ir::Diagnostic> diagnostics;
  for (const Parameter& parameter : parameters) {
    if (parameter.memory.is_none()) continue;
    if (parameter.description.is_none()) {
      diagnostics.push_back(
          {ErrorCode::kRawPointer,
           Describe(parameter) + " is a raw pointer; expected a tensor with a shape",
           "run this pass before the host/device split, where tensors still have "
           "their shapes",
           parameter.var, Value()});
      continue;
    }
    try {
      tensors.push_back(LayOut(parameter, variables, context));
    } catch (const Error& error) {
      diagnostics.push_back({error.code(), Describe(parameter) + ": " + error.what(),
                             HelpFor(error.code()), parameter.var, Value()});
    }
  }
  if (!diagnostics.empty()) ir::Refuse(func, diagnostics);
  return tensors;
}

Value BufferEntry(const Tensor& tensor, ir::Access access) {
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
  if (layout.needs_padding) entries.emplace_back(key::kPaddedShape, ToValue(layout.padded_shape));
  return ir::MakeMap(entries);
}

/*! BufferEntry, remembered: a map of this size is the costliest thing that a pass builds. */
Value CachedBufferEntry(const Tensor& tensor, ir::Access access) {
  // What a layout takes from the device is the alignment and the number of banks; not its name,
  // which differing devices may share.
  using Key = std::tuple<std::string, int64_t, std::string, plan::Shape, ir::Access, plan::Memory,
                         plan::PageLayout, device::TileShape, std::string_view, Int, int64_t>;
  static auto* cache = new Cache<Key, Value>;
  const plan::LayoutChoice& choice = tensor.choice;
  return cache->Get({tensor.name, tensor.parameter.index, tensor.dtype, tensor.shape, access,
                     choice.memory, choice.page_layout, choice.tile, choice.format->name,
                     tensor.layout.aligned_page_size, tensor.layout.num_banks},
                    [&] { return BufferEntry(tensor, access); });
}

/*! float16 is a format of the hardware but not of ttnn; whoever stores it so should know. */
void WarnOfFloat16(const Value& func, const std::vector<Tensor>& tensors,
                   std::vector<ir::Warning>* warnings) {
  std::string names;
  for (const Tensor& tensor : tensors) {
    if (tensor.choice.format->name == "Float16") names += (names.empty() ? "" : ", ") + tensor.name;
  }
  if (names.empty()) return;
  warnings->push_back(
      {ErrorCode::kFloat16,
       "kernel " + ir::FunctionName(func) + " stores " + names +
           " as Float16, which ttnn has no tensor type for; "
           "apply_tt_defaults(mod, data_format=\"Float16_b\") stores float16 as bfloat16"});
}

Value InferAndWarn(const Value& func) {
  std::vector<ir::Warning> warnings;
  Value out = InferShard(func, &warnings);
  for (const ir::Warning& warning : warnings) ir::Warn(warning);
  return out;
}

}  // namespace

Value InferShard(const Value& func, std::vector<ir::Warning>* warnings) {
  if (!ir::IsKernel(func)) return WithoutAttributes(func, ShardKeys());
  const Inputs inputs = Inputs::Of(func);
  const Context context = {inputs.Device(), inputs.LayoutType(), inputs.Tile(),
                           inputs.DataFormat()};
  const std::vector<Parameter> parameters = ir::Parameters(func);
  const std::vector<Tensor> tensors = LayOutAll(func, parameters, context);
  const ir::KernelAccess access = ir::AccessOf(func, parameters);
  CheckNotForeign(func, access.foreign);

  std::vector<Value> buffers;
  for (const Tensor& tensor : tensors) {
    buffers.push_back(CachedBufferEntry(tensor, access.parameters[tensor.parameter.index]));
  }
  Value out = WithAttributes(func, {{key::kBuffers, ir::MakeArray(buffers)}});
  if (context.format.empty()) WarnOfFloat16(func, tensors, warnings);
  return out;
}

const std::vector<std::string>& ShardKeys() {
  static const std::vector<std::string> keys = {"tt_buffers"};
  return keys;
}

Value InferDefaultTTShard() { return MakePass("tt.InferDefaultTTShard", InferAndWarn); }

}  // namespace tt::transform
