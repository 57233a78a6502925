// VerifyTTMetadata: nothing changes, and nothing that is wrong goes on.
//
//   T.func_attr({"tt_num_tiles": 100,           T.func_attr({"tt_num_tiles": 100,
//       "tt_tiles_per_core": [...], ...})  -->      "tt_tiles_per_core": [...], ...})
//   ...                                         ...
//
// Whether the results of a function are right is asked of inference itself, which gives the same
// again. Where it does not, the error says what the difference means.
//
// Requires: the results of InferDefaultTTSchedule and InferDefaultTTShard.
// Ensures:  every result is what inference gives; what the kernel needs on the chip is there.
// Rejects:  results that are stale, contradict each other, are missing, or belong to no kernel;
//           kernels that do not fit a core.
#include "transform/verify_tt_metadata.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/checked.h"
#include "core/int.h"
#include "ir/diagnostic.h"
#include "ir/launch.h"
#include "ir/node.h"
#include "ir/parameters.h"
#include "transform/attributes.h"
#include "transform/infer_tt_schedule.h"
#include "transform/infer_tt_shard.h"
#include "transform/pass.h"

namespace tt::transform {
namespace {

using ir::Value;

/*! A value as Python would write it, not too long. */
std::string Show(const Value& value);

template <typename Range, typename Item>
std::string ShowItems(const Range& range, const char* open, const char* close, Item item) {
  constexpr size_t kShown = 8;
  std::string out = open;
  size_t count = 0;
  for (const auto& element : range) {
    if (count > 0) out += ", ";
    if (count == kShown) return out + "..." + close;
    out += item(element);
    ++count;
  }
  return out + close;
}

std::string Show(const Value& value) {
  if (value.is_none()) return "None";
  if (value.type_index() == kTVMFFIBool) return *value.AsInt() != 0 ? "True" : "False";
  if (const auto number = ir::ConstantOf(value)) return std::to_string(*number);
  if (const auto text = value.AsString()) return '"' + *text + '"';
  if (value.type_index() == kTVMFFIArray) {
    return ShowItems(ir::Elements(value), "[", "]",
                     [](const TVMFFIAny& item) { return Show(ir::View::Of(item)); });
  }
  if (value.type_index() == kTVMFFIMap) {
    return ShowItems(ir::MapItems(value), "{", "}",
                     [](const auto& item) { return Show(item.first) + ": " + Show(item.second); });
  }
  return ir::TypeOf(value).key;
}

/*! The place of a value inside an attribute, and what stands there. */
struct Difference {
  std::string path;
  Value found;
  Value expected;
};

/*! The differences between two values, the innermost ones. */
void Compare(const std::string& path, const Value& found, const Value& expected,
             std::vector<Difference>* out) {
  if (Equal(found, expected)) return;
  const auto both = [&](int32_t type) {
    return found.type_index() == type && expected.type_index() == type;
  };
  const auto found_items = ir::Elements(found);
  const auto expected_items = ir::Elements(expected);
  if (both(kTVMFFIArray) && found_items.size() == expected_items.size()) {
    for (size_t i = 0; i < found_items.size(); ++i) {
      Compare(path + "[" + std::to_string(i) + "]", ir::View::Of(found_items[i]),
              ir::View::Of(expected_items[i]), out);
    }
  } else if (both(kTVMFFIMap)) {
    for (const auto& [key, value] : ir::MapItems(expected)) {
      Compare(path + "[" + Show(key) + "]", ir::MapGet(found, key), value, out);
    }
    for (const auto& [key, value] : ir::MapItems(found)) {
      if (!ir::MapGet(expected, key).is_none()) continue;
      out->push_back({path + "[" + Show(key) + "]", value, Value()});
    }
  } else {
    out->push_back({path, found, expected});
  }
}

constexpr const char* kHelp =
    "run infer_default_tt_schedule and infer_default_tt_shard again after the last change of the "
    "kernel or of its inputs; results are not set by hand";

class Verifier {
 public:
  explicit Verifier(const Value& func) : func_(func), attrs_(AttributesOf(func)) {}

  void Verify() {
    std::vector<ir::Warning> warnings;
    const Value inferred = InferShard(InferSchedule(func_), &warnings);
    VerifyCapacity(warnings);
    if (inferred.object() != func_.object()) VerifyResults(AttributesOf(inferred));
    if (!diagnostics_.empty()) ir::Refuse(func_, diagnostics_);
  }

 private:
  /*! \param key The attribute of which nothing more is to be said. */
  void Report(ErrorCode code, const std::string& key, const std::string& message) {
    reported_.push_back(key);
    diagnostics_.push_back({code, message, kHelp, {}, {}});
  }

