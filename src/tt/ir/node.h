// Typed views over the host's IR by reflection.
//
// A type's kind and fields are looked up by name once and then kept, so that reading a field costs
// one indirect call. Nothing here knows a struct of TVM's: the same code reads every host.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory_resource>
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
  kKind,
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
  kRetType,
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
  std::string_view name;
  int32_t static_type = kTVMFFIAny;  // as declared; a number of these stands in JSON as it is
  bool is_compared = true;           // by the host's structural equality
  std::string_view schema;           // the declared type, as JSON
};

struct TypeInfo {
  NodeKind kind;
  std::string key;
  std::string_view short_key;  // without its namespace, which differs between hosts
  std::array<Field, static_cast<size_t>(FieldId::kCount)> known;
  std::vector<Field> children;    // the fields that hold what the node executes
  std::vector<Field> statements;  // those of them that hold statements
  std::vector<Field> fields;      // all, those of its ancestors first
  int32_t equality = 0;           // TVMFFISEqHashKind
  bool makes_json = false;        // its JSON is not its fields
};

// Type indices are small and dense; hosts have some 700.
constexpr int32_t kMaxTypes = 1 << 14;
extern std::array<std::atomic<const TypeInfo*>, kMaxTypes> known_types;

/*! Looks a type up, once. */
const TypeInfo& LearnType(int32_t type_index);

/*! Lives as long as the process. */
inline const TypeInfo& TypeOf(int32_t type_index) {
  const TypeInfo* known =
      type_index < kMaxTypes ? known_types[type_index].load(std::memory_order_acquire) : nullptr;
  return known != nullptr ? *known : LearnType(type_index);
}
inline const TypeInfo& TypeOf(View object) { return TypeOf(object.type_index()); }

inline std::string_view ShortKey(View node) { return TypeOf(node).short_key; }

inline NodeKind KindOf(View value) {
  return value.type_index() >= kTVMFFIDynObjectBegin ? TypeOf(value).kind : NodeKind::kLeaf;
}

/*! What a node holds in a field. */
View Read(View node, const Field& field);

/*! A field's value, which the node holds; none where the type has no such field. */
View TryGet(View node, FieldId field);

/*!
 * A field's value, which the node holds.
 * \throw tt::Error where the type has no such field: the host is not understood.
 */
View Get(View node, FieldId field);

std::string GetString(View node, FieldId field);

/*! The value of an integer constant, as a number or as an IntImm. */
std::optional<int64_t> ConstantOf(View expr);

/*! A dtype, either given as such or as a primitive type. */
std::string DtypeOf(View dtype_or_type);

/*!
 * Visits nodes in program order, parents first, on a stack of its own: a body may be as deep as
 * the host itself can build. The visitor decides with PushChildren whether to go on below a node.
 * Constants and other leaves are passed over. Nodes are held by what they are in, and the first one
 * by whoever walks.
 */
class Walker {
 public:
  explicit Walker(View root);
  /*!
   * A number that nodes inherit from the one that pushed them, such as a scope; 0 at the root. Set
   * it after Next and before pushing.
   */
  size_t context() const { return context_; }
  void set_context(size_t context) { context_ = context; }
  /*! The next node; false at the end. */
  bool Next(View* node);
  /*! Visits this node, or the elements of this array, next. */
  void Push(View node) {
    if (node.is_object()) PushObject(node.object());
  }
  void PushChildren(View node) { PushFields(node, TypeOf(node).children); }
  /*! Only the statements below a statement: a launch is never inside an expression. */
  void PushStatements(View node) { PushFields(node, TypeOf(node).statements); }

 private:
  void PushFields(View node, const std::vector<Field>& fields);
  void PushObject(TVMFFIObject* object) { stack_.emplace_back(object, context_); }

  size_t context_ = 0;
  // Most walks are short, and need no memory beyond this.
  using Entry = std::pair<TVMFFIObject*, size_t>;  // with its context
  std::array<Entry, 16> first_entries_;
  std::pmr::monotonic_buffer_resource memory_{first_entries_.data(), sizeof(first_entries_)};
  std::pmr::vector<Entry> stack_{&memory_};
};

}  // namespace tt::ir
