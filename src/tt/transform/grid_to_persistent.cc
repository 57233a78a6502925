// GridToPersistent: a kernel becomes what one core runs, a loop over the core's work tiles.
//
//   def main(A, C):                               def main(A, C, start_id, count, grid_x, grid_y):
//     bx = T.launch_thread("blockIdx.x", 6)  -->    for i in range(count):
//     by = T.launch_thread("blockIdx.y", 4)           tile_id = start_id + i
//     ...                                             bx = tile_id % 24 % 6
//                                                     by = tile_id % 24 // 6
//                                                     ...
//
// The parameters that are added are the arguments of tt_runtime_args_schema whose source is the
// schedule. Which cell a work tile is follows from tt_schedule_order; the loop of T.Persistent,
// whose waves are another way to share out the same cells, goes with the grid.
//
// Requires: the results of InferDefaultTTSchedule.
// Ensures:  no statement is left that launches over block indices; a core whose count is 0 touches
//           nothing; tt_core_program says which parameter is which argument; the variables of the
//           grid are the same objects, so that nothing that uses them changes.
// Rejects:  a schedule that is missing or stale, work and DRAM outside of the launches, cells that
//           end early, and cells that know their place by other means than the grid's variables.
#include "transform/grid_to_persistent.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/error.h"
#include "ir/diagnostic.h"
#include "ir/grid_statements.h"
#include "ir/launch.h"
#include "ir/memory.h"
#include "ir/node.h"
#include "ir/parameters.h"
#include "ir/rewrite.h"
#include "ir/size.h"
#include "plan/tile_order.h"
#include "transform/attributes.h"
#include "transform/infer_tt_schedule.h"
#include "transform/pass.h"

namespace tt::transform {
namespace {

using ir::FieldId;
using ir::Interned;
using ir::NodeKind;
using ir::Value;
using ir::View;

// Numbers of work tiles are computed in this dtype, which holds all that a schedule can have.
constexpr const char* kIdDtype = "int64";

namespace key {
constinit const Interned kCoreProgram{"tt_core_program"};
constinit const Interned kSchema{"tt_runtime_args_schema"}, kLaunches{"tt_launches"};
// What a host states about a launch that is no more.
constinit const Interned kGridX{"tl_grid_x"}, kGridY{"tl_grid_y"}, kGridZ{"tl_grid_z"};
constinit const Interned kThreadExtent{"thread_extent"}, kClusterDims{"cluster_dims"};
constinit const Interned kLaunchParams{"tirx.kernel_launch_params"};
}  // namespace key

/*! A runtime argument of a launch, which becomes a parameter. */
struct Argument {
  std::string name;
  Value var;
};

/*! Refuses what would happen once for every core, or be lost between the cores, without a launch. */
class OutsideChecker {
 public:
  OutsideChecker(View func, const std::vector<ir::Launch>& launches) : func_(func) {
    for (const ir::Launch& launch : launches) roots_.insert(launch.root.object());
  }

  void Check() {
    ir::Walker walker(ir::Get(func_, FieldId::kBody));
    for (View node; walker.Next(&node);) {
      if (roots_.contains(node.object()) || ir::NamesThread(node)) continue;
      CheckNode(node);
      walker.PushChildren(node);
    }
    if (!diagnostics_.empty()) ir::Refuse(func_, diagnostics_);
  }

 private:
  void CheckNode(View node) {
    switch (ir::KindOf(node)) {
      case NodeKind::kBufferLoad: return Report("a load from ", BufferOf(node), node);
      case NodeKind::kBufferStore: return Report("a store to ", BufferOf(node), node);
      case NodeKind::kTilePrimitive: return Report("a tile operation", "", node);
      case NodeKind::kAllocBuffer: return CheckMemory(ir::Get(node, FieldId::kBuffer), node);
      case NodeKind::kSBlock: return CheckBlock(node);
      case NodeKind::kCall:
        if (!IsPure(node)) Report("a call of ", ir::CalleeOf(node), node);
        return;
      default: return;
    }
  }

  static std::string BufferOf(View access) {
    View buffer = ir::TryGet(access, FieldId::kBuffer);
    if (buffer.is_none()) buffer = ir::TryGet(access, FieldId::kSource);
    return "`" + ir::GetString(buffer, FieldId::kName) + "`";
  }

