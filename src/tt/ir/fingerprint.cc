#include "ir/fingerprint.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "ir/node.h"

namespace tt::ir {
namespace {

using Id = uint32_t;

// A number beyond 64 bits; tvm-ffi 0.1.12 does not have them.
constexpr int32_t kBigInt = 78;

/*!
 * A list of records, each of which differs from all before it. A record begins with a letter for
 * its form, and has the ids of the records that it is made of.
 */
class Records {
 public:
  void Begin(char form) {
    starts_.push_back(static_cast<uint32_t>(bytes_.size()));
    bytes_.push_back(form);
  }
  void Add(std::string_view bytes) { bytes_.append(bytes); }
  void Add(Id id) { Add(Bits(id)); }
  template <typename T>
  static std::string_view Bits(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof(value)};
  }
  /*! The record that was begun, or the one before it that is the same. */
  Id End() {
    const Id added = static_cast<Id>(starts_.size() - 1);
    const auto [found, is_new] = known_.insert(added);
    if (!is_new) {
      bytes_.resize(starts_.back());
      starts_.pop_back();
    }
    return *found;
  }
  Id Leaf(char form, std::string_view content) {
    Begin(form);
    Add(content);
    return End();
  }
  /*! Record by record with their lengths, so that none can be taken for another list's. */
  std::string Finish() {
    starts_.push_back(static_cast<uint32_t>(bytes_.size()));
    std::string lengths;
    for (size_t i = 1; i < starts_.size(); ++i) lengths += Bits(starts_[i] - starts_[i - 1]);
    return lengths + bytes_;
  }

 private:
  std::string_view Record(Id id) const {
    const size_t end = id + 1 < starts_.size() ? starts_[id + 1] : bytes_.size();
    return std::string_view(bytes_).substr(starts_[id], end - starts_[id]);
  }
  struct Hash {
    const Records* records;
    size_t operator()(Id id) const { return std::hash<std::string_view>()(records->Record(id)); }
  };
  struct Equal {
    const Records* records;
    bool operator()(Id a, Id b) const { return records->Record(a) == records->Record(b); }
  };

  std::string bytes_;
  std::vector<uint32_t> starts_;
  std::unordered_set<Id, Hash, Equal> known_{512, Hash{this}, Equal{this}};
};

bool IsIdentity(const TypeInfo& type) {
  return type.kind == NodeKind::kBuffer || type.equality == kTVMFFISEqHashKindFreeVar ||
         type.equality == kTVMFFISEqHashKindDAGNode;
}

/*! A walk on a stack of its own, children first. */
class Walk {
 public:
  /*! How deep it was. */
  size_t Run(View root) {
    Enter(root.raw());
    while (!tasks_.empty()) {
      const Task task = std::move(tasks_.back());
      tasks_.pop_back();
      if (task.children == kNotEntered) {
        Enter(task.value);
      } else {
        Leave(View::Of(task.value), task.children);
      }
    }
    return results_.back().depth;
  }
  std::string Finish() { return records_.Finish(); }

 private:
  struct Known {
    Id id;
    size_t depth;
  };
  static constexpr size_t kNotEntered = static_cast<size_t>(-1);
  struct Task {
    TVMFFIAny value;
    size_t children = kNotEntered;  // how many ids it takes
  };

  void Enter(const TVMFFIAny& any) {
    static constinit const GlobalFunction print{"ffi.ReprPrint"};
    const View value = View::Of(any);
    if (const auto text = value.AsString()) return Done(records_.Leaf('s', *text));
    if (!value.is_object()) return Done(LeafOf(any));
    const auto found = known_.find(value.object());
    if (found != known_.end()) return results_.push_back(found->second);
    switch (value.type_index()) {
      case kTVMFFIBytes: {
        const auto* bytes = TVMFFIBytesGetByteArrayPtr(value.object());
        return Done(records_.Leaf('b', {bytes->data, bytes->size}));
      }
      case kTVMFFIShape: {
        const auto* shape = TVMFFIShapeGetCellPtr(value.object());
        return Done(records_.Leaf(
            'h', {reinterpret_cast<const char*>(shape->data), shape->size * sizeof(int64_t)}));
      }
      case kBigInt: {
        const Value digits = print({any});
        return Done(records_.Leaf('g', digits.AsString().value_or("")));
      }
      case kTVMFFIArray: return EnterAll(any, Elements(value));
      case kTVMFFIMap: return EnterMap(any);
      default: return EnterNode(any);
    }
  }

