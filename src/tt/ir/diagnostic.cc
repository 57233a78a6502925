#include "ir/diagnostic.h"

#include <algorithm>
#include <span>
#include <sstream>

#include "ir/node.h"

namespace tt::ir {
namespace {

// The host's printer recurses; a body deeper than this is not handed to it.
constexpr int kMaxPrintedDepth = 200;
constexpr ptrdiff_t kContextLines = 2;
constexpr size_t kMaxLines = 8;
constexpr size_t kMaxColumns = 110;
constexpr size_t kMaxDiagnostics = 10;

using Lines = std::vector<std::string>;

Lines SplitLines(const std::string& text) {
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool IsUnderline(const std::string& line) {
  const size_t first = line.find_first_not_of(' ');
  return first != std::string::npos && line.find_first_not_of('^', first) == std::string::npos;
}

/*! The function as the host prints it, carets below whatever is to be underlined. */
Lines PrintScript(View func, View underlined) {
  static constinit const GlobalFunction make_config{"node.PrinterConfig"};
  static constinit const GlobalFunction print{"node.TVMScriptPrinterScript"};
  Entries options = {{"extra_config", MakeMap({{"tirx.prefix", "T"}})}};
  if (underlined.type_index() >= kTVMFFIDynObjectBegin) {
    options.emplace_back("obj_to_underline", MakeArray(std::vector<Value>{underlined}));
  }
  const Value config = make_config({MakeMap(options).raw()});
  Lines lines = SplitLines(*print({func.raw(), config.raw()}).AsString());
  const auto is_decorator = [](const std::string& line) { return line.starts_with("@"); };
  lines.erase(lines.begin(), std::ranges::find_if(lines, is_decorator));
  // The package's own attributes are long and not what a person looks for.
  std::erase_if(lines,
                [](const std::string& line) { return line.find("\"tt_") != std::string::npos; });
  return lines;
}

/*! The start of a line, in whole characters of UTF-8. */
std::string Shorten(const std::string& line) {
  size_t end = kMaxColumns;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
  return line.substr(0, end) + "...";
}

/*! The first underlined line with some context, or the head of a script that has none. */
Lines SelectLines(const Lines& lines) {
  const auto found = std::ranges::find_if(lines, IsUnderline);
  Lines out;
  if (found == lines.end()) {
    out.assign(lines.begin(), lines.begin() + std::min(lines.size(), kMaxLines));
  } else {
    const auto first = found - std::min<ptrdiff_t>(found - lines.begin(), 1 + kContextLines);
    std::copy(first, found + 1, std::back_inserter(out));
    const auto is_script = [](const std::string& line) { return !IsUnderline(line); };
    const auto after = std::find_if(found + 1, lines.end(), is_script);
    std::copy_if(after, after + std::min<ptrdiff_t>(lines.end() - after, kContextLines),
                 std::back_inserter(out), is_script);
  }
  for (std::string& line : out) {
    if (line.size() > kMaxColumns) line = Shorten(line);
  }
  return out;
}

std::string Excerpt(View func, View underlined) {
  if (!IsPrintable(func)) return "    (the function is nested too deeply to be printed)\n";
  std::string out;
  try {
    for (const std::string& line : SelectLines(PrintScript(func, underlined)))
      out += "    " + line + "\n";
  } catch (const HostException&) {
    // What the host cannot print must not hide what is wrong.
    return "    (the host cannot print this function)\n";
  }
  return out;
}

std::optional<SourcePlace> PlaceOf(View node) {
  View span = TryGet(node, FieldId::kSpan);
  const View spans = TryGet(span, FieldId::kSpans);
  if (!Elements(spans).empty()) span = View::Of(Elements(spans).front());
  if (span.is_none()) return std::nullopt;
  const std::string file = GetString(Get(span, FieldId::kSourceName), FieldId::kName);
  const int64_t line = Get(span, FieldId::kLine).AsInt().value_or(0);
  const int64_t column = Get(span, FieldId::kColumn).AsInt().value_or(0);
  if (line <= 0) return std::nullopt;
  // Hosts that only know lines write 0 or 1 for the column.
  return SourcePlace{file, line, column > 1 ? column : 0};
}

/*! "file:line" or "file:line:column". */
std::string ToString(const SourcePlace& place) {
  const std::string column = place.column > 0 ? ":" + std::to_string(place.column) : "";
  return place.file + ":" + std::to_string(place.line) + column;
}

std::string HelpOf(const Diagnostic& diagnostic) {
  if (!diagnostic.help.empty()) return diagnostic.help;
  return "tilelang.tt.explain(\"" + ToString(diagnostic.code) + "\") says what to do";
}

}  // namespace

std::string FunctionName(View func) {
  const View attrs = TryGet(func, FieldId::kAttrs);
  const auto name = MapGet(TryGet(attrs, FieldId::kDict), "global_symbol").AsString();
  return name ? "`" + *name + "`" : "without a name";
}

bool IsPrintable(View func) {
  std::vector<View> level{func};
  for (int depth = 0; !level.empty(); ++depth) {
    if (depth > kMaxPrintedDepth) return false;
    std::vector<View> below;
    for (View node : level) {
      for (const Field& field : TypeOf(node).children) {
        const View child = Read(node, field);
        for (const TVMFFIAny& element : Elements(child)) {
          if (element.type_index >= kTVMFFIDynObjectBegin) below.push_back(View::Of(element));
        }
        if (child.type_index() >= kTVMFFIDynObjectBegin) below.push_back(child);
      }
    }
    // Hosts share subexpressions; visiting each once per level keeps the work linear.
    const auto by_address = [](View value) { return value.object(); };
    std::ranges::sort(below, {}, by_address);
    const auto repeated = std::ranges::unique(below, {}, by_address);
    below.erase(repeated.begin(), repeated.end());
    level = std::move(below);
  }
  return true;
}

std::optional<SourcePlace> FindPlace(View func, View node) {
  for (View candidate : {node, func, TryGet(func, FieldId::kBody)}) {
    if (const auto place = PlaceOf(candidate)) return place;
  }
  return std::nullopt;
}

void Refuse(View func, const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  bool head_shown = false;
  for (const Diagnostic& diagnostic :
       std::span(diagnostics).first(std::min(diagnostics.size(), kMaxDiagnostics))) {
    // The first code is that of the whole error, which shows it.
    if (!text.empty()) text += "\n\n" + ToString(diagnostic.code) + ": ";
    text += "kernel " + FunctionName(func) + ": " + diagnostic.message + "\n";
    const bool head = diagnostic.underlined.is_none();
    if (!head || !head_shown) text += Excerpt(func, diagnostic.underlined);
    head_shown |= head;
    text += "help: " + HelpOf(diagnostic);
    const auto place = FindPlace(func, diagnostic.node);
    if (place) text += "\n  --> " + ToString(*place);
  }
  if (diagnostics.size() > kMaxDiagnostics) {
    text += "\n\nand " + std::to_string(diagnostics.size() - kMaxDiagnostics) + " more";
  }
  throw LocatedError(diagnostics.front().code, text);
}

void Warn(const Warning& warning) {
  static constinit const GlobalFunction warn{"tilelang.tt.warn"};
  const Value code(ToString(warning.code)), message(warning.message);
  warn({code.raw(), message.raw()});
}

}  // namespace tt::ir