  static bool IsPure(View call) {
    static constinit const ir::GlobalFunction get{"ir.OpGetAttr"};
    static constinit const Interned effect{"TCallEffectKind"};
    const View op = ir::TryGet(call, FieldId::kOp);
    if (ir::ShortKey(op) != "Op") return false;
    const Value& name = effect;
    // 0 annotates, 1 computes; whatever is above depends on state. Source: CallEffectKind of TVM.
    return get({op.raw(), name.raw()}).AsInt().value_or(2) <= 1;
  }

  void CheckBlock(View block) {
    const View buffers = ir::Get(block, FieldId::kAllocBuffers);
    for (const TVMFFIAny& buffer : ir::Elements(buffers)) CheckMemory(View::Of(buffer), block);
  }

  /*! On the chip nothing outlasts a grid cell; in DRAM one launch leaves it to the next. */
  void CheckMemory(View buffer, View stmt) {
    const std::string scope = ir::ScopeOf(buffer);
    if (!scope.empty() && scope != "global") return;
    diagnostics_.push_back({ErrorCode::kOutsideMemory,
                            "buffer `" + ir::GetString(buffer, FieldId::kName) +
                                "` is allocated in DRAM outside of the launches, where cores would "
                                "have one each; expected memory of a grid cell, or a parameter",
                            "pass the buffer as a parameter of its own", stmt, buffer});
  }

  void Report(const char* what, const std::string& name, View node) {
    diagnostics_.push_back({ErrorCode::kOutsideLaunch,
                            std::string(what) + name +
                                " stands outside of the launches, where every core would run it; "
                                "expected nothing there that touches memory or has an effect",
                            "move it into a launch, or into a function of its own", node, node});
  }

  View func_;
  std::unordered_set<const TVMFFIObject*> roots_;
  std::vector<ir::Diagnostic> diagnostics_;
};

/*! Refuses grid cells that cannot be turns of a loop. */
class CellChecker {
 public:
  CellChecker(View func, const ir::GridStatements& grid) : func_(func), grid_(grid) {}

  void Check(View root) {
    constexpr size_t kInLoop = 1;
    ir::Walker walker(root);
    for (View node; walker.Next(&node);) {
      const bool in_loop = walker.context() == kInLoop;
      const NodeKind kind = ir::KindOf(node);
      if (kind == NodeKind::kCall) CheckCall(node);
      if (ir::LeavesLoop(node) && !in_loop) {
        ReportExit(node, kind == NodeKind::kCall ? ir::CalleeOf(node) : "a jump");
      }
      const bool is_loop = kind == NodeKind::kFor || kind == NodeKind::kWhile;
      if (is_loop && !grid_.stmts.contains(node.object())) walker.set_context(kInLoop);
      walker.PushChildren(node);
    }
    if (!diagnostics_.empty()) ir::Refuse(func_, diagnostics_);
  }

 private:
  void CheckCall(View call) {
    const std::string callee = ir::CalleeOf(call);
    if (callee == "tirx.thread_return" || callee == "tirx.ret") ReportExit(call, callee);
    const View args = ir::TryGet(call, FieldId::kArgs);
    for (const TVMFFIAny& arg : ir::Elements(args)) {
      const std::string text = ir::GetString(View::Of(arg), FieldId::kValue);
      const bool names_cell =
          text.find("ctaid") != std::string::npos || text.find("clusterid") != std::string::npos;
      if (names_cell) ReportHardware(call, callee + " of " + text);
    }
  }

  void ReportExit(View node, const std::string& what) {
    diagnostics_.push_back({ErrorCode::kEarlyExit,
                            what + " ends a grid cell early, which would end the core's whole loop",
                            "put the rest of the cell into a condition", node, node});
  }

  void ReportHardware(View node, const std::string& what) {
    diagnostics_.push_back({ErrorCode::kHardwareIndex,
                            what + " asks the hardware which grid cell is running, and there is no "
                                   "launch that would tell",
                            "run this pass before the host lowers the launch", node, node});
  }

