// Refusals that say what was found, what was expected, where, and what to do.
#pragma once

#include <string>
#include <vector>

#include "core/error.h"
#include "ir/ffi.h"

namespace tt::ir {

struct Diagnostic {
  ErrorCode code;
  std::string message;  // what was found and what was expected, with the numbers
  std::string help;     // one concrete thing to do; empty where only the code's page can say it
  Value node;           // the statement or parameter it is about; none for the function as a whole
  Value underlined;     // what of it to underline in the excerpt; none for nothing
};

/*! The name by which a person knows a function. */
std::string FunctionName(const Value& func);

/*!
 * Throws one error that lists all diagnostics, each with an excerpt of the function's script, and
 * the place in the user's file where the IR carries one.
 */
[[noreturn]] void Refuse(const Value& func, const std::vector<Diagnostic>& diagnostics);

/*! What a caller should know about a function that is not refused. */
struct Warning {
  ErrorCode code;
  std::string message;
};

/*! Warns the caller, who may turn it into an error. \throw HostException */
void Warn(const Warning& warning);

}  // namespace tt::ir
