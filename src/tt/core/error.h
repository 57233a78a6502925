// Errors of the layers that know neither TVM nor Python.
//
// A throw site names a code of error_codes.inc, and the Python class (tilelang/tt/errors.py) that the
// caller finally sees follows from it; ir/ adds the place in the kernel, bind/ does the translation.
#pragma once

#include <stdexcept>
#include <string>

namespace tt {

/*! What a caller can tell apart by class; tilelang/tt/errors.py says what each is for. */
enum class ErrorKind {
  kArgument,
  kGrid,
  kMultipleLaunches,
  kOpaqueKernel,
  kMissingInput,
  kOption,
  kDevice,
  kTileShape,
  kDtype,
  kShape,
  kOverflow,
  kMetadata,
  kPlan,
  kNotCovered,
  kHost,
  kInternal,
  kFormatWarning,
  kCapacityWarning,
  kPaddingWarning,
};

enum class ErrorCode : int {
#define TT_ERROR(number, name, kind, title) k##name = number,
#include "core/error_codes.inc"
#undef TT_ERROR
};

struct ErrorEntry {
  ErrorCode code;
  ErrorKind kind;
  const char* title;
};

/*! The table of all codes, in ascending order. */
inline constexpr ErrorEntry kErrorTable[] = {
#define TT_ERROR(number, name, kind, title) {ErrorCode::k##name, ErrorKind::k##kind, title},
#include "core/error_codes.inc"
#undef TT_ERROR
};

constexpr ErrorKind ErrorKindOf(ErrorCode code) {
  switch (code) {
#define TT_ERROR(number, name, kind, title) \
  case ErrorCode::k##name: return ErrorKind::k##kind;
#include "core/error_codes.inc"
#undef TT_ERROR
  }
  return ErrorKind::kInternal;
}

/*! As messages show it: "TT101". */
inline std::string ToString(ErrorCode code) {
  return "TT" + std::to_string(static_cast<int>(code));
}

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }
  ErrorKind kind() const { return ErrorKindOf(code_); }
  /*! What people read. Python finds the code in it, wherever the error has come through. */
  std::string text() const { return ToString(code_) + ": " + what(); }

 private:
  ErrorCode code_;
};

/*! An error that already names the function and the place in it. */
class LocatedError : public Error {
  using Error::Error;
};

/*! The name of the Python class, without its module. */
constexpr const char* ErrorClass(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kArgument: return "ArgumentError";
    case ErrorKind::kGrid: return "GridError";
    case ErrorKind::kMultipleLaunches: return "MultipleLaunchesError";
    case ErrorKind::kOpaqueKernel: return "OpaqueKernelError";
    case ErrorKind::kMissingInput: return "MissingInputError";
    case ErrorKind::kOption: return "OptionError";
    case ErrorKind::kDevice: return "DeviceError";
    case ErrorKind::kTileShape: return "TileShapeError";
    case ErrorKind::kDtype: return "DtypeError";
    case ErrorKind::kShape: return "ShapeError";
    case ErrorKind::kOverflow: return "IntegerOverflowError";
    case ErrorKind::kMetadata: return "MetadataError";
    case ErrorKind::kPlan: return "PlanError";
    case ErrorKind::kNotCovered: return "NotCoveredError";
    case ErrorKind::kHost: return "HostError";
    case ErrorKind::kInternal: return "InternalError";
    case ErrorKind::kFormatWarning: return "FormatWarning";
    case ErrorKind::kCapacityWarning: return "CapacityWarning";
    case ErrorKind::kPaddingWarning: return "PaddingWarning";
  }
  return "InternalError";
}

}  // namespace tt
