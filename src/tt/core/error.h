// Errors of the layers that know neither TVM nor Python.
//
// A kind names the Python class (tilelang/tt/errors.py) that the caller finally sees; ir/ adds the
// place in the kernel, bind/ does the translation.
#pragma once

#include <stdexcept>
#include <string>

namespace tt {

enum class ErrorKind {
  kArgument,          // an argument of the wrong type
  kNoKernel,          // a module without a launch grid
  kGrid,              // a launch grid that is not a static, positive, consistent one
  kMultipleLaunches,  // more than one launch in a function
  kOpaqueKernel,      // a kernel whose body or memory cannot be seen
  kMissingInput,      // an input attribute that has not been set
  kOption,            // an input attribute with a value that does not exist
  kDevice,            // a device, or cores, that do not exist
  kTileShape,         // a tile that the hardware has not
  kDtype,             // a dtype without a Tenstorrent format
  kShape,             // a tensor shape that cannot be laid out
  kOverflow,          // a number beyond 64 bits
  kHost,              // a host that lacks what this package calls
  kInternal,          // a bug of ours
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/*! An error that already names the function and the place in it. */
class LocatedError : public Error {
  using Error::Error;
};

/*! The name of the Python class, without its module. */
constexpr const char* ErrorClass(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kArgument: return "ArgumentError";
    case ErrorKind::kNoKernel: return "NoKernelError";
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
    case ErrorKind::kHost: return "HostError";
    case ErrorKind::kInternal: return "InternalError";
  }
  return "InternalError";
}

}  // namespace tt
