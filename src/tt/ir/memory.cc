#include "ir/memory.h"

#include <algorithm>

#include "core/error.h"

namespace tt::ir {
namespace {

// Calls whose result points into the memory that their arguments point into.
constexpr std::string_view kPointerCalls[] = {
    "tirx.buffer_data", "tirx.handle_add_byte_offset", "tirx.if_then_else",    "prim.if_then_else",
    "tirx.reinterpret", "tirx.tvm_access_ptr",         "tirx.type_annotation",
};

/*! The arguments of a call that must have more than `last` of them. */
std::span<const TVMFFIAny> ArgumentsUpTo(View args, size_t last) {
  const auto elements = Elements(args);
  if (elements.size() > last) return elements;
  throw Error(ErrorCode::kUnknownIR, "an access to memory has " + std::to_string(elements.size()) +
                                         " arguments; expected at least " +
                                         std::to_string(last + 1));
}

Access MaskOf(const TVMFFIAny& mask) {
  return static_cast<Access>(ConstantOf(View::Of(mask)).value_or(kReadWrite) & kReadWrite);
}

/*! The load that stands for a place in memory and reads nothing; none for any other call. */
View PlaceOf(const std::string& callee, View args) {
  if (callee != "tl.region" && callee != "tl.access_ptr" && callee != "tirx.address_of") return {};
  const View place = View::Of(ArgumentsUpTo(args, 0)[0]);
  return KindOf(place) == NodeKind::kBufferLoad ? place : Value();
}

/*! What is done to a place: an address may be used for anything. */
Access AccessOfPlace(const std::string& callee, View args) {
  constexpr size_t kRegionMask = 1;     // tl.region(load, mask, extent...)
  constexpr size_t kAccessPtrMask = 2;  // tl.access_ptr(load, extent, mask)
  if (callee == "tl.region") return MaskOf(ArgumentsUpTo(args, kRegionMask)[kRegionMask]);
  if (callee == "tl.access_ptr") return MaskOf(ArgumentsUpTo(args, kAccessPtrMask)[kAccessPtrMask]);
  return kReadWrite;
}

/*! Visits the expressions that describe a buffer. */
void PushDescription(View buffer, Walker* walker) {
  const Value description =
      KindOf(buffer) == NodeKind::kBuffer ? buffer : TryGet(buffer, FieldId::kTy);
  for (FieldId field : {FieldId::kShape, FieldId::kStrides, FieldId::kElemOffset}) {
    const View expr = TryGet(description, field);
    if (expr.is_object()) walker->Push(expr);
  }
}

}  // namespace

View BufferOf(View node) {
  Value buffer = TryGet(node, FieldId::kBuffer);
  return buffer.is_none() ? Get(node, FieldId::kSource) : buffer;
}

std::string CalleeOf(View call) {
  if (KindOf(call) != NodeKind::kCall) return "";
  return GetString(Get(call, FieldId::kOp), FieldId::kName);
}

MemoryMap::MemoryMap(const std::vector<Parameter>& parameters) {
  for (const Parameter& parameter : parameters) {
    if (parameter.memory.is_none()) continue;
    names_[parameter.memory.object()] = parameter.memory.object();
    names_[parameter.var.object()] = parameter.memory.object();
  }
}

bool MemoryMap::Follow(View stmt, Walker* walker) {
  switch (KindOf(stmt)) {
    case NodeKind::kAllocBuffer: Allocate(MemoryOf(Get(stmt, FieldId::kBuffer))); return true;
    case NodeKind::kDeclBuffer: {
      const View buffer = Get(stmt, FieldId::kBuffer);
      PushDescription(buffer, walker);
      const View data = TryGet(stmt, FieldId::kData);
      if (!data.is_none()) Alias(MemoryOf(buffer), PointeesOf(data, walker));
      return true;
    }
    case NodeKind::kSBlock: FollowBlock(stmt, walker); return true;
    case NodeKind::kBind: return FollowBinding(stmt, walker);
    default: return false;
  }
}

void MemoryMap::FollowBlock(View block, Walker* walker) {
  const View alloc_buffers = Get(block, FieldId::kAllocBuffers);
  for (const TVMFFIAny& buffer : Elements(alloc_buffers)) Allocate(MemoryOf(View::Of(buffer)));
  const View match_buffers = Get(block, FieldId::kMatchBuffers);
  for (const TVMFFIAny& element : Elements(match_buffers)) {
    const View match = View::Of(element);
    const View buffer = Get(match, FieldId::kBuffer);
    const View source = Get(match, FieldId::kSource);
    PushDescription(buffer, walker);
    walker->PushChildren(source);
    Alias(MemoryOf(buffer), Find(MemoryOf(BufferOf(source))));
  }
}

/*! A name for a pointer is an alias; any other binding is an expression. */
bool MemoryMap::FollowBinding(View bind, Walker* walker) {
  const View var = Get(bind, FieldId::kVar);
  const View dtype = TryGet(var, FieldId::kDtype);
  if (DtypeOf(dtype.is_none() ? TryGet(var, FieldId::kTy) : dtype) != "handle") return false;
  const Memories memories = PointeesOf(Get(bind, FieldId::kValue), walker);
  if (memories.empty()) return false;
  Alias(var, memories);
  const View body = TryGet(bind, FieldId::kBody);
  if (!body.is_none()) walker->Push(body);
  return true;
}

std::span<const Memory> MemoryMap::Find(View var) const {
  if (const auto name = names_.find(var.object()); name != names_.end()) return {&name->second, 1};
  if (choices_.empty()) return {};
  const auto choice = choices_.find(var.object());
  return choice == choices_.end() ? std::span<const Memory>() : choice->second;
}

void MemoryMap::Alias(View name, std::span<const Memory> memories) {
  if (memories.size() == 1) names_[name.object()] = memories.front();
  if (memories.size() > 1) choices_[name.object()] = {memories.begin(), memories.end()};
}

std::optional<MemoryRange> MemoryMap::RangeOf(View node, Walker* walker) const {
  if (KindOf(node) != NodeKind::kCall) return std::nullopt;
  const std::string callee = CalleeOf(node);
  const View args = Get(node, FieldId::kArgs);
  const View place = PlaceOf(callee, args);
  if (!place.is_none()) {
    for (const TVMFFIAny& arg : Elements(args).subspan(1)) walker->Push(View::Of(arg));
    walker->PushChildren(place);
    const View buffer = BufferOf(place);
    const auto memories = Find(MemoryOf(buffer));
    return MemoryRange{{memories.begin(), memories.end()}, buffer, AccessOfPlace(callee, args)};
  }
  if (callee != "tirx.tvm_access_ptr") return std::nullopt;
  // tirx.tvm_access_ptr(type, data, offset, extent, mask)
  const auto elements = ArgumentsUpTo(args, 4);
  walker->Push(View::Of(elements[2]));
  walker->Push(View::Of(elements[3]));
  return MemoryRange{PointeesOf(View::Of(elements[1]), walker), View(), MaskOf(elements[4])};
}

/*!
 * Everything that a pointer may point into; nothing where it cannot be told. What is computed on
 * the way is pushed. A number that is loaded from memory points nowhere that is known.
 */
Memories MemoryMap::PointeesOf(View pointer, Walker* walker) const {
  Memories memories;
  const auto add = [&](View var) {
    for (Memory memory : Find(var)) {
      if (std::ranges::find(memories, memory) == memories.end()) memories.push_back(memory);
    }
  };
  Walker parts(pointer);
  for (View node; parts.Next(&node);) {
    if (KindOf(node) == NodeKind::kBufferLoad) {
      walker->Push(node);
      continue;
    }
    if (KindOf(node) == NodeKind::kCall) {
      const std::string callee = CalleeOf(node);
      const View place = PlaceOf(callee, Get(node, FieldId::kArgs));
      if (!place.is_none()) {
        add(MemoryOf(BufferOf(place)));
        walker->PushChildren(place);
        continue;
      }
      if (std::ranges::find(kPointerCalls, callee) == std::end(kPointerCalls)) return {};
    }
    add(node);
    parts.PushChildren(node);
  }
  return memories;
}

}  // namespace tt::ir
