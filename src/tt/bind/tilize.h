// Arrays and banks, for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace tt::bind {

void DefineTilize(pybind11::module_& module);

}  // namespace tt::bind