  Id LeafOf(const TVMFFIAny& any) {
    const auto form = static_cast<char>(any.type_index);
    switch (any.type_index) {
      case kTVMFFINone: return records_.Leaf(form, "");
      case kTVMFFIBool:
      case kTVMFFIInt:
      case kTVMFFIFloat:  // by its bits: there are two zeros, and NaN differs from itself
        return records_.Leaf(form, Records::Bits(any.v_int64));
      case kTVMFFIDataType: return records_.Leaf(form, Records::Bits(any.v_dtype));
      case kTVMFFIDevice: return records_.Leaf(form, Records::Bits(any.v_device));
      case kTVMFFISmallBytes: return records_.Leaf('b', {any.v_bytes, any.small_str_len});
      default: throw Refusal(any.type_index);
    }
  }

  void EnterAll(const TVMFFIAny& parent, std::span<const TVMFFIAny> children) {
    tasks_.push_back({parent, children.size()});
    for (size_t i = children.size(); i-- > 0;) tasks_.push_back({children[i]});
  }

  void EnterMap(const TVMFFIAny& map) {
    Entries items = MapItems(View::Of(map));
    // Names in order; other keys in the map's own, which is that of their insertion.
    std::ranges::stable_sort(items, {},
                             [](const auto& item) { return item.first.AsString().value_or(""); });
    std::vector<TVMFFIAny> children;
    for (const auto& [key, value] : items) {
      children.push_back(key.raw());
      children.push_back(value.raw());
    }
    EnterAll(map, children);
  }

  void EnterNode(const TVMFFIAny& any) {
    const View node = View::Of(any);
    const TypeInfo& type = TypeOf(node);
    std::vector<TVMFFIAny> children;
    for (const Field& field : type.fields) {
      if (IsLeftOut(type, field)) continue;
      children.push_back(Read(node, field).raw());
    }
    if (children.empty() && type.equality == kTVMFFISEqHashKindUnsupported) {
      throw Refusal(any.type_index);
    }
    EnterAll(any, children);
  }

  static bool IsLeftOut(const TypeInfo& type, const Field& field) {
    if (field.name == "span") return true;
    // What is registered once for each name, such as an operator, is that name.
    return type.equality == kTVMFFISEqHashKindUniqueInstance && !field.is_compared;
  }

  void Leave(View object, size_t children) {
    const auto first = results_.end() - static_cast<std::ptrdiff_t>(children);
    const int32_t type_index = object.type_index();
    if (type_index == kTVMFFIArray) {
      records_.Begin('a');
    } else if (type_index == kTVMFFIMap) {
      records_.Begin('m');
    } else {
      const TypeInfo& type = TypeOf(object);
      const Id key = TypeKey(type);
      records_.Begin('o');
      records_.Add(key);
      if (IsIdentity(type)) records_.Add(++identities_);
    }
    size_t depth = 0;
    for (auto child = first; child != results_.end(); ++child) {
      records_.Add(child->id);
      depth = std::max(depth, child->depth);
    }
    const Known known{records_.End(), depth + 1};
    results_.erase(first, results_.end());
    known_.emplace(object.object(), known);
    results_.push_back(known);
  }

  Id TypeKey(const TypeInfo& type) {
    const auto [entry, is_new] = keys_.emplace(&type, 0);
    if (is_new) entry->second = records_.Leaf('t', type.key);
    return entry->second;
  }

  void Done(Id leaf) { results_.push_back({leaf, 1}); }

  static Error Refusal(int32_t type_index) {
    const std::string_view key = type_index >= kTVMFFIStaticObjectBegin
                                     ? std::string_view(TypeOf(type_index).key)
                                     : std::string_view("a pointer");
    return Error(ErrorCode::kNoContent,
                 "the kernel holds " + std::string(key) +
                     ", which has no content; expected numbers, texts, lists and maps");
  }

  Records records_;
  std::vector<Task> tasks_;
  std::vector<Known> results_;
  std::unordered_map<const TVMFFIObject*, Known> known_;
  std::unordered_map<const TypeInfo*, Id> keys_;
  Id identities_ = 0;
};

}  // namespace

std::string Fingerprint(View func) {
  Walk walk;
  walk.Run(func);
  return walk.Finish();
}

size_t Depth(View func) { return Walk().Run(func); }

}  // namespace tt::ir