  /*! What inference warns of, as the kernel may be meant for another device, ends here. */
  void VerifyCapacity(const std::vector<ir::Warning>& warnings) {
    for (const ir::Warning& warning : warnings) {
      if (ErrorKindOf(warning.code) != ErrorKind::kCapacityWarning) continue;
      diagnostics_.push_back({ErrorCode::kCapacity,
                              "does not fit a core: " + warning.message,
                              "plan it for a device with more memory, or make that change",
                              {},
                              {}});
    }
  }

  void VerifyResults(const Value& inferred) {
    VerifySchedules();
    VerifyPadding();
    for (const auto& keys : {ScheduleKeys(), ShardKeys()}) {
      for (const ir::Interned* key : keys) VerifyKey(key->text(), inferred);
    }
  }

  /*! What results contradict by themselves, whatever the kernel. */
  void VerifySchedules() {
    const Value launches = ir::MapGet(attrs_, "tt_launches");
    if (launches.is_none()) return VerifySchedule(attrs_, "");
    for (size_t i = 0; i < ir::Elements(launches).size(); ++i) {
      const Value launch = ir::View::Of(ir::Elements(launches)[i]);
      if (launch.type_index() != kTVMFFIMap) continue;  // what does not even look right is compared
      VerifySchedule(launch, "tt_launches[" + std::to_string(i) + "]");
    }
  }

  /*! \param launch Where the schedule stands, empty for the function's attributes themselves. */
  void VerifySchedule(const Value& schedule, const std::string& launch) {
    VerifyTiles(schedule, launch);
    VerifyCores(schedule, launch);
  }

  void ReportIn(const std::string& launch, ErrorCode code, const std::string& key,
                const std::string& problem) {
    const bool flat = launch.empty();
    Report(code, flat ? key : "tt_launches",
           "attribute " + (flat ? key : launch + "[\"" + key + "\"]") + problem);
  }

  /*! Every work tile on one core. Runs with strides between them are compared as a whole. */
  void VerifyTiles(const Value& schedule, const std::string& launch) {
    const auto num_tiles = ir::ConstantOf(ir::MapGet(schedule, "tt_num_tiles"));
    const auto ranges = Numbers(ir::MapGet(schedule, "tt_tiles_per_core"), 2);
    if (!num_tiles || !ranges || !ir::MapGet(schedule, "tt_tile_runs").is_none()) return;
    const auto report = [&](ErrorCode code, const std::string& problem) {
      ReportIn(launch, code, "tt_tiles_per_core", problem);
    };
    const auto report_missing = [&](int64_t begin, int64_t end) {
      report(ErrorCode::kTilesMissing, " gives work tiles " + std::to_string(begin) + " to " +
                                           std::to_string(end - 1) + " to no core");
    };
    std::vector<size_t> busy;
    for (size_t core = 0; core < ranges->size(); ++core) {
      if ((*ranges)[core][1] > 0) busy.push_back(core);
    }
    std::ranges::sort(busy, {}, [&](size_t core) { return (*ranges)[core][0]; });
    int64_t next = 0;
    for (size_t i = 0; i < busy.size(); ++i) {
      const int64_t start = (*ranges)[busy[i]][0];
      if (start > next) return report_missing(next, start);
      if (start < next) {
        return report(ErrorCode::kTilesOverlap,
                      " gives work tile " + std::to_string(start) + " to core " +
                          std::to_string(busy[i]) +
                          (i > 0 ? " and to core " + std::to_string(busy[i - 1]) : ""));
      }
      next = CheckedAdd(start, (*ranges)[busy[i]][1]);
    }
    if (next < *num_tiles) return report_missing(next, *num_tiles);
    if (next > *num_tiles) {
      report(ErrorCode::kTilesOutside, " ends before work tile " + std::to_string(next) +
                                           ", but the grid has " + std::to_string(*num_tiles));
    }
  }

  void VerifyCores(const Value& schedule, const std::string& launch) {
    const Value grid = ir::MapGet(schedule, "tt_core_grid");
    const auto ranges = Numbers(ir::MapGet(schedule, "tt_core_ranges"), 4);
    const auto extents = Numbers(ir::MakeArray(std::vector<Value>{grid}), 2);
    if (!ranges || !extents) return;
    for (const auto& range : *ranges) {
      if (range[2] < extents->front()[0] && range[3] < extents->front()[1]) continue;
      ReportIn(
          launch, ErrorCode::kRangeOutside, "tt_core_ranges",
          " has " + Show(ir::MakeArray(range)) + ", which leaves the worker grid " + Show(grid));
    }
  }

