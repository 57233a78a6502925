// A bounded memory of values that are costly to build.
#pragma once

#include <map>
#include <mutex>

namespace tt::transform {

/*!
 * Remembers what `make` gave for a key. The values are immutable and shared between functions, and
 * modules repeat their grids and tensors. Safe from several threads; meant to be never destroyed,
 * as threads may still run passes while the process exits.
 */
template <typename Key, typename Made>
class Cache {
 public:
  template <typename Make>
  Made Get(const Key& key, Make make) {
    {
      const std::scoped_lock lock(mutex_);
      if (const auto found = made_.find(key); found != made_.end()) return found->second;
    }
    Made made = make();
    const std::scoped_lock lock(mutex_);
    if (made_.size() >= kCapacity) made_.clear();
    made_[key] = made;
    return made;
  }

 private:
  static constexpr size_t kCapacity = 4096;
  std::mutex mutex_;
  std::map<Key, Made> made_;
};

}  // namespace tt::transform
