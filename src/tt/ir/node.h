// Typed views over the host's IR by reflection.
//
// A type's kind and fields are looked up by name once and then kept, so that reading a field costs
// one indirect call. Nothing here knows a struct of TVM's: the same code reads every host.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "ir/ffi.h"

namespace tt::ir {

/*! What an IR node is, whatever namespace its host keeps it in. */
enum class NodeKind {
  kOther,  // anything that needs no closer look than at its children
  kLeaf,   // holds nothing that is executed
  kVar,
  kIntImm,
  kPrimFunc,
  kFor,
  kWhile,
  kIfThenElse,
  kJump,
  kAttrStmt,
  kBind,
  kSBlock,
  kDeclBuffer,
  kAllocBuffer,
  kScopeIdDefStmt,
  kTilePrimitive,
  kBuffer,
  kBufferLoad,
  kBufferStore,
  kBufferRegion,
  kCall,
};

/*! Every field that this package reads by name. */
enum class FieldId {
  kA,
  kAllocBuffers,
  kAnnotations,
  kArgs,
  kAttrKey,
  kAttrs,
  kAxis,
  kAxisSeparators,
  kB,
  kBlock,
  kBody,
  kBuffer,
  kBufferMap,
  kCondition,
  kColumn,
  kData,
  kDef,
  kDefIds,
  kDict,
  kDom,
  kDtype,
  kElemOffset,
  kElseCase,
  kExtent,
  kExtents,
  kIndices,
  kInit,
  kIterType,
  kIterValues,
  kIterVars,
  kLayout,
  kLine,
  kLoopVar,
  kMatchBuffers,
  kMin,
  kName,
  kNameHint,
  kNode,
  kOffset,
  kOp,
  kParams,
  kPredicate,
  kRegion,
  kReplica,
  kScope,
  kSeq,
  kShape,
  kShard,
  kSource,
  kSourceName,
  kSpan,
  kSpans,
  kStep,
  kStorageScope,
  kStride,
  kStrides,
  kThenCase,
  kThreadBinding,
  kThreadTag,
  kTy,
  kTypeAnnotation,
  kValue,
  kVar,
  kCount,
};

struct Field {
  TVMFFIFieldGetter getter = nullptr;
  int64_t offset = 0;
  bool is_reference = false;  // one counted pointer at that offset, which needs no getter
};

struct TypeInfo {
  NodeKind kind;
  std::string key;
  std::string_view short_key;  // without its namespace, which differs between hosts
  std::array<Field, static_cast<size_t>(FieldId::kCount)> known;
  std::vector<Field> children;    // the fields that hold what the node executes
  std::vector<Field> statements;  // those of them that hold statements
};

/*! Looked up once per type; lives as long as the process. */
const TypeInfo& TypeOf(int32_t type_index);
inline const TypeInfo& TypeOf(const Value& object) { return TypeOf(object.type_index()); }

inline std::string_view ShortKey(const Value& node) { return TypeOf(node).short_key; }

inline NodeKind KindOf(const Value& value) {
  return value.type_index() >= kTVMFFIDynObjectBegin ? TypeOf(value).kind : NodeKind::kLeaf;
}

/*! A field's value; none where the type has no such field. */
Value TryGet(const Value& node, FieldId field);

/*! A field's value. \throw tt::Error where the type has no such field: the host is not understood.
 */
Value Get(const Value& node, FieldId field);

Value GetField(const Value& node, const Field& field);

std::string GetString(const Value& node, FieldId field);

/*! The value of an integer constant, as a number or as an IntImm. */
std::optional<int64_t> ConstantOf(const Value& expr);

/*! A dtype, either given as such or as a primitive type. */
std::string DtypeOf(const Value& dtype_or_type);

/*!
 * Visits nodes in program order, parents first, on a stack of its own: a body may be as deep as
 * the host itself can build. The visitor decides with PushChildren whether to go on below a node.
 * Constants and other leaves are passed over.
 */
class Walker {
 public:
  explicit Walker(const Value& root);
  /*!
   * A number that nodes inherit from the one that pushed them, such as a scope; 0 at the root. Set
   * it after Next and before pushing.
   */
  size_t context() const { return context_; }
  void set_context(size_t context) { context_ = context; }
  /*! The next node; false at the end. */
  bool Next(Value* node);
  /*! Visits this node, or the elements of this array, next. */
  void Push(const Value& node);
  void PushChildren(const Value& node) { PushFields(node, TypeOf(node).children); }
  /*! Only the statements below a statement: a launch is never inside an expression. */
  void PushStatements(const Value& node) { PushFields(node, TypeOf(node).statements); }

 private:
  void PushFields(const Value& node, const std::vector<Field>& fields);
  void PushObject(TVMFFIObject* object);

  size_t context_ = 0;
  std::vector<std::pair<Value, size_t>> stack_;  // with their contexts
};

}  // namespace tt::ir
