#include "ir/node.h"

#include <algorithm>
#include <atomic>
#include <memory>

#include "core/error.h"

namespace tt::ir {
namespace {

struct FieldName {
  std::string_view name;
  FieldId id;
};

// One meaning, one id: 0.27 calls a load's buffer `source`, 0.25 writes call attributes apart.
constexpr FieldName kFieldNames[] = {
    {"a", FieldId::kA},
    {"alloc_buffers", FieldId::kAllocBuffers},
    {"annotations", FieldId::kAnnotations},
    {"args", FieldId::kArgs},
    {"attr_key", FieldId::kAttrKey},
    {"attrs", FieldId::kAttrs},
    {"axis", FieldId::kAxis},
    {"axis_separators", FieldId::kAxisSeparators},
    {"b", FieldId::kB},
    {"block", FieldId::kBlock},
    {"body", FieldId::kBody},
    {"buffer", FieldId::kBuffer},
    {"buffer_map", FieldId::kBufferMap},
    {"column", FieldId::kColumn},
    {"condition", FieldId::kCondition},
    {"data", FieldId::kData},
    {"def", FieldId::kDef},
    {"def_ids", FieldId::kDefIds},
    {"__dict__", FieldId::kDict},
    {"dom", FieldId::kDom},
    {"dtype", FieldId::kDtype},
    {"elem_offset", FieldId::kElemOffset},
    {"else_case", FieldId::kElseCase},
    {"extent", FieldId::kExtent},
    {"extents", FieldId::kExtents},
    {"indices", FieldId::kIndices},
    {"init", FieldId::kInit},
    {"iter_type", FieldId::kIterType},
    {"iter_values", FieldId::kIterValues},
    {"iter_vars", FieldId::kIterVars},
    {"kind", FieldId::kKind},
    {"layout", FieldId::kLayout},
    {"line", FieldId::kLine},
    {"loop_var", FieldId::kLoopVar},
    {"match_buffers", FieldId::kMatchBuffers},
    {"min", FieldId::kMin},
    {"name", FieldId::kName},
    {"name_hint", FieldId::kNameHint},
    {"node", FieldId::kNode},
    {"offset", FieldId::kOffset},
    {"op", FieldId::kOp},
    {"params", FieldId::kParams},
    {"predicate", FieldId::kPredicate},
    {"region", FieldId::kRegion},
    {"replica", FieldId::kReplica},
    {"ret_type", FieldId::kRetType},
    {"scope", FieldId::kScope},
    {"seq", FieldId::kSeq},
    {"shape", FieldId::kShape},
    {"shard", FieldId::kShard},
    {"source", FieldId::kSource},
    {"source_name", FieldId::kSourceName},
    {"span", FieldId::kSpan},
    {"spans", FieldId::kSpans},
    {"step", FieldId::kStep},
    {"storage_scope", FieldId::kStorageScope},
    {"stride", FieldId::kStride},
    {"strides", FieldId::kStrides},
    {"then_case", FieldId::kThenCase},
    {"thread_binding", FieldId::kThreadBinding},
    {"thread_tag", FieldId::kThreadTag},
    {"ty", FieldId::kTy},
    {"type_annotation", FieldId::kTypeAnnotation},
    {"value", FieldId::kValue},
    {"var", FieldId::kVar},
};

// Fields that describe a node, define names, or say which memory is meant; what a kernel executes
// is in all others.
constexpr std::string_view kNotExecuted[] = {
    "alloc_buffers",
    "annotations",
    "attrs",
    "buffer",
    "buffer_map",
    "config",
    "def",
    "dispatch",
    "dom",
    "dtype",
    "iter_vars",
    "layout",
    "loop_var",
    "match_buffers",
    "node",
    "op",
    "params",
    "reads",
    "ret_type",
    "scope",
    "source",
    "span",
    "struct_info_",
    "thread_binding",
    "ty",
    "ty_args",
    "type_annotation",
    "var",
    "workspace",
    "writes",
};

constexpr std::string_view kStatements[] = {"block", "body", "else_case",
                                            "init",  "seq",  "then_case"};

struct KeyKind {
  std::string_view key;
  NodeKind kind;
};

constexpr KeyKind kKinds[] = {
    {"ir.Var", NodeKind::kVar},
    {"tirx.Var", NodeKind::kVar},
    {"tirx.SizeVar", NodeKind::kVar},
    {"ir.IntImm", NodeKind::kIntImm},
    {"ir.FloatImm", NodeKind::kLeaf},
    {"ir.StringImm", NodeKind::kLeaf},
    {"tirx.StringImm", NodeKind::kLeaf},
    {"ir.Op", NodeKind::kLeaf},
    {"ir.GlobalVar", NodeKind::kLeaf},
    {"tirx.IterVar", NodeKind::kLeaf},
    {"tirx.PrimFunc", NodeKind::kPrimFunc},
    {"tirx.For", NodeKind::kFor},
    {"tirx.While", NodeKind::kWhile},
    {"tirx.IfThenElse", NodeKind::kIfThenElse},
    {"tirx.Break", NodeKind::kJump},
    {"tirx.Continue", NodeKind::kJump},
    {"tirx.AttrStmt", NodeKind::kAttrStmt},
    {"tirx.Bind", NodeKind::kBind},
    {"tirx.Let", NodeKind::kBind},
    {"tirx.SBlock", NodeKind::kSBlock},
    {"s_tir.SBlock", NodeKind::kSBlock},
    {"tirx.DeclBuffer", NodeKind::kDeclBuffer},
    {"tirx.AllocBuffer", NodeKind::kAllocBuffer},
    {"tirx.ScopeIdDefStmt", NodeKind::kScopeIdDefStmt},
    {"tirx.TilePrimitiveCall", NodeKind::kTilePrimitive},
    {"tirx.Buffer", NodeKind::kBuffer},
    {"tirx.BufferLoad", NodeKind::kBufferLoad},
    {"ir.TensorLoad", NodeKind::kBufferLoad},
    {"tirx.BufferStore", NodeKind::kBufferStore},
    {"tirx.BufferRegion", NodeKind::kBufferRegion},
    {"ir.TensorRegion", NodeKind::kBufferRegion},
    {"tirx.Call", NodeKind::kCall},
    {"ir.Call", NodeKind::kCall},
};

std::string_view ToView(const TVMFFIByteArray& bytes) { return {bytes.data, bytes.size}; }

NodeKind KindOfKey(std::string_view key) {
  const auto* found = std::ranges::find(kKinds, key, &KeyKind::key);
  return found == std::end(kKinds) ? NodeKind::kOther : found->kind;
}

template <size_t N>
bool Contains(const std::string_view (&names)[N], std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

/*! Whether a field of this static type can hold an IR node or an array of them. */
bool MayHoldNodes(int32_t static_type) {
  return static_type == kTVMFFIAny || static_type == kTVMFFIObject || static_type == kTVMFFIArray ||
         static_type >= kTVMFFIDynObjectBegin;
}

void AddFields(const TVMFFITypeInfo& type, TypeInfo* out) {
  for (int32_t i = 0; i < type.num_fields; ++i) {
    const TVMFFIFieldInfo& info = type.fields[i];
    const std::string_view name = ToView(info.name);
    // A field declared as an object is a reference to one: the pointer that the C ABI describes.
    const bool is_reference =
        info.field_static_type_index >= kTVMFFIStaticObjectBegin && info.size == sizeof(void*);
    const bool is_compared = (info.flags & kTVMFFIFieldFlagBitMaskSEqHashIgnore) == 0;
    const Field field{
        info.getter, info.offset,          is_reference, name, info.field_static_type_index,
        is_compared, ToView(info.metadata)};
    out->fields.push_back(field);
    const auto* known = std::ranges::find(kFieldNames, name, &FieldName::name);
    if (known != std::end(kFieldNames)) out->known[static_cast<size_t>(known->id)] = field;
    if (!MayHoldNodes(info.field_static_type_index)) continue;
    if (!Contains(kNotExecuted, name)) out->children.push_back(field);
    if (Contains(kStatements, name)) out->statements.push_back(field);
  }
}

bool HasAttribute(int32_t type_index, std::string_view name) {
  const TVMFFIByteArray bytes = {name.data(), name.size()};
  const TVMFFITypeAttrColumn* column = TVMFFIGetTypeAttrColumn(&bytes);
  if (column == nullptr) return false;
  const int32_t row = type_index - column->begin_index;
  return row >= 0 && row < column->size && column->data[row].type_index != kTVMFFINone;
}

std::unique_ptr<const TypeInfo> ReadType(int32_t type_index) {
  const TVMFFITypeInfo* type = TVMFFIGetTypeInfo(type_index);
  auto out = std::make_unique<TypeInfo>();
  out->key = ToView(type->type_key);
  out->short_key = std::string_view(out->key).substr(out->key.rfind('.') + 1);
  out->kind = KindOfKey(out->key);
  for (int32_t depth = 0; depth < type->type_depth; ++depth)
    AddFields(*type->type_ancestors[depth], out.get());
  AddFields(*type, out.get());
  out->makes_json = HasAttribute(type_index, "__data_to_json__");
  if (type->metadata != nullptr) out->equality = type->metadata->structural_eq_hash_kind;
  return out;
}

}  // namespace

std::array<std::atomic<const TypeInfo*>, kMaxTypes> known_types;

const TypeInfo& LearnType(int32_t index) {
  if (index >= kMaxTypes)
    throw Error(ErrorCode::kUnknownIR, "the host has more types than expected");
  auto& slot = known_types[index];
  // When raced the first one stays. Never freed: threads may run passes while the process exits.
  const TypeInfo* read = ReadType(index).release();
  const TypeInfo* first = nullptr;
  if (slot.compare_exchange_strong(first, read, std::memory_order_acq_rel)) return *read;
  delete read;
  return *first;
}

View Read(View node, const Field& field) {
  void* address = reinterpret_cast<char*>(node.object()) + field.offset;
  if (field.is_reference) {
    auto* object = *static_cast<TVMFFIObject**>(address);
    return object == nullptr ? View() : View::Of(object);
  }
  TVMFFIAny any{};
  if (field.getter(address, &any) != 0) {
    throw Error(ErrorCode::kUnknownIR, "a field of " + TypeOf(node).key + " cannot be read");
  }
  const Value value = Value::Adopt(any);
  if (value.is_object() && static_cast<uint32_t>(value.object()->combined_ref_count) == 1) {
    throw Error(ErrorCode::kUnknownIR,
                "a field of " + TypeOf(node).key + " is made when it is read");
  }
  return value;
}

View TryGet(View node, FieldId field) {
  if (!node.is_object()) return {};
  const Field& found = TypeOf(node).known[static_cast<size_t>(field)];
  return found.getter == nullptr ? View() : Read(node, found);
}

View Get(View node, FieldId field) {
  const TypeInfo& type = TypeOf(node);
  const Field& found = type.known[static_cast<size_t>(field)];
  if (found.getter != nullptr) return Read(node, found);
  const auto* name = std::ranges::find(kFieldNames, field, &FieldName::id);
  throw Error(ErrorCode::kUnknownIR, "this host's " + type.key + " has no field \"" +
                                         std::string(name->name) +
                                         "\"; see the documentation for the "
                                         "supported TVM versions");
}

std::string GetString(View node, FieldId field) {
  return TryGet(node, field).AsString().value_or("");
}

std::optional<int64_t> ConstantOf(View expr) {
  if (KindOf(expr) == NodeKind::kIntImm) return Get(expr, FieldId::kValue).AsInt();
  return expr.type_index() == kTVMFFIInt ? expr.AsInt() : std::nullopt;
}

std::string DtypeOf(View dtype_or_type) {
  if (const auto dtype = dtype_or_type.AsDataType()) return ToString(*dtype);
  const View inner = TryGet(dtype_or_type, FieldId::kDtype);
  return inner.is_none() ? "handle" : DtypeOf(inner);
}

Walker::Walker(View root) {
  stack_.reserve(first_entries_.size());
  Push(root);
}

bool Walker::Next(View* node) {
  while (!stack_.empty()) {
    const auto [object, context] = stack_.back();
    stack_.pop_back();
    context_ = context;
    if (object->type_index == kTVMFFIArray) {
      const auto elements = Elements(object);
      for (size_t i = elements.size(); i-- > 0;) Push(View::Of(elements[i]));
    } else if (object->type_index >= kTVMFFIDynObjectBegin) {
      const NodeKind kind = TypeOf(object->type_index).kind;
      if (kind == NodeKind::kLeaf || kind == NodeKind::kIntImm) continue;
      *node = View::Of(object);
      return true;
    }
  }
  return false;
}

void Walker::PushFields(View node, const std::vector<Field>& fields) {
  for (size_t i = fields.size(); i-- > 0;) Push(Read(node, fields[i]));
}

}  // namespace tt::ir
