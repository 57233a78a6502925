#include "ir/access.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/error.h"
#include "ir/node.h"

namespace tt::ir {
namespace {

// Positions of buffer, mask and first extent in the calls that describe a range of memory.
constexpr size_t kRegionMask = 1;        // tl.region(load, mask, extent...)
constexpr size_t kAccessPtrMask = 2;     // tl.access_ptr(load, extent, mask)
constexpr size_t kTvmAccessPtrMask = 4;  // tirx.tvm_access_ptr(type, data, offset, extent, mask)

constexpr int64_t kOwnedByKernel = -1;

Value BufferOf(const Value& node) {
  Value buffer = TryGet(node, FieldId::kBuffer);
  return buffer.is_none() ? Get(node, FieldId::kSource) : buffer;
}

Access MaskOf(const Value& mask) {
  return static_cast<Access>(ConstantOf(mask).value_or(kReadWrite) & kReadWrite);
}

class AccessReader {
 public:
  explicit AccessReader(const std::vector<Parameter>& parameters) {
    result_.parameters.resize(parameters.size(), kNone);
    for (const Parameter& parameter : parameters) {
      if (parameter.memory.is_none()) continue;
      owners_[parameter.memory.object()] = parameter.index;
      owners_[parameter.var.object()] = parameter.index;
    }
  }

  KernelAccess Read(const Value& body) {
    Walker walker(body);
    for (Value node; walker.Next(&node);) Visit(node, &walker);
    return std::move(result_);
  }

  bool FindReduction(const Value& body) {
    Walker walker(body);
    for (Value node; !may_reduce_ && walker.Next(&node);) Visit(node, &walker);
    return may_reduce_;
  }

 private:
  void Visit(const Value& node, Walker* walker) {
    switch (KindOf(node)) {
      case NodeKind::kBufferLoad:
        TouchBuffer(BufferOf(node), kRead);
        return walker->PushChildren(node);
      case NodeKind::kBufferStore: VisitStore(node); return walker->PushChildren(node);
      case NodeKind::kBufferRegion:  // outside of what is known to read or to write it
        TouchBuffer(BufferOf(node), kReadWrite);
        return walker->PushChildren(node);
      case NodeKind::kVar:  // a pointer, or whatever else is no parameter's memory
        return TouchPointer(node);
      case NodeKind::kCall: return VisitCall(node, walker);
      case NodeKind::kTilePrimitive: return VisitTilePrimitive(node, walker);
      case NodeKind::kBind: return VisitBind(node, walker);
      case NodeKind::kDeclBuffer:
        if (const Value data = TryGet(node, FieldId::kData); !data.is_none()) {
          Alias(Get(node, FieldId::kBuffer), data);
        }
        return;
      case NodeKind::kAllocBuffer: return Allocate(Get(node, FieldId::kBuffer));
      case NodeKind::kSBlock: VisitBlock(node); return walker->PushChildren(node);
      default: return walker->PushChildren(node);
    }
  }

  void VisitStore(const Value& store) {
    const Value buffer = BufferOf(store);
    TouchBuffer(buffer, kWrite);
    if (!may_reduce_) may_reduce_ = Loads(Get(store, FieldId::kValue), MemoryOf(buffer));
  }

  /*! Whether an expression loads from this memory. */
  static bool Loads(const Value& expr, const Value& memory) {
    Walker walker(expr);
    for (Value node; walker.Next(&node);) {
      const bool load = KindOf(node) == NodeKind::kBufferLoad;
      if (load && MemoryOf(BufferOf(node)).object() == memory.object()) return true;
      walker.PushChildren(node);
    }
    return false;
  }

  void VisitCall(const Value& call, Walker* walker) {
    const Value op = Get(call, FieldId::kOp);
    const std::string name = GetString(op, FieldId::kName);
    const Value args = Get(call, FieldId::kArgs);
    may_reduce_ |= MayAccumulate(name);
    if (name == "tl.region") return VisitRange(args, kRegionMask, walker);
    if (name == "tl.access_ptr") return VisitRange(args, kAccessPtrMask, walker);
    if (name == "tirx.tvm_access_ptr") return VisitTvmAccessPtr(args, walker);
    if (name == "tirx.address_of") return VisitAddress(args, walker);
    if (UpdatesDestination(name)) {
      for (const TVMFFIAny& arg : Elements(args)) TouchUpdated(Value::CopyOf(arg));
    }
    walker->Push(args);
  }