  View func_;
  const ir::GridStatements& grid_;
  std::vector<ir::Diagnostic> diagnostics_;
};

/*! The launch that becomes a loop over the work tiles of a core. */
class Loop {
 public:
  Loop(View func, const ir::Launch& launch, const plan::TileOrder& order, int64_t number,
       const std::vector<Argument>& arguments)
      : launch_(launch),
        order_(order),
        number_(number),
        arguments_(arguments),
        grid_(ir::FindGridStatements(func, launch)) {
    if (!launch.root.is_none()) CellChecker(func, grid_).Check(launch.root);
  }

  /*! The loop around what each cell executes. */
  Value Around(const Value& cell) const {
    const Value turn = ir::MakeVar("i", kIdDtype);
    std::vector<Value> stmts = Indices(turn);
    stmts.push_back(ir::RewriteStatements(cell, [this](View stmt) { return WithoutGrid(stmt); }));
    static constinit const Interned tt_launch{"tt_launch"};
    return ir::MakeNode("For", {{"loop_var", turn},
                                {"min", ir::MakeInt(kIdDtype, 0)},
                                {"extent", ArgumentOf("count")},
                                {"kind", int64_t{0}},  // serial
                                {"body", ir::MakeSequence(stmts)},
                                {"thread_binding", Value()},
                                {"annotations", ir::MakeMap({{tt_launch, number_}})},
                                {"step", Value()},
                                {"span", ir::TryGet(launch_.root, FieldId::kSpan)}});
  }

 private:
  std::optional<Value> WithoutGrid(View stmt) const {
    if (!grid_.stmts.contains(stmt.object())) return std::nullopt;
    View inner = ir::TryGet(stmt, FieldId::kBody);
    if (inner.is_none()) inner = ir::TryGet(stmt, FieldId::kThenCase);
    if (inner.is_none()) return Value();
    return ir::RewriteStatements(inner, [this](View below) { return WithoutGrid(below); });
  }

  /*! The grid's variables from the number of a turn; none where the launch has none. */
  std::vector<Value> Indices(const Value& turn) const {
    if (grid_.indices.empty()) return {};
    const Value tile_id = ir::MakeVar("tile_id", kIdDtype);
    std::vector<Value> binds = {Bind(tile_id, TileId(turn))};
    const plan::TileCoord<Int> cell =
        plan::CoordOfTile({Extent(launch_.grid.x, "grid_x"), Extent(launch_.grid.y, "grid_y"),
                           Extent(launch_.grid.z, "grid_z")},
                          order_, Int::Variable("tile_id"));
    for (const ir::GridIndex& index : grid_.indices) {
      const Int coordinate = index.axis == 0 ? cell.x : index.axis == 1 ? cell.y : cell.z;
      binds.push_back(Bind(index.var, Write(index.Of(coordinate), "tile_id", tile_id)));
    }
    return binds;
  }

  /*! A number is written as such; other extents come as arguments. */
  static Int Extent(const Int& extent, const char* argument) {
    return extent.is_constant() ? extent : Int::Variable(argument);
  }

  /*! The work tile of a turn: of a core with runs, those of the first come before the second's. */
  Value TileId(const Value& turn) const {
    const Int number = Int::Variable("turn");
    if (NumRuns() == 0) return Write(Int::Variable("start_id") + number, "turn", turn);
    return TileOfRun(1, number, turn);
  }

  Value TileOfRun(size_t run, const Int& number, const Value& turn) const {
    const std::string suffix = run == 1 ? "" : "_" + std::to_string(run);
    const auto part = [&](const char* name) { return Int::Variable(name + suffix); };
    // A run that the core has not may have no length, which must not be a division by 0.
    const Int length = Max(part("run_length"), 1);
    const Int first = run == 1 ? Int::Variable("start_id") : part("run_start");
    const Int tile =
        first + FloorDiv(number, length) * part("run_stride") + FloorMod(number, length);
    const Value here = Write(tile, "turn", turn);
    if (run == NumRuns()) return here;
    const Int in_run = part("run_length") * part("run_repeat");
    const Value is_here = ir::MakeExpr(
        "LT", "bool", {{"a", Write(number, "turn", turn)}, {"b", Write(in_run, "turn", turn)}});
    return ir::MakeExpr("Select", kIdDtype,
                        {{"condition", is_here},
                         {"true_value", here},
                         {"false_value", TileOfRun(run + 1, number - in_run, turn)}});
  }

