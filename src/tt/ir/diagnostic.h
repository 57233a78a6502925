// Refusals that say what was found, what was expected, where, and what to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "ir/ffi.h"

namespace tt::ir {

struct Diagnostic {
  ErrorCode code;
  std::string message;  // what was found and what was expected, with the numbers
  std::string help;     // one concrete thing to do; empty where only the code's page can say it
  View node;            // the statement or parameter it is about; none for the function as a whole
  View underlined;      // what of it to underline in the excerpt; none for nothing
};

/*! The name by which a person knows a function. */
std::string FunctionName(View func);

/*!
 * Throws one error that lists all diagnostics, each with an excerpt of the function's script, and
 * the place in the user's file where the IR carries one.
 */
[[noreturn]] void Refuse(View func, const std::vector<Diagnostic>& diagnostics);

/*! Whether its nesting lets the host print a function; its printer recurses. */
bool IsPrintable(View func);

/*! What a caller should know about a function that is not refused. */
struct Warning {
  ErrorCode code;
  std::string message;
  Value node;  // the statement it is about; none for the function as a whole
};

/*! A place in a user's file. */
struct SourcePlace {
  std::string file;
  int64_t line;
  int64_t column;  // 0 where the host only knows lines
};

/*! Where a statement stands, else its function; none where the host does not say. */
std::optional<SourcePlace> FindPlace(View func, View node);

/*! Warns the caller, who may turn it into an error. \throw HostException */
void Warn(const Warning& warning);

}  // namespace tt::ir
