// Where values go: from memory to memory.
#pragma once

#include <algorithm>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ir/memory.h"

namespace tt::ir {

/*! Values flow between memories and names; a cycle is a value that may come back to its own. */
class Flow {
 public:
  void Add(Memory source, Memory target) { edges_.emplace_back(source, target); }

  bool IsCyclic() {
    Sort();
    std::unordered_map<Memory, size_t> waiting_for;
    for (const auto& [source, target] : edges_) ++waiting_for[target];
    // Whatever depends on nothing is resolved, and then what depends on that alone; in a cycle
    // nothing ever is.
    Memories resolved;
    for (const auto& [source, target] : edges_) {
      if (!waiting_for.contains(source)) resolved.push_back(source);
    }
    resolved.erase(std::ranges::unique(resolved).begin(), resolved.end());
    while (!resolved.empty()) {
      const Memory source = resolved.back();
      resolved.pop_back();
      for (const auto& edge : EdgesFrom(source)) {
        if (--waiting_for[edge.second] > 0) continue;
        waiting_for.erase(edge.second);
        resolved.push_back(edge.second);
      }
    }
    return !waiting_for.empty();
  }

  /*! Whether a value may come from one memory into another, however long the way; also by none. */
  bool Reaches(Memory source, Memory target) {
    Sort();
    Memories found = {source};
    for (size_t i = 0; i < found.size(); ++i) {
      if (found[i] == target) return true;
      for (const auto& edge : EdgesFrom(found[i])) {
        if (std::ranges::find(found, edge.second) == found.end()) found.push_back(edge.second);
      }
    }
    return false;
  }

 private:
  using Edge = std::pair<Memory, Memory>;

  void Sort() {
    std::ranges::sort(edges_);
    edges_.erase(std::ranges::unique(edges_).begin(), edges_.end());
  }
  std::span<const Edge> EdgesFrom(Memory source) const {
    return std::ranges::equal_range(edges_, source, {}, &Edge::first);
  }

  std::vector<Edge> edges_;  // from source to target
};

}  // namespace tt::ir