  size_t NumRuns() const {
    return std::ranges::count_if(arguments_, [](const Argument& argument) {
      return argument.name.starts_with("run_length");
    });
  }

  /*! An expression over the arguments and one variable besides. */
  Value Write(const Int& number, std::string_view name, const Value& var) const {
    return ir::WriteInt(number, kIdDtype, [&](const std::string& variable) {
      return variable == name ? var : ArgumentOf(variable);
    });
  }

  Value ArgumentOf(std::string_view name) const {
    const auto found = std::ranges::find(arguments_, name, &Argument::name);
    if (found != arguments_.end()) return ir::MakeCast(kIdDtype, found->var);
    throw Error(ErrorCode::kInternal, "a launch has no argument " + std::string(name));
  }

  Value Bind(View var, const Value& value) const {
    return ir::MakeNode("Bind", {{"var", var},
                                 {"value", ir::MakeCast(ir::DtypeOfExpr(var), value)},
                                 {"span", ir::TryGet(launch_.root, FieldId::kSpan)}});
  }

  const ir::Launch& launch_;
  const plan::TileOrder& order_;
  int64_t number_;
  const std::vector<Argument>& arguments_;
  ir::GridStatements grid_;
};

/*! The function with its launches replaced by their loops. */
class Rewriter {
 public:
  Rewriter(const Value& func, const std::vector<ir::Launch>& launches)
      : func_(func), launches_(launches) {}

  Value Run() {
    if (!launches_.front().root.is_none()) OutsideChecker(func_, launches_).Check();
    const plan::TileOrder order = Inputs::Of(func_).TileOrder();
    AddArguments();
    for (size_t i = 0; i < launches_.size(); ++i) {
      loops_.emplace_back(func_, launches_[i], order, static_cast<int64_t>(i), arguments_[i]);
    }
    const Value out = ir::WithParametersAndBody(func_, parameters_, Body());
    const Keys stale = {&key::kGridX,        &key::kGridY,       &key::kGridZ,
                        &key::kThreadExtent, &key::kClusterDims, &key::kLaunchParams};
    return WithAttributes(WithoutAttributes(out, stale), {{key::kCoreProgram, CoreProgram()}});
  }

 private:
  /*! A parameter for each argument that the schedule gives a value, launch after launch. */
  void AddArguments() {
    std::set<std::string> names = NamesOfFunction();
    for (View schema : Schemas()) {
      std::vector<Argument>& arguments = arguments_.emplace_back();
      for (const TVMFFIAny& element : ir::Elements(schema)) {
        const View entry = View::Of(element);
        if (Text(entry, "source") != "schedule") continue;
        const std::string name = Text(entry, "name");
        const Value var = ir::MakeVar(Unused(name, &names), Text(entry, "dtype"));
        arguments.push_back({name, var});
        parameters_.push_back(var);
      }
    }
  }

  /*! Shape variables among them, as parameters of one name would be taken for one another. */
  std::set<std::string> NamesOfFunction() const {
    std::set<std::string> names;
    const std::vector<ir::Parameter> parameters = ir::Parameters(func_);
    for (const ir::Parameter& parameter : parameters) names.insert(ir::NameOf(parameter));
    for (const Value& variable : ir::ShapeVariables(parameters).All()) {
      names.insert(ir::GetString(variable, FieldId::kName));
    }
    return names;
  }

  static std::string Unused(const std::string& name, std::set<std::string>* names) {
    std::string out = name;
    for (int64_t suffix = 1; !names->insert(out).second; ++suffix) {
      out = name + "_" + std::to_string(suffix);
    }
    return out;
  }

  std::vector<View> Schemas() const {
    const View attrs = AttributesOf(func_);
    const View several = ir::MapGet(attrs, key::kLaunches);
    if (several.is_none()) return {ir::MapGet(attrs, key::kSchema)};
    std::vector<View> schemas;
    for (const TVMFFIAny& launch : ir::Elements(several)) {
      schemas.push_back(ir::MapGet(View::Of(launch), key::kSchema));
    }
    return schemas;
  }

  static std::string Text(View entry, const char* key) {
    const Value name(key);
    return ir::MapGet(entry, name).AsString().value_or("");
  }