  void VerifyPadding() {
    const Value buffers = ir::MapGet(attrs_, "tt_buffers");
    for (size_t i = 0; i < ir::Elements(buffers).size(); ++i) {
      const Value entry = ir::View::Of(ir::Elements(buffers)[i]);
      if (entry.type_index() != kTVMFFIMap) continue;
      const Value shape = ir::MapGet(entry, "shape");
      const Value padded = ir::MapGet(entry, "tt_padded_shape");
      if (!padded.is_none() && IsSmaller(padded, shape)) {
        Report(ErrorCode::kPaddedShape, "tt_buffers",
               "attribute tt_buffers[" + std::to_string(i) + "][\"tt_padded_shape\"] is " +
                   Show(padded) + ", less than the shape " + Show(shape));
      }
    }
  }

  /*! Whether one of the last dimensions that both have is less. */
  static bool IsSmaller(const Value& padded, const Value& shape) {
    const auto a = ir::Elements(padded);
    const auto b = ir::Elements(shape);
    for (size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
      const auto left = ir::ConstantOf(ir::View::Of(a[a.size() - i]));
      const auto right = ir::ConstantOf(ir::View::Of(b[b.size() - i]));
      if (left && right && *left < *right) return true;
    }
    return false;
  }

  /*! Rows of that many numbers each; nothing for any other value. */
  static std::optional<std::vector<std::vector<int64_t>>> Numbers(const Value& rows, size_t width) {
    if (rows.type_index() != kTVMFFIArray) return std::nullopt;
    std::vector<std::vector<int64_t>> out;
    for (const TVMFFIAny& row : ir::Elements(rows)) {
      std::vector<int64_t>& numbers = out.emplace_back();
      const Value items = ir::View::Of(row);
      for (const TVMFFIAny& item : ir::Elements(items)) {
        if (const auto number = ir::ConstantOf(ir::View::Of(item))) numbers.push_back(*number);
      }
      if (numbers.size() != width || ir::Elements(items).size() != width) return std::nullopt;
    }
    return out;
  }

  void VerifyKey(const std::string& key, const Value& inferred) {
    if (std::ranges::find(reported_, key) != reported_.end()) return;
    const Value found = ir::MapGet(attrs_, key);
    const Value expected = ir::MapGet(inferred, key);
    if (found.is_none() && !expected.is_none()) {
      return Report(ErrorCode::kResultMissing, key, "attribute " + key + " is missing");
    }
    std::vector<Difference> differences;
    Compare(key, found, expected, &differences);
    if (!differences.empty()) Explain(key, differences.front(), differences.size() - 1);
  }

  /*! What a difference means, for those that mean more than that it is there. */
  void Explain(const std::string& key, const Difference& difference, size_t others) {
    const std::string more = others == 0 ? "" : " (and " + std::to_string(others) + " more)";
    const std::string where = "attribute " + difference.path;
    // Other texts, such as the name of a layout, would pass for a formula of one variable.
    const bool is_formula = GoneVariable(difference.expected).empty();
    if (const std::string gone = GoneVariable(difference.found); is_formula && !gone.empty()) {
      return Report(
          ErrorCode::kGoneVariable, key,
          where + " is " + Show(difference.found) + ", but the kernel has no size " + gone + more);
    }
    if (difference.expected.is_none() && !ir::IsKernel(func_)) {
      return Report(ErrorCode::kResultOfNoKernel, key,
                    where + " stands on a function without a launch grid");
    }
    if (difference.expected.is_none()) {
      return Report(ErrorCode::kStaleResult, key,
                    where + " is " + Show(difference.found) + ", but inference gives none" + more);
    }
    Report(ErrorCode::kStaleResult, key,
           where + " is " + Show(difference.found) +
               ", but the kernel, its inputs and the device give " + Show(difference.expected) +
               more);
  }

  /*! A variable of a formula that is no shape variable of the function; empty for none. */
  std::string GoneVariable(const Value& value) const {
    const auto text = value.AsString();
    if (!text) return "";
    try {
      for (const std::string& name : Int::Parse(*text).Variables()) {
        if (name != "core_id" && !HasSize(name)) return name;
      }
    } catch (const Error&) {
      // A text that is no formula; its difference says enough.
    }
    return "";
  }

  bool HasSize(const std::string& name) const {
    const auto parameters = ir::Parameters(func_);
    const std::vector<Value> variables = ir::ShapeVariables(parameters).All();
    return std::ranges::any_of(variables, [&](const Value& variable) {
      return ir::GetString(variable, ir::FieldId::kName) == name;
    });
  }

  const Value& func_;
  const Value attrs_;
  std::vector<std::string> reported_;  // keys of which nothing more is to be said
  std::vector<ir::Diagnostic> diagnostics_;
};

Value Verify(const Value& func) {
  if (!ir::IsCoreProgram(func)) Verifier(func).Verify();
  return func;
}

}  // namespace

Value VerifyTTMetadata() { return MakePass("tt.VerifyTTMetadata", Verify); }

}  // namespace tt::transform