  /*! The arguments of a call whose mask stands at that position. */
  static std::span<const TVMFFIAny> ElementsUpTo(const Value& args, size_t mask) {
    const auto elements = Elements(args);
    if (elements.size() > mask) return elements;
    throw Error(ErrorKind::kHost, "an access to memory has " + std::to_string(elements.size()) +
                                      " arguments; expected at least " + std::to_string(mask + 1));
  }

  void VisitTilePrimitive(const Value& call, Walker* walker) {
    const Value args = Get(call, FieldId::kArgs);
    const auto elements = Elements(args);
    const TilePrimitive primitive(GetString(Get(call, FieldId::kOp), FieldId::kName), elements);
    may_reduce_ |= primitive.accumulates();
    for (size_t i = elements.size(); i-- > 0;) {
      const Value arg = Value::CopyOf(elements[i]);
      if (KindOf(arg) == NodeKind::kBufferRegion) {
        TouchBuffer(BufferOf(arg), primitive.AccessOf(i));
        walker->PushChildren(arg);
      } else {
        walker->Push(arg);
      }
    }
  }

  /*! A range that starts at a load: the load itself reads nothing, its indices may. */
  void VisitRange(const Value& args, size_t mask, Walker* walker) {
    const auto elements = ElementsUpTo(args, mask);
    const Value start = Value::CopyOf(elements[0]);
    TouchBuffer(BufferOf(start), MaskOf(Value::CopyOf(elements[mask])));
    walker->PushChildren(start);
    for (size_t i = 1; i < elements.size(); ++i) walker->Push(Value::CopyOf(elements[i]));
  }

  void VisitTvmAccessPtr(const Value& args, Walker* walker) {
    const auto elements = ElementsUpTo(args, kTvmAccessPtrMask);
    const auto owner = OwnerOf(Value::CopyOf(elements[1]));
    if (owner) Touch(*owner, MaskOf(Value::CopyOf(elements[kTvmAccessPtrMask])));
    walker->Push(Value::CopyOf(elements[2]));
    walker->Push(Value::CopyOf(elements[3]));
  }

  void VisitAddress(const Value& args, Walker* walker) {
    const Value place = Value::CopyOf(ElementsUpTo(args, 0)[0]);
    if (KindOf(place) == NodeKind::kBufferLoad) TouchBuffer(BufferOf(place), kReadWrite);
    walker->PushChildren(place);
  }

  void TouchUpdated(const Value& arg) {
    if (KindOf(arg) != NodeKind::kCall) return;
    if (GetString(Get(arg, FieldId::kOp), FieldId::kName) != "tl.region") return;
    const Value args = Get(arg, FieldId::kArgs);
    const auto elements = ElementsUpTo(args, kRegionMask);
    if (MaskOf(Value::CopyOf(elements[kRegionMask])) & kWrite) {
      TouchBuffer(BufferOf(Value::CopyOf(elements[0])), kReadWrite);
    }
  }

  /*! A name for a pointer into a parameter is an alias; any other binding is an expression. */
  void VisitBind(const Value& bind, Walker* walker) {
    const Value var = Get(bind, FieldId::kVar);
    const Value value = Get(bind, FieldId::kValue);
    const Value dtype = TryGet(var, FieldId::kDtype);
    const bool pointer = DtypeOf(dtype.is_none() ? TryGet(var, FieldId::kTy) : dtype) == "handle";
    if (!pointer || !Alias(var, value)) walker->PushChildren(bind);
  }