  Value Body() const {
    const View body = ir::Get(func_, FieldId::kBody);
    if (launches_.front().root.is_none()) return loops_.front().Around(body);
    return ir::RewriteStatements(body, [this](View stmt) { return WithLoop(stmt); });
  }

  /*! The loop of a launch where the statement is one. */
  std::optional<Value> WithLoop(View stmt) const {
    if (const Loop* loop = LoopAt(stmt)) return loop->Around(stmt);
    const View sequence = ir::TryGet(stmt, FieldId::kSeq);
    return NamesThreadsOfLaunch(sequence) ? WithLoopAndThreads(sequence) : std::optional<Value>();
  }

  /*!
   * Whether a launch in a sequence is no more than TileLang's root block, as one on a single cell,
   * after statements that name its threads: these belong into its loop.
   */
  bool NamesThreadsOfLaunch(View sequence) const {
    bool follows_thread = false;
    for (const TVMFFIAny& element : ir::Elements(sequence)) {
      const View stmt = View::Of(element);
      if (follows_thread && LoopAt(stmt) != nullptr) return true;
      follows_thread = ir::NamesThread(stmt);
    }
    return false;
  }

  Value WithLoopAndThreads(View sequence) const {
    std::vector<Value> stmts, threads;
    for (const TVMFFIAny& element : ir::Elements(sequence)) {
      const View stmt = View::Of(element);
      if (ir::NamesThread(stmt)) {
        threads.emplace_back(stmt);
      } else if (const Loop* loop = LoopAt(stmt)) {
        threads.emplace_back(stmt);
        stmts.push_back(loop->Around(ir::MakeSequence(std::exchange(threads, {}))));
      } else {
        stmts.push_back(ir::RewriteStatements(stmt, [this](View at) { return WithLoop(at); }));
      }
    }
    stmts.insert(stmts.end(), threads.begin(), threads.end());
    return ir::MakeSequence(stmts);
  }

  /*! The loop of the launch that a statement is, or whose root block it realizes. */
  const Loop* LoopAt(View stmt) const {
    const View block = ir::TryGet(stmt, FieldId::kBlock);
    for (size_t i = 0; i < launches_.size(); ++i) {
      const TVMFFIObject* root = launches_[i].root.object();
      if (stmt.object() == root || (!block.is_none() && block.object() == root)) return &loops_[i];
    }
    return nullptr;
  }

  /*! [name, index of the parameter] of each argument of each launch. */
  Value CoreProgram() const {
    const View params = ir::Get(func_, FieldId::kParams);
    int64_t index = static_cast<int64_t>(ir::Elements(params).size());
    std::vector<Value> launches;
    for (const std::vector<Argument>& arguments : arguments_) {
      std::vector<Value> entries;
      for (const Argument& argument : arguments) {
        entries.push_back(ir::MakeArray(std::vector<Value>{argument.name, index++}));
      }
      launches.push_back(ir::MakeArray(entries));
    }
    return ir::MakeArray(launches);
  }

  const Value& func_;
  const std::vector<ir::Launch>& launches_;
  std::vector<Value> parameters_;
  std::vector<std::vector<Argument>> arguments_;  // of each launch
  std::vector<Loop> loops_;
};

/*! Whatever follows from the schedule would follow from a wrong one as well. */
void CheckSchedule(const Value& func) {
  const View attrs = AttributesOf(func);
  if (ir::MapGet(attrs, key::kSchema).is_none() && ir::MapGet(attrs, key::kLaunches).is_none()) {
    throw Error(ErrorCode::kMissingResult, "attribute tt_runtime_args_schema is missing");
  }
  if (InferSchedule(func).object() == func.object()) return;
  ir::Refuse(func, {{ErrorCode::kStaleResult,
                     "the schedule is not the one that the kernel and its inputs give",
                     "run tilelang.tt.infer_default_tt_schedule again", View(), View()}});
}

Value MakeCoreProgram(const Value& func) {
  if (ir::IsCoreProgram(func)) return func;
  const std::vector<ir::Launch> launches = ir::FindLaunches(func);
  if (launches.empty()) return func;
  CheckSchedule(func);
  return Rewriter(func, launches).Run();
}

}  // namespace

Value GridToPersistent() { return MakePass("tt.GridToPersistent", MakeCoreProgram); }

}  // namespace tt::transform
