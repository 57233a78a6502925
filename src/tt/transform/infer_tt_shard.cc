// InferDefaultTTShard: how every tensor of a kernel lies in DRAM.
//
//   def f(A: T.Buffer((100, 100), "bfloat16")):       def f(A: T.Buffer((100, 100), "bfloat16")):
//       T.func_attr({<inputs>})                 -->       T.func_attr({<inputs>, "tt_buffers": [{"name": "A",
//       ...                                                   "tt_access": "read", "tt_padded_shape": [128, 128],
//                                                             "tt_num_pages": 16, ...}]})
//                                                         ...
//
// Requires: the inputs of ApplyTTDefaults.
// Ensures:  tt_buffers describes every buffer parameter, in parameter order.
// Rejects:  missing or unknown inputs; tensors of an unknown dtype, of symbolic or empty shape, or
//           that are not compact and row-major; raw pointers, whose shape nobody knows.
#include "transform/infer_tt_shard.h"

#include "core/checked.h"
#include "ir/access.h"
#include "ir/diagnostic.h"
#include "ir/launch.h"
#include "ir/node.h"
#include "plan/tensor_layout.h"
#include "transform/attributes.h"
#include "transform/pass.h"

namespace tt::transform {
namespace {

using ir::Parameter;
using ir::Value;

/*! Made once and then shared, never freed: attributes are written by the thousand. */
struct Keys {
  Value buffers{"tt_buffers"}, name{"name"}, param_index{"param_index"}, dtype{"dtype"};
  Value shape{"shape"}, access{"tt_access"}, layout{"tt_layout"}, page_layout{"tt_page_layout"};
  Value tile_shape{"tt_tile_shape"}, num_tiles_height{"tt_num_tiles_height"};
  Value num_tiles_width{"tt_num_tiles_width"}, num_matrices{"tt_num_matrices"};
  Value needs_padding{"tt_needs_padding"}, padded_shape{"tt_padded_shape"};
  Value data_format{"tt_data_format"}, page_size{"tt_page_size"};
  Value aligned_page_size{"tt_aligned_page_size"}, num_pages{"tt_num_pages"};
  Value accessor_ct_args{"tt_accessor_ct_args"};
  Value dram_interleaved{"dram_interleaved"}, tile{"tile"};

