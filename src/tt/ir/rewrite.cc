#include "ir/rewrite.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <string>

#include "core/error.h"
#include "ir/node.h"
#include "ir/parameters.h"

namespace tt::ir {
namespace {

// The fields that hold statements; SBlockRealize holds its SBlock in one.
constexpr std::array<std::pair<FieldId, std::string_view>, 5> kStatementFields = {{
    {FieldId::kBlock, "block"},
    {FieldId::kInit, "init"},
    {FieldId::kBody, "body"},
    {FieldId::kThenCase, "then_case"},
    {FieldId::kElseCase, "else_case"},
}};

std::string_view NameOf(const TVMFFIFieldInfo& field) { return {field.name.data, field.name.size}; }

template <typename Visit>
void ForEachField(int32_t type_index, Visit visit) {
  const TVMFFITypeInfo* type = TVMFFIGetTypeInfo(type_index);
  const auto visit_own = [&](const TVMFFITypeInfo& own) {
    for (int32_t i = 0; i < own.num_fields; ++i) visit(own.fields[i]);
  };
  for (int32_t depth = 0; depth < type->type_depth; ++depth)
    visit_own(*type->type_ancestors[depth]);
  visit_own(*type);
}

std::optional<int32_t> FindTypeIndex(const std::string& key) {
  const TVMFFIByteArray bytes = {key.data(), key.size()};
  int32_t index = 0;
  if (TVMFFITypeKeyToIndex(&bytes, &index) == 0) return index;
  TVMFFIObjectHandle error = nullptr;
  TVMFFIErrorMoveFromRaised(&error);
  if (error != nullptr) TVMFFIObjectDecRef(error);
  return std::nullopt;
}

/*! Looked up once: hosts keep the same type in different namespaces. */
int32_t TypeIndexOf(std::string_view type) {
  static auto* mutex = new std::mutex;
  static auto* known = new std::map<std::string, int32_t, std::less<>>;
  const std::scoped_lock lock(*mutex);
  if (const auto found = known->find(type); found != known->end()) return found->second;
  for (const char* space : {"tirx.", "ir.", "prim.", "s_tir."}) {
    if (const auto index = FindTypeIndex(space + std::string(type))) {
      return known->emplace(type, *index).first->second;
    }
  }
  throw Error(ErrorCode::kUnknownIR, "this host has no IR node " + std::string(type));
}

Value Build(int32_t type_index, const Fields& fields) {
  static constinit const GlobalFunction make{"ffi.MakeObjectFromPackedArgs"};
  std::vector<Value> names;
  names.reserve(fields.size());
  std::vector<TVMFFIAny> arguments = {Value(int64_t{type_index}).raw()};
  for (const auto& [name, value] : fields) {
    arguments.push_back(names.emplace_back(name).raw());
    arguments.push_back(value.raw());
  }
  return make(arguments);
}

const Value* Find(const Fields& fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &Fields::value_type::first);
  return found == fields.end() ? nullptr : &found->second;
}

bool HasField(int32_t type_index, std::string_view name) {
  bool found = false;
  ForEachField(type_index, [&](const TVMFFIFieldInfo& field) { found |= NameOf(field) == name; });
  return found;
}

Value PrimType(std::string_view dtype) {
  static constinit const GlobalFunction make{"ir.PrimType"};
  const Value name(dtype);
  return make({name.raw()});
}

Value Nothing() { return MakeNode("Evaluate", {{"value", MakeInt("int32", 0)}}); }

bool IsSequence(View stmt) { return !TryGet(stmt, FieldId::kSeq).is_none(); }

Value RewriteSequence(View sequence, const Replacement& replace) {
  std::vector<Value> stmts;
  bool is_changed = false;
  const View seq = Get(sequence, FieldId::kSeq);
  for (const TVMFFIAny& element : Elements(seq)) {
    const View stmt = View::Of(element);
    Value rewritten = RewriteStatements(stmt, replace);
    is_changed |= rewritten.object() != stmt.object();
    if (!rewritten.is_none()) stmts.push_back(std::move(rewritten));
  }
  if (!is_changed) return sequence;
  const Value joined = MakeSequence(stmts);
  if (!IsSequence(joined)) return joined;
  return With(sequence, {{"seq", Get(joined, FieldId::kSeq)}});
}

}  // namespace

Value With(View node, const Fields& changes) {
  Fields fields;
  ForEachField(node.type_index(), [&](const TVMFFIFieldInfo& field) {
    const std::string_view name = NameOf(field);
    if (const Value* changed = Find(changes, name)) {
      fields.emplace_back(name, *changed);
      return;
    }
    TVMFFIAny any{};
    if (field.getter(reinterpret_cast<char*>(node.object()) + field.offset, &any) != 0) {
      throw Error(ErrorCode::kUnknownIR, "a field of " + TypeOf(node).key + " cannot be read");
    }
    fields.emplace_back(name, Value::Adopt(any));
  });
  return Build(node.type_index(), fields);
}

