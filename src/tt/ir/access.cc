#include "ir/access.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "ir/node.h"

namespace tt::ir {
namespace {

// TileLang's operations that move or fill data and never accumulate; of all others it is not known.
constexpr std::array<std::string_view, 6> kPlainTileOps = {
    "tl.tileop.copy",   "tl.tileop.fill", "tl.tileop.transpose",
    "tl.tileop.im2col", "tl.region",      "tl.launch_thread_idx",
};

// Calls that hand out a pointer or leave the language: whoever gets it may accumulate.
constexpr std::array<std::string_view, 4> kOpaqueCalls = {"tirx.address_of", "tirx.buffer_data",
                                                          "tirx.call_", "tirx.tvm_"};

// Tile operations whose destination mask says "write" although they read it first.
constexpr std::array<std::string_view, 2> kUpdatingOps = {"tl.tileop.atomic",
                                                          "tl.tileop.finalize_reducer"};

// Positions of buffer, mask and first extent in the calls that describe a range of memory.
constexpr size_t kRegionMask = 1;       // tl.region(load, mask, extent...)
constexpr size_t kAccessPtrMask = 2;    // tl.access_ptr(load, extent, mask)
constexpr size_t kTvmAccessPtrMask = 4; // tirx.tvm_access_ptr(type, data, offset, extent, mask)

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
    result_ = {std::vector<Access>(parameters.size(), kNone), false};
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

 private:
  void Visit(const Value& node, Walker* walker) {
    switch (KindOf(node)) {
      case NodeKind::kBufferLoad:
        Touch(MemoryOf(BufferOf(node)), kRead);
        return walker->PushChildren(node);
      case NodeKind::kBufferStore:
        VisitStore(node);
        return walker->PushChildren(node);
      case NodeKind::kBufferRegion:  // outside of what is known to read or to write it
        Touch(MemoryOf(BufferOf(node)), kReadWrite);
        return walker->PushChildren(node);
      case NodeKind::kVar:  // a pointer, or whatever else is no parameter's memory
        return Touch(node, kReadWrite);
      case NodeKind::kCall:
        return VisitCall(node, walker);
      case NodeKind::kTilePrimitive:
        result_.may_reduce = true;
        return walker->PushChildren(node);
      case NodeKind::kBind:
        return VisitBind(node, walker);
      case NodeKind::kDeclBuffer:
        if (const Value data = TryGet(node, FieldId::kData); !data.is_none()) {
          Alias(Get(node, FieldId::kBuffer), data);
        }
        return;
      case NodeKind::kSBlock:
        VisitBlock(node);
        return walker->PushChildren(node);
      default:
        return walker->PushChildren(node);
    }
  }

  void VisitStore(const Value& store) {
    const Value memory = MemoryOf(BufferOf(store));
    Touch(memory, kWrite);
    if (!result_.may_reduce) result_.may_reduce = Loads(Get(store, FieldId::kValue), memory);
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
    const auto elements = Elements(args);
    NoteReduction(name);
    if (name == "tl.region") return VisitRange(args, kRegionMask, walker);
    if (name == "tl.access_ptr") return VisitRange(args, kAccessPtrMask, walker);
    if (name == "tirx.tvm_access_ptr") return VisitTvmAccessPtr(args, walker);
    if (name == "tirx.address_of") return VisitAddress(args, walker);
    if (std::ranges::any_of(kUpdatingOps, [&](auto op) { return name.starts_with(op); })) {
      for (const TVMFFIAny& arg : elements) TouchUpdated(Value::CopyOf(arg));
    }
    walker->Push(args);
  }

  /*! A range that starts at a load: the load itself reads nothing, its indices may. */
  void VisitRange(const Value& args, size_t mask, Walker* walker) {
    const auto elements = Elements(args);
    const Value start = Value::CopyOf(elements[0]);
    Touch(MemoryOf(BufferOf(start)), MaskOf(Value::CopyOf(elements[mask])));
    walker->PushChildren(start);
    for (size_t i = 1; i < elements.size(); ++i) walker->Push(Value::CopyOf(elements[i]));
  }

  void VisitTvmAccessPtr(const Value& args, Walker* walker) {
    const auto elements = Elements(args);
    const auto owner = OwnerOf(Value::CopyOf(elements[1]));
    if (owner) Touch(*owner, MaskOf(Value::CopyOf(elements[kTvmAccessPtrMask])));
    walker->Push(Value::CopyOf(elements[2]));
    walker->Push(Value::CopyOf(elements[3]));
  }

  void VisitAddress(const Value& args, Walker* walker) {
    const Value place = Value::CopyOf(Elements(args)[0]);
    if (KindOf(place) == NodeKind::kBufferLoad) Touch(MemoryOf(BufferOf(place)), kReadWrite);
    walker->PushChildren(place);
  }

  void TouchUpdated(const Value& arg) {
    if (KindOf(arg) != NodeKind::kCall) return;
    if (GetString(Get(arg, FieldId::kOp), FieldId::kName) != "tl.region") return;
    const Value args = Get(arg, FieldId::kArgs);
    const auto elements = Elements(args);
    if (MaskOf(Value::CopyOf(elements[kRegionMask])) & kWrite) {
      Touch(MemoryOf(BufferOf(Value::CopyOf(elements[0]))), kReadWrite);
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
      result_.may_reduce |= type == kCommReduce;
    }
    const Value match_buffers = Get(block, FieldId::kMatchBuffers);
    for (const TVMFFIAny& match : Elements(match_buffers)) {
      const Value region = Value::CopyOf(match);
      Alias(MemoryOf(Get(region, FieldId::kBuffer)), BufferOf(Get(region, FieldId::kSource)));
    }
  }

  /*! Whether `expr` points into a parameter's memory; from then on so does `name`. */
  bool Alias(const Value& name, const Value& expr) {
    const auto owner = OwnerOf(expr);
    if (owner) owners_[name.object()] = *owner;
    return owner.has_value();
  }

  /*! The parameter whose memory an expression points into. */
  std::optional<int64_t> OwnerOf(const Value& expr) const {
    Walker walker(expr);
    for (Value node; walker.Next(&node);) {
      const bool load = KindOf(node) == NodeKind::kBufferLoad;
      const Value memory = MemoryOf(load ? BufferOf(node) : node);
      if (const auto found = owners_.find(memory.object()); found != owners_.end()) return found->second;
      walker.PushChildren(node);
    }
    return std::nullopt;
  }

  void NoteReduction(const std::string& name) {
    const auto starts = [&](std::string_view prefix) { return name.starts_with(prefix); };
    const bool plain = std::ranges::find(kPlainTileOps, name) != kPlainTileOps.end();
    result_.may_reduce |= (starts("tl.") && !plain) || std::ranges::any_of(kOpaqueCalls, starts);
  }

  void Touch(const Value& memory, Access access) {
    const auto found = owners_.find(memory.object());
    if (found != owners_.end()) Touch(found->second, access);
  }

  void Touch(int64_t parameter, Access access) {
    Access& known = result_.parameters[parameter];
    known = static_cast<Access>(known | access);
  }

  std::unordered_map<const TVMFFIObject*, int64_t> owners_;
  KernelAccess result_;
};

}  // namespace

const char* ToString(Access access) {
  constexpr std::array<const char*, 4> kNames = {"none", "read", "write", "read_write"};
  return kNames[access];
}

KernelAccess AccessOf(const Value& func, const std::vector<Parameter>& parameters) {
  return AccessReader(parameters).Read(Get(func, FieldId::kBody));
}

}  // namespace tt::ir
