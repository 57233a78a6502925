#include "ir/access.h"

#include <array>

#include "ir/memory.h"
#include "ir/node.h"

namespace tt::ir {
namespace {

class AccessReader {
 public:
  explicit AccessReader(const std::vector<Parameter>& parameters)
      : parameters_(parameters), memory_(parameters) {
    result_.parameters.resize(parameters.size(), kNone);
  }

  KernelAccess Read(View body) {
    Walker walker(body);
    for (View node; walker.Next(&node);) Visit(node, &walker);
    return std::move(result_);
  }

 private:
  void Visit(View node, Walker* walker) {
    switch (KindOf(node)) {
      case NodeKind::kBufferLoad: Touch(BufferOf(node), kRead); break;
      case NodeKind::kBufferStore: Touch(BufferOf(node), kWrite); break;
      // Outside of what is known to read or to write it.
      case NodeKind::kBufferRegion: Touch(BufferOf(node), kReadWrite); break;
      // A pointer that escapes, or whatever else is no parameter's memory.
      case NodeKind::kVar: return TouchAll(memory_.Find(node), kReadWrite);
      case NodeKind::kCall: return VisitCall(node, walker);
      case NodeKind::kTilePrimitive: return VisitTilePrimitive(node, walker);
      default:
        if (memory_.Follow(node, walker) && KindOf(node) != NodeKind::kSBlock) return;
    }
    walker->PushChildren(node);
  }

  void VisitCall(View call, Walker* walker) {
    if (const auto range = memory_.RangeOf(call, walker)) return Touch(*range, range->access);
    const View args = Get(call, FieldId::kArgs);
    if (!UpdatesDestination(CalleeOf(call))) return walker->Push(args);
    for (const TVMFFIAny& element : Elements(args)) {
      const View arg = View::Of(element);
      const auto range = memory_.RangeOf(arg, walker);
      if (range) {
        Touch(*range, range->access & kWrite ? kReadWrite : range->access);
      } else {
        walker->Push(arg);
      }
    }
  }

  void VisitTilePrimitive(View call, Walker* walker) {
    const View args = Get(call, FieldId::kArgs);
    const auto elements = Elements(args);
    const TilePrimitive primitive(GetString(Get(call, FieldId::kOp), FieldId::kName), elements);
    for (size_t i = 0; i < elements.size(); ++i) {
      const View arg = View::Of(elements[i]);
      if (KindOf(arg) == NodeKind::kBufferRegion) {
        Touch(BufferOf(arg), primitive.AccessOf(i));
        walker->PushChildren(arg);
      } else {
        walker->Push(arg);
      }
    }
  }

  /*! Memory that no statement has declared is on the chip, or foreign. */
  void Touch(View buffer, Access access) {
    const View var = MemoryOf(buffer);
    const auto memories = memory_.Find(var);
    if (!memories.empty()) return TouchAll(memories, access);
    memory_.Allocate(var);
    if (ScopeOf(buffer) == "global") result_.foreign.push_back(buffer);
  }

  void Touch(const MemoryRange& range, Access access) {
    if (range.buffer.is_none()) return TouchAll(range.memories, access);
    Touch(range.buffer, access);
  }

  /*! Two parameters may share memory. */
  void TouchAll(std::span<const Memory> memories, Access access) {
    for (Memory memory : memories) {
      for (const Parameter& parameter : parameters_) {
        if (parameter.memory.object() != memory) continue;
        Access& known = result_.parameters[parameter.index];
        known = static_cast<Access>(known | access);
      }
    }
  }

  const std::vector<Parameter>& parameters_;
  MemoryMap memory_;
  KernelAccess result_;
};

}  // namespace

const char* ToString(Access access) {
  constexpr std::array<const char*, 4> kNames = {"none", "read", "write", "read_write"};
  return kNames[access];
}

KernelAccess AccessOf(View func, const std::vector<Parameter>& parameters) {
  return AccessReader(parameters).Read(Get(func, FieldId::kBody));
}

}  // namespace tt::ir