  void VisitBlock(const Value& block) {
    const Value iter_vars = Get(block, FieldId::kIterVars);
    for (const TVMFFIAny& iter_var : Elements(iter_vars)) {
      constexpr int64_t kCommReduce = 2;  // IterVarType of every TVM
      const auto type = Get(Value::CopyOf(iter_var), FieldId::kIterType).AsInt();
      may_reduce_ |= type == kCommReduce;
    }
    const Value alloc_buffers = Get(block, FieldId::kAllocBuffers);
    for (const TVMFFIAny& buffer : Elements(alloc_buffers)) Allocate(Value::CopyOf(buffer));
    const Value match_buffers = Get(block, FieldId::kMatchBuffers);
    for (const TVMFFIAny& match : Elements(match_buffers)) {
      const Value region = Value::CopyOf(match);
      Alias(MemoryOf(Get(region, FieldId::kBuffer)), BufferOf(Get(region, FieldId::kSource)));
    }
  }

  /*! Whether `expr` points into memory that is known; from then on so does `name`. */
  bool Alias(const Value& name, const Value& expr) {
    const auto owner = OwnerOf(expr);
    if (owner) owners_[name.object()] = *owner;
    return owner.has_value();
  }

  /*! The parameter, or kOwnedByKernel, whose memory this variable stands for. */
  std::optional<int64_t> Find(const Value& memory) const {
    const auto found = owners_.find(memory.object());
    return found == owners_.end() ? std::nullopt : std::optional(found->second);
  }

  /*! The same for an expression that points into memory. A number that is loaded points nowhere. */
  std::optional<int64_t> OwnerOf(const Value& expr) const {
    Walker walker(expr);
    for (Value node; walker.Next(&node);) {
      if (KindOf(node) == NodeKind::kBufferLoad) continue;
      const Value place = AddressedPlace(node);
      if (const auto owner = Find(MemoryOf(place.is_none() ? node : BufferOf(place)))) return owner;
      if (place.is_none()) walker.PushChildren(node);
    }
    return std::nullopt;
  }

  /*! The load whose address a call takes; none for any other node. */
  static Value AddressedPlace(const Value& node) {
    if (KindOf(node) != NodeKind::kCall) return {};
    const std::string name = GetString(Get(node, FieldId::kOp), FieldId::kName);
    if (name != "tirx.address_of" && name != "tl.access_ptr") return {};
    const Value args = Get(node, FieldId::kArgs);
    const Value place = Value::CopyOf(ElementsUpTo(args, 0)[0]);
    return KindOf(place) == NodeKind::kBufferLoad ? place : Value();
  }

  /*! An access through a buffer; memory that nobody has declared is on the chip, or foreign. */
  void TouchBuffer(const Value& buffer, Access access) {
    const Value memory = MemoryOf(buffer);
    if (const auto owner = Find(memory)) return Touch(*owner, access);
    owners_[memory.object()] = kOwnedByKernel;
    if (ScopeOf(buffer) == "global") result_.foreign.push_back(buffer);
  }

  /*! A pointer that escapes. */
  void TouchPointer(const Value& var) {
    if (const auto owner = Find(var)) Touch(*owner, kReadWrite);
  }

  void Touch(int64_t owner, Access access) {
    if (owner == kOwnedByKernel) return;
    Access& known = result_.parameters[owner];
    known = static_cast<Access>(known | access);
  }

  void Allocate(const Value& buffer) { owners_[MemoryOf(buffer).object()] = kOwnedByKernel; }

  // Whose memory a variable stands for.
  std::unordered_map<const TVMFFIObject*, int64_t> owners_;
  KernelAccess result_;
  bool may_reduce_ = false;
};

}  // namespace

const char* ToString(Access access) {
  constexpr std::array<const char*, 4> kNames = {"none", "read", "write", "read_write"};
  return kNames[access];
}

KernelAccess AccessOf(const Value& func, const std::vector<Parameter>& parameters) {
  return AccessReader(parameters).Read(Get(func, FieldId::kBody));
}

bool MayReduce(const Value& func) {
  return AccessReader(/*parameters=*/{}).FindReduction(Get(func, FieldId::kBody));
}

}  // namespace tt::ir