Value MakeNode(std::string_view type, Fields fields) {
  const int32_t index = TypeIndexOf(type);
  const auto add = [&](std::string_view name, const Value& value) {
    if (HasField(index, name) && Find(fields, name) == nullptr) fields.emplace_back(name, value);
  };
  add("span", Value());
  add("annotations", MakeMap({}));
  return Build(index, fields);
}

Value MakeExpr(std::string_view type, std::string_view dtype, Fields fields) {
  const int32_t index = TypeIndexOf(type);
  // The dtype stands in a field of its own on older hosts, in the type on newer ones.
  if (HasField(index, "dtype")) fields.emplace_back("dtype", dtype);
  for (const char* name : {"ty", "type_annotation"}) {
    if (HasField(index, name)) fields.emplace_back(name, PrimType(dtype));
  }
  return MakeNode(type, std::move(fields));
}

Value MakeInt(std::string_view dtype, int64_t value) {
  return MakeExpr("IntImm", dtype, {{"value", value}});
}

Value MakeVar(std::string_view name, std::string_view dtype) {
  return MakeExpr("Var", dtype, {{"name", name}});
}

Value MakeCast(std::string_view dtype, View expr) {
  if (DtypeOfExpr(expr) == dtype) return expr;
  if (const auto constant = ConstantOf(expr)) return MakeInt(dtype, *constant);
  return MakeExpr("Cast", dtype, {{"value", expr}});
}

Value MakeSequence(const std::vector<Value>& stmts) {
  std::vector<Value> flat;
  for (const Value& stmt : stmts) {
    if (stmt.is_none()) continue;
    if (!IsSequence(stmt)) {
      flat.push_back(stmt);
      continue;
    }
    const View seq = Get(stmt, FieldId::kSeq);
    for (const TVMFFIAny& element : Elements(seq)) flat.emplace_back(View::Of(element));
  }
  if (flat.empty()) return Nothing();
  return flat.size() == 1 ? flat.front() : MakeNode("SeqStmt", {{"seq", MakeArray(flat)}});
}

Value RewriteStatements(View stmt, const Replacement& replace) {
  if (auto replaced = replace(stmt)) return *std::move(replaced);
  if (IsSequence(stmt)) return RewriteSequence(stmt, replace);
  Fields changes;
  for (const auto& [id, name] : kStatementFields) {
    const View part = TryGet(stmt, id);
    if (part.is_none()) continue;
    Value rewritten = RewriteStatements(part, replace);
    if (rewritten.object() == part.object()) continue;
    const bool may_go = id == FieldId::kElseCase || id == FieldId::kInit;
    changes.emplace_back(name, rewritten.is_none() && !may_go ? Nothing() : std::move(rewritten));
  }
  return changes.empty() ? Value(stmt) : With(stmt, changes);
}

Value Substitute(View node, View var, const Value& replacement) {
  if (node.object() == var.object()) return replacement;
  if (node.type_index() == kTVMFFIArray) {
    std::vector<Value> elements;
    bool is_changed = false;
    for (const TVMFFIAny& element : Elements(node)) {
      elements.push_back(Substitute(View::Of(element), var, replacement));
      is_changed |= elements.back().object() != View::Of(element).object();
    }
    return is_changed ? MakeArray(elements) : Value(node);
  }
  const NodeKind kind = KindOf(node);
  if (kind == NodeKind::kLeaf || kind == NodeKind::kIntImm || kind == NodeKind::kVar) return node;
  Fields changes;
  for (const Field& field : TypeOf(node).children) {
    const View child = Read(node, field);
    if (!child.is_object()) continue;
    Value changed = Substitute(child, var, replacement);
    if (changed.object() != child.object()) changes.emplace_back(field.name, std::move(changed));
  }
  return changes.empty() ? Value(node) : With(node, changes);
}

Value WithParametersAndBody(View func, const std::vector<Value>& added, const Value& body) {
  // The host's own constructor, as the type of a function follows from its parameters.
  static constinit const GlobalFunction make{"tirx.PrimFunc"};
  std::vector<Value> parameters;
  const View params = Get(func, FieldId::kParams);
  for (const TVMFFIAny& parameter : Elements(params)) parameters.emplace_back(View::Of(parameter));
  parameters.insert(parameters.end(), added.begin(), added.end());
  std::vector<Value> arguments = {MakeArray(parameters), body, Get(func, FieldId::kRetType)};
  if (const View map = TryGet(func, FieldId::kBufferMap); !map.is_none())
    arguments.emplace_back(map);
  arguments.emplace_back(Get(func, FieldId::kAttrs));
  arguments.emplace_back(Get(func, FieldId::kSpan));
  std::vector<TVMFFIAny> raw;
  for (const Value& argument : arguments) raw.push_back(argument.raw());
  return make(raw);
}

}  // namespace tt::ir
