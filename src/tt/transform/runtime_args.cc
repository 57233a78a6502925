#include "transform/runtime_args.h"

#include <algorithm>
#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "ir/contraction.h"
#include "ir/node.h"
#include "ir/reduction.h"
#include "transform/cache.h"

namespace tt::transform {
namespace {

using ir::Interned;
using ir::Value;

// Where the value of an argument comes from.
constexpr const char* kSchedule = "schedule";
constexpr const char* kKernel = "kernel";
constexpr const char* kParameter = "parameter";
constexpr const char* kBuffer = "buffer";
constexpr const char* kNone = "none";
constexpr const char* kUnresolved = "unresolved";

/*! One argument. What is not known of it is empty. */
struct Argument {
  std::string name;
  std::string dtype;
  std::string_view source;
  bool per_core = false;
  std::optional<Int> value = std::nullopt;
  std::string reason = "";  // why there is no value
  int64_t param_index = -1;

  friend auto operator<=>(const Argument&, const Argument&) = default;
};

/*! Runtime arguments are 32-bit words; a number that does not fit one takes two. */
const char* WordFor(const Int& largest) {
  return largest.constant().value_or(0) < int64_t{1} << 32 ? "uint32" : "uint64";
}

Argument Common(const char* name, const char* source, const Int& value) {
  return {name, WordFor(value), source, false, value};
}

Argument Unresolved(std::string reason) {
  return {"kt_tiles", WordFor(1), kUnresolved, false, std::nullopt, std::move(reason)};
}

std::string Describe(const std::vector<Int>& extents) {
  std::string out = std::to_string(extents.size()) + " products over ";
  for (size_t i = 0; i < extents.size(); ++i) {
    if (i > 0) out += i + 1 == extents.size() ? " and " : ", ";
    out += extents[i].ToString();
  }
  return out + " elements";
}

/*! Different extents may have the same number of tiles. */
std::vector<Int> TilesOf(const std::vector<Int>& extents, int64_t tile_width) {
  std::vector<Int> out;
  for (const Int& extent : extents) {
    const Int tiles = CeilDiv(extent, tile_width);
    if (std::ranges::find(out, tiles) == out.end()) out.push_back(tiles);
  }
  return out;
}

/*! kt_tiles, which is one number, and the numbers of the products where they are several. */
struct KtTiles {
  Argument total;
  std::vector<Argument> each;
};

KtTiles ReadKtTiles(const ir::Contractions& found, const Value& body,
                    const std::vector<ir::Parameter>& parameters, int64_t tile_width) {
  const std::vector<Int> tiles = TilesOf(found.extents, tile_width);
  if (tiles.empty() && !ir::MayReduce(body, parameters)) return {Common("kt_tiles", kNone, 1), {}};
  if (!found.problem.empty()) return {Unresolved(found.problem), {}};
  if (tiles.empty()) return {Unresolved("a reduction that is no product of matrices"), {}};
  if (tiles.size() == 1) return {Common("kt_tiles", kKernel, tiles.front()), {}};
  KtTiles out{Unresolved(Describe(found.extents)), {}};
  for (size_t i = 0; i < tiles.size(); ++i) {
    const std::string name = "kt_tiles_" + std::to_string(i + 1);
    out.each.push_back(Common(name.c_str(), kKernel, tiles[i]));
  }
  return out;
}

/*! Scalars in parameter order, and then the addresses of buffers, which banks of 4 GiB hold. */
void AddParameters(const std::vector<ir::Parameter>& parameters, std::vector<Argument>* out) {
  std::vector<Argument> addresses;
  for (const ir::Parameter& parameter : parameters) {
    const std::string name = NameOf(parameter);
    Argument argument;
    if (parameter.memory.is_none()) {
      out->push_back({name, ir::DtypeOfExpr(parameter.var), kParameter});
      out->back().param_index = parameter.index;
    } else {
      addresses.push_back({name + "_addr", WordFor(1), kBuffer});
      addresses.back().param_index = parameter.index;
    }
  }
  out->insert(out->end(), addresses.begin(), addresses.end());
}

/*! The runs of tt_tile_runs. The first starts at start_id; one that a core has not repeats 0 times. */
void AddRuns(const LaunchSize& launch, std::vector<Argument>* out) {
  const char* word = WordFor(launch.num_tiles);
  for (size_t run = 1; run <= launch.most_runs; ++run) {
    const std::string suffix = run == 1 ? "" : "_" + std::to_string(run);
    if (run > 1) out->push_back({"run_start" + suffix, word, kSchedule, true});
    for (const char* name : {"run_length", "run_stride", "run_repeat"}) {
      out->push_back({name + suffix, word, kSchedule, true});
    }
  }
}

void MakeNamesUnique(std::vector<Argument>* arguments) {
  const auto is_taken = [&](const std::string& name, const Argument* until) {
    return std::ranges::any_of(*arguments, [&](const Argument& argument) {
      return &argument < until && argument.name == name;
    });
  };
  for (Argument& argument : *arguments) {
    const std::string name = argument.name;
    for (int64_t suffix = 1; is_taken(argument.name, &argument); ++suffix) {
      argument.name = name + "_" + std::to_string(suffix);
    }
  }
}

Value NumberOrText(const Int& value) {
  const auto number = value.constant();
  return number ? Value(*number) : Value(value.ToString());
}

/*! What is a number already is baked into the program; the rest is set at every launch. */
Value Render(const Argument& argument) {
  static constinit const Interned name_key{"name"}, dtype_key{"dtype"}, scope_key{"scope"};
  static constinit const Interned source_key{"source"}, value_key{"value"}, bound_key{"bound"};
  static constinit const Interned reason_key{"reason"}, index_key{"param_index"};
  static constinit const Interned per_core{"per_core"}, common{"common"};
  static constinit const Interned compile_time{"compile_time"}, launch{"launch"};
  const bool is_baked = argument.value && argument.value->is_constant();
  ir::Entries entries = {{name_key, argument.name},
                         {dtype_key, argument.dtype},
                         {scope_key, argument.per_core ? per_core : common},
                         {source_key, argument.source},
                         {bound_key, is_baked ? compile_time : launch}};
  if (argument.value) entries.emplace_back(value_key, NumberOrText(*argument.value));
  if (!argument.reason.empty()) entries.emplace_back(reason_key, argument.reason);
  if (argument.param_index >= 0) entries.emplace_back(index_key, argument.param_index);
  return ir::MakeMap(entries);
}

/*! Remembered, as modules repeat single arguments, and kernels of one kind all of them. */
Value CachedRender(const LaunchSize& launch, std::vector<Argument> arguments) {
  // The grid differs most, and most comparisons end there.
  using Key = std::tuple<Int, Int, std::vector<Argument>>;
  static auto* single = new Cache<Argument, Value>;
  static auto* all = new Cache<Key, Value>;
  const Key key = {launch.grid_x, launch.grid_y, std::move(arguments)};
  return all->Get(key, [&] {
    std::vector<Value> out;
    for (const Argument& argument : std::get<2>(key)) {
      out.push_back(single->Get(argument, [&] { return Render(argument); }));
    }
    return ir::MakeArray(out);
  });
}

}  // namespace

Value RuntimeArgsSchema(const LaunchSize& launch, const Value& body,
                        const std::vector<ir::Parameter>& parameters, int64_t tile_width) {
  const ir::Contractions contractions = ir::FindContractions(body, parameters);
  KtTiles kt_tiles = ReadKtTiles(contractions, body, parameters, tile_width);
  std::vector<Argument> arguments = {
      {"start_id", WordFor(launch.num_tiles - 1), kSchedule, true},
      {"count", WordFor(launch.most_tiles), kSchedule, true},
      Common("grid_x", kSchedule, launch.grid_x),
      Common("grid_y", kSchedule, launch.grid_y),
      std::move(kt_tiles.total),
  };
  arguments.reserve(arguments.size() + parameters.size() + 4);  // mostly enough
  if (launch.grid_z != 1) arguments.push_back(Common("grid_z", kSchedule, launch.grid_z));
  AddRuns(launch, &arguments);
  arguments.insert(arguments.end(), kt_tiles.each.begin(), kt_tiles.each.end());
  for (const ir::SizedLoop& loop : contractions.loops) {
    arguments.push_back(Common((loop.name + "_trips").c_str(), kKernel, loop.trips));
  }
  AddParameters(parameters, &arguments);
  MakeNamesUnique(&arguments);
  return CachedRender(launch, std::move(arguments));
}

}  // namespace tt::transform