  static const Keys& Get() {
    static const Keys* keys = new Keys;
    return *keys;
  }
};

/*! What holds for all tensors of a function. */
struct Context {
  const device::Device& device;
  device::TileShape tile;
  std::string float16_format;
};

/*! A tensor that can be laid out. */
struct Tensor {
  const Parameter& parameter;
  plan::Shape shape;
  plan::TensorLayout layout;
};

std::string Describe(const Parameter& parameter) {
  return "parameter " + std::to_string(parameter.index) + " (`" + parameter.name + "`)";
}

plan::Shape StaticShape(const Value& shape) {
  plan::Shape out;
  for (const TVMFFIAny& extent : ir::Elements(shape)) {
    const auto constant = ir::ConstantOf(Value::CopyOf(extent));
    if (!constant) {
      throw Error(ErrorKind::kShape, "dimension " + std::to_string(out.size()) +
                                         " is not a constant; expected an integer");
    }
    out.push_back(*constant);
  }
  return out;
}

/*! Refuses strides other than those of a compact row-major tensor, and offsets. */
void CheckCompact(const ir::Buffer& buffer, const plan::Shape& shape) {
  const auto offset = ir::ConstantOf(buffer.elem_offset);
  if (!buffer.elem_offset.is_none() && offset != 0) {
    throw Error(ErrorKind::kShape, "the tensor starts at an element offset of " +
                                       (offset ? std::to_string(*offset) : "unknown size") +
                                       "; expected 0");
  }
  const auto strides = ir::Elements(buffer.strides);
  int64_t compact = 1;
  for (size_t i = strides.size(); i-- > 0;) {
    const auto stride = ir::ConstantOf(Value::CopyOf(strides[i]));
    // The stride of a dimension of one element is never used.
    if (stride != compact && shape[i] != 1) {
      throw Error(ErrorKind::kShape,
                  "dimension " + std::to_string(i) + " has " +
                      (stride ? "stride " + std::to_string(*stride) : "a symbolic stride") +
                      "; expected " + std::to_string(compact) + " (compact, row-major)");
    }
    compact = CheckedMul(compact, shape[i]);
  }
}

Tensor LayOut(const Parameter& parameter, const Context& context) {
  const device::DataFormat& format = device::FormatOf(parameter.dtype, context.float16_format);
  plan::Shape shape = StaticShape(parameter.buffer->shape);
  plan::TensorLayout layout = plan::LayOutTiled(shape, format, context.tile, context.device);
  CheckCompact(*parameter.buffer, shape);
  return {parameter, std::move(shape), std::move(layout)};
}

const char* HelpFor(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kDtype:
      return "store the tensor in one of those dtypes and convert in the kernel";
    case ErrorKind::kOverflow:
      return "split the tensor: its size in bytes must fit 63 bits";
    default:
      return "pass a compact tensor of static, positive extents";
  }
}

/*! Lays out every tensor, or refuses the function with all that is wrong. */
std::vector<Tensor> LayOutAll(const Value& func, const std::vector<Parameter>& parameters,
                              const Context& context) {
  std::vector<Tensor> tensors;
  std::vector<ir::Diagnostic> diagnostics;
  for (const Parameter& parameter : parameters) {
    if (parameter.memory.is_none()) continue;
    if (!parameter.buffer) {
      diagnostics.push_back({ErrorKind::kShape,
                             Describe(parameter) + " is a raw pointer; expected a tensor with a shape",
                             "run this pass before the host/device split, where tensors still have "
                             "their shapes",
                             parameter.var, Value()});
      continue;
    }
    try {
      tensors.push_back(LayOut(parameter, context));
    } catch (const Error& error) {
      diagnostics.push_back({error.kind(), Describe(parameter) + ": " + error.what(),
                             HelpFor(error.kind()), parameter.var, Value()});
    }
  }
  if (!diagnostics.empty()) ir::Refuse(func, diagnostics);
  return tensors;
}

Value BufferEntry(const Tensor& tensor, ir::Access access, const Context& context) {
  const Keys& keys = Keys::Get();
  const plan::TensorLayout& layout = tensor.layout;
  ir::Entries entries = {
      {keys.name, tensor.parameter.name},
      {keys.param_index, tensor.parameter.index},
      {keys.dtype, tensor.parameter.dtype},
      {keys.shape, ir::MakeArray(tensor.shape)},
      {keys.access, ToString(access)},
      {keys.layout, keys.dram_interleaved},
      {keys.page_layout, keys.tile},
      {keys.tile_shape, ir::MakeArray({context.tile.height, context.tile.width})},
      {keys.num_tiles_height, layout.num_tiles_height},
      {keys.num_tiles_width, layout.num_tiles_width},
      {keys.num_matrices, layout.num_matrices},
      {keys.needs_padding, Value(layout.needs_padding)},
      {keys.data_format, layout.format->name},
      {keys.page_size, layout.page_size},
      {keys.aligned_page_size, layout.aligned_page_size},
      {keys.num_pages, layout.num_pages},
      {keys.accessor_ct_args, ir::MakeArray(layout.accessor_ct_args)},
  };
  if (layout.needs_padding) {
    entries.emplace_back(keys.padded_shape, ir::MakeArray(layout.padded_shape));
  }
  return ir::MakeMap(entries);
}

/*! float16 is a format of the hardware but not of ttnn; whoever stores it so should know. */
void WarnOfFloat16(const Value& func, const std::vector<Tensor>& tensors) {
  static constinit const ir::GlobalFunction warn{"tilelang.tt.warn"};
  std::string names;
  for (const Tensor& tensor : tensors) {
    if (tensor.layout.format->name == "Float16") names += (names.empty() ? "" : ", ") + tensor.parameter.name;
  }
  if (names.empty()) return;
  const Value message("kernel " + ir::FunctionName(func) + " stores " + names +
                      " as Float16, which ttnn has no tensor type for; "
                      "apply_tt_defaults(mod, data_format=\"Float16_b\") stores float16 as bfloat16");
  warn({message.raw()});
}

Value Infer(const Value& func) {
  if (!ir::FindGrid(func)) return func;
  const Inputs inputs = Inputs::Of(func);
  inputs.CheckLayout();
  const Context context = {inputs.Device(), inputs.Tile(), inputs.Float16Format()};
  const std::vector<Parameter> parameters = ir::Parameters(func);
  const std::vector<Tensor> tensors = LayOutAll(func, parameters, context);
  const ir::KernelAccess access = ir::AccessOf(func, parameters);

  std::vector<Value> buffers;
  for (const Tensor& tensor : tensors) {
    buffers.push_back(BufferEntry(tensor, access.parameters[tensor.parameter.index], context));
  }
  Value out = WithAttributes(func, {{Keys::Get().buffers, ir::MakeArray(buffers)}});
  WarnOfFloat16(func, tensors);
  return out;
}

}  // namespace

const std::vector<std::string>& ShardKeys() {
  static const std::vector<std::string> keys = {"tt_buffers"};
  return keys;
}

Value InferDefaultTTShard() { return MakePass("tt.InferDefaultTTShard", Infer); }

}  // namespace tt::transform
