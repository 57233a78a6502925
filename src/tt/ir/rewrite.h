// Building IR: copies of nodes with some fields changed, new nodes, and statements with some
// replaced. Nodes are immutable; what is not changed is shared.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/ffi.h"

namespace tt::ir {

/*! Values of fields by their names. */
using Fields = std::vector<std::pair<std::string_view, Value>>;

/*! A copy of a node with these fields changed; all others are as they were, its span among them. */
Value With(View node, const Fields& changes);

/*!
 * A new node of a type, which is named without its namespace. Its span, and annotations, are empty
 * unless given.
 */
Value MakeNode(std::string_view type, Fields fields);

/*! A new expression of this dtype; its other fields as in MakeNode. */
Value MakeExpr(std::string_view type, std::string_view dtype, Fields fields);
Value MakeInt(std::string_view dtype, int64_t value);
Value MakeVar(std::string_view name, std::string_view dtype);
/*! The expression as this dtype, which it may have already. */
Value MakeCast(std::string_view dtype, View expr);

/*! Statements in this order, as one: sequences in it are spliced; none of them does nothing. */
Value MakeSequence(const std::vector<Value>& stmts);

/*!
 * What becomes of a statement: another one, none for one that goes, or nothing where it stays and
 * what is in it is asked about next.
 */
using Replacement = std::function<std::optional<Value>(View stmt)>;

/*! A statement with what is in it replaced, from the outside in; the same object where nothing is. */
Value RewriteStatements(View stmt, const Replacement& replace);

/*! A node with another expression in the place of a variable, except where that is defined. */
Value Substitute(View node, View var, const Value& replacement);

/*! A function with parameters added at the end, and with this body. */
Value WithParametersAndBody(View func, const std::vector<Value>& added, const Value& body);

}  // namespace tt::ir
