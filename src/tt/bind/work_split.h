// ttnn's split_work_to_cores for Python: one call at a time, and a whole array at once.
#pragma once

#include <pybind11/pybind11.h>

namespace tt::bind {

void DefineWorkSplit(pybind11::module_& module);

}  // namespace tt::bind
