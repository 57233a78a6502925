// What a function is, as bytes that do not depend on the process or on places in files.
#pragma once

#include <string>

#include "ir/ffi.h"

namespace tt::ir {

/*!
 * Equal for functions that are written alike, down to every name, and different for all others of
 * one host. Spans are left out. Of objects it matters which are the same one only where it does in
 * the IR: for variables and buffers. Linear in the objects that the function holds.
 * \throw tt::Error where it holds something that has no content to compare, such as a function
 *   object.
 */
std::string Fingerprint(View func);

/*! How many objects lie in each other, spans left out. \throw tt::Error as Fingerprint does. */
size_t Depth(View func);

}  // namespace tt::ir
