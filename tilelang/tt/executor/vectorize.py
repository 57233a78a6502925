"""Which loops are executed as arrays, an element for each iteration.

A loop may be when no two of its iterations touch the same element of a buffer of which one of them writes it: then
statement after statement for all iterations gives what iteration after iteration gives. That is shown by an index:
in one dimension, every access to the buffer is at ``c * i + u + r``, where ``i`` is the loop's variable, ``u`` is the
same everywhere, and the ``r`` of inner loops differ by less than ``c``. Whatever this does not show is sequential.

Memory that every iteration fills before it reads it belongs to the iteration: each lane gets its own.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import nodes
from .atomics import ATOMICS, POINTERS
from .intrinsics import INTRINSICS
from .nodes import VARIABLES, kind

if TYPE_CHECKING:
    from .program import Translator

LEAST_LANES = 8
"""Loops of fewer iterations are faster one by one."""
MOST_LANES = 1 << 18
"""Iterations at a time: what the arrays of an expression may take of a computer's memory."""
MOST_PRIVATE = 32
"""Elements of a buffer of which each lane gets its own."""

_UNKNOWN_EXTENT = 1 << 10
_VECTORS = ("Ramp", "Broadcast", "Shuffle")


class Form(NamedTuple):
    """An expression as a sum.

    Attributes:
        terms: Factors of variables, by their keys, and of whatever is no sum.
        constant: The rest.
        variables: All that it depends on.
        loads: The memory that it depends on.
    """

    terms: "tuple[tuple[int | Opaque, int], ...]" = ()
    constant: int = 0
    variables: frozenset[int] = frozenset()
    loads: frozenset[int] = frozenset()

    def plus(self, other: "Form", factor: int = 1) -> "Form":
        """Its sum with a multiple of another one."""
        terms = dict(self.terms)
        for term, coefficient in other.terms:
            terms[term] = terms.get(term, 0) + factor * coefficient
        return Form(
            tuple(sorted(((t, c) for t, c in terms.items() if c), key=lambda pair: hash(pair[0]))),
            self.constant + factor * other.constant,
            self.variables | other.variables,
            self.loads | other.loads,
        )


class Opaque(NamedTuple):
    """An expression that is no sum: what it is, and of what."""

    what: Any
    operands: tuple[Form, ...]
    variables: frozenset[int]
    loads: frozenset[int]


class Access(NamedTuple):
    """A place where a buffer is read or written.

    Attributes:
        buffer: Its key.
        memory: What tells the memory that it lies in from all others.
        indices: By dimension.
        writes: Whether it is written here.
        is_atomic: Whether it is read and written at once.
        conditions: How many things around it may let it not happen.
        loops: Variables of the loops around it.
    """

    buffer: int
    memory: int
    indices: tuple[Form, ...]
    writes: bool
    is_atomic: bool
    conditions: int
    loops: tuple[int, ...]


class Loop(NamedTuple):
    """A loop inside of a statement.

    Attributes:
        variable: Its key.
        bounds: What they depend on.
        range: From the first to the last value, where that is known.
        is_array: Whether it is executed as an array.
    """

    variable: int
    bounds: Form
    range: tuple[int, int] | None
    is_array: bool


class Lanes(NamedTuple):
    """How a loop is executed as an array.

    Attributes:
        total: Lanes, with those of the loops inside; an extent that is not known counts as 1024.
        inner: Those of the loops inside, for each iteration.
        depth: Loops that are executed as arrays, one inside of the other.
        private: Buffers of which each lane gets its own, by their keys, and the elements that are used of them.
    """

    total: int
    inner: int
    depth: int
    private: dict[int, tuple[tuple[int, ...], ...]]


@dataclass
class Effects:
    """What a statement does to memory, in program order.

    Attributes:
        accesses: To buffers.
        loops: Inside of it.
        allocated: Memory that it allocates, and the buffer with which.
        lanes: The most iterations at a time of loops inside that are executed as arrays.
        depth: The most of these loops inside of each other.
    """

    accesses: list[Access] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    allocated: dict[int, int] = field(default_factory=dict)
    lanes: int = 1
    depth: int = 0


class NotPlainError(Exception):
    """A statement has more than loops, conditions, scalars, loads, stores and atomic operations."""


class Vectorizer:
    """Decides for the loops of a function; it reads each statement once.

    Attributes:
        buffers: That are accessed, by their keys.
    """

    def __init__(self, to: "Translator") -> None:
        self.buffers: dict[int, Any] = {}
        self._to = to
        self._lanes: dict[int, Lanes | None] = {}
        self._forms: dict[int, Form] = {}  # of the variables that a Bind binds
        self._binders: dict[int, int] = {}
        self._effects = Effects()
        self._loops: tuple[int, ...] = ()
        self._conditions = 0

    def lanes(self, loop: Any) -> Lanes | None:
        """How a loop is executed as an array; None where it is executed iteration after iteration."""
        if nodes.key(loop) not in self._lanes:
            self._effects, self._loops, self._conditions = Effects(), (), 0
            with suppress(NotPlainError):
                self._statement(loop)
        return self._lanes.get(nodes.key(loop))

    def form(self, index: Any) -> Form | None:
        """An index as a sum; None where it is of something else than scalars."""
        self._effects = Effects()
        with suppress(NotPlainError):
            return self._expression(index)
        return None

    def _statement(self, node: Any) -> None:
        visit = _STATEMENTS.get(kind(node))
        if visit is None:
            raise NotPlainError
        visit(self, node)

    def _sequence(self, node: Any) -> None:
        for part in node.seq:
            self._statement(part)

    def _attribute(self, node: Any) -> None:
        self._statement(node.body)

    def _assert(self, node: Any) -> None:
        self._expression(node.condition)

    def _evaluate(self, node: Any) -> None:
        self._expression(node.value)

    def _bind(self, node: Any) -> None:
        self._define(node.var, node, self._expression(node.value))

    def _define(self, variable: Any, binder: Any, form: Form) -> None:
        """Give a variable its form; one that two statements bind has none."""
        if self._binders.setdefault(nodes.key(variable), nodes.key(binder)) != nodes.key(binder):
            self._binders[nodes.key(variable)] = 0
            raise NotPlainError
        self._forms[nodes.key(variable)] = form

    def _if(self, node: Any) -> None:
        self._expression(node.condition)
        self._conditions += 1
        self._statement(node.then_case)
        if node.else_case is not None:
            self._statement(node.else_case)
        self._conditions -= 1

    def _allocation(self, node: Any) -> None:
        self._allocate(node.buffer)

    def _allocate(self, buffer: Any) -> None:
        facts = nodes.buffer_facts(buffer)
        if _elements(facts.shape) > MOST_PRIVATE:
            raise NotPlainError
        self._effects.allocated[facts.data] = nodes.key(buffer)

    def _realize(self, node: Any) -> None:
        for iterator, value in zip(node.block.iter_vars, node.iter_values, strict=True):
            self._define(iterator.var, node, self._expression(value))
        self._expression(node.predicate)
        certain = nodes.constant(node.predicate) == 1
        self._conditions += not certain
        self._statement(node.block)
        self._conditions -= not certain

    def _block(self, node: Any) -> None:
        if node.match_buffers:
            raise NotPlainError
        for buffer in node.alloc_buffers:
            self._allocate(buffer)
        if node.init is not None:
            self._conditions += 1
            self._statement(node.init)
            self._conditions -= 1
        self._statement(node.body)

    def _store(self, node: Any) -> None:
        if getattr(node, "predicate", None) is not None:
            raise NotPlainError
        self._expression(node.value)
        self._access(node.buffer, node.indices, writes=True)

    def _for(self, node: Any) -> None:
        if node.thread_binding is not None or (node.annotations and "tt_launch" in node.annotations):
            raise NotPlainError
        bounds = self._expression(node.min).plus(self._expression(node.extent))
        first, extent = nodes.constant(node.min), nodes.constant(node.extent)
        if node.step is not None:
            bounds = bounds.plus(self._expression(node.step))
        known = None if first is None or extent is None else (first, first + extent - 1)
        variable = nodes.key(node.loop_var)
        outside, loops = self._effects, self._loops
        uncertain = extent is None or extent < 1
        self._effects, self._loops = Effects(), (*loops, variable)
        self._conditions += uncertain
        self._statement(node.body)
        effects, self._effects, self._loops = self._effects, outside, loops
        lanes = _Decision(variable, effects, self._conditions, self._to.is_local).lanes(extent)
        self._conditions -= uncertain
        self._lanes[nodes.key(node)] = lanes
        outside.accesses += effects.accesses
        outside.allocated |= effects.allocated
        outside.loops += [*effects.loops, Loop(variable, bounds, known, lanes is not None)]
        outside.lanes = max(outside.lanes, lanes.total if lanes else effects.lanes)
        outside.depth = max(outside.depth, lanes.depth if lanes else effects.depth)

    def _expression(self, node: Any) -> Form:
        if kind(node) in VARIABLES:
            return self._variable(node)
        if kind(node) in _VECTORS or kind(node) == "Let":
            raise NotPlainError
        value = nodes.constant(node)
        if value is not None:
            return Form(constant=value)
        if kind(node) == "BufferLoad":
            return self._load(node)
        if kind(node) == "Call":
            return self._call(node)
        operands = [self._expression(child) for child in nodes.children(node)]
        return _sum(node, operands) or _opaque(_what(node), operands)

    def _variable(self, node: Any) -> Form:
        key = nodes.key(node)
        if self._binders.get(key) == 0:
            raise NotPlainError
        if key in self._forms:
            return self._forms[key]
        return Form(((key, 1),), 0, frozenset((key,)))

    def _load(self, node: Any) -> Form:
        if getattr(node, "predicate", None) is not None or nodes.lanes_of(node) != 1:
            raise NotPlainError
        buffer = nodes.loaded_buffer(node)
        access = self._access(buffer, node.indices)
        return _opaque(("load", access.buffer), access.indices, frozenset((access.memory,)))

    def _call(self, node: Any) -> Form:
        name = nodes.operation(node)
        if name not in INTRINSICS or nodes.lanes_of(node) != 1:
            raise NotPlainError
        if name not in ATOMICS:
            return _opaque(name, [self._expression(argument) for argument in node.args])
        pointer, *values = node.args
        for value in values:
            self._expression(value)
        load = pointer.args[0] if kind(pointer) == "Call" and nodes.operation(pointer) in POINTERS else pointer
        if kind(load) != "BufferLoad" or "addx" in name:
            raise NotPlainError
        access = self._access(nodes.loaded_buffer(load), load.indices, writes=True, is_atomic=True)
        return _opaque(("atomic", len(self._effects.accesses)), access.indices, frozenset((access.memory,)))

    def _access(self, buffer: Any, indices: Any, writes: bool = False, is_atomic: bool = False) -> Access:
        forms = tuple(self._expression(index) for index in indices)
        memory = self._to.memory_of(buffer)
        self.buffers[nodes.key(buffer)] = buffer
        access = Access(nodes.key(buffer), memory, forms, writes, is_atomic, self._conditions, self._loops)
        self._effects.accesses.append(access)
        return access


_STATEMENTS: dict[str, Callable[[Vectorizer, Any], None]] = {
    "AllocBuffer": Vectorizer._allocation,
    "AssertStmt": Vectorizer._assert,
    "AttrStmt": Vectorizer._attribute,
    "Bind": Vectorizer._bind,
    "BufferStore": Vectorizer._store,
    "Evaluate": Vectorizer._evaluate,
    "For": Vectorizer._for,
    "IfThenElse": Vectorizer._if,
    "SBlock": Vectorizer._block,
    "SBlockRealize": Vectorizer._realize,
    "SeqStmt": Vectorizer._sequence,
}


def _elements(shape: tuple[Any, ...]) -> int:
    """How many elements a shape has; more than any lane gets where that is not known."""
    sizes = [nodes.constant(size) for size in shape]
    return MOST_PRIVATE + 1 if None in sizes else prod(size or 0 for size in sizes)


def _what(node: Any) -> Any:
    """What tells an operation from others, but for its operands."""
    if kind(node) in ("FloatImm", "StringImm"):
        return kind(node), str(node.value), nodes.dtype_name(node)
    return kind(node), nodes.dtype_name(node)


def _opaque(what: Any, operands: Sequence[Form], loads: frozenset[int] = frozenset()) -> Form:
    variables = frozenset().union(*(operand.variables for operand in operands))
    loads = loads.union(*(operand.loads for operand in operands))
    return Form(((Opaque(what, tuple(operands), variables, loads), 1),), 0, variables, loads)


def _sum(node: Any, operands: list[Form]) -> Form | None:
    """An integer sum, difference or multiple, or what is converted to an integer of no fewer bits."""
    if kind(node) == "Cast" and _keeps(nodes.type_of(node.value).dtype, nodes.type_of(node).dtype):
        return operands[0]
    # Numbers of fewer bits wrap around where indices do not.
    if len(operands) != 2 or nodes.type_of(node).dtype.kind not in "iu" or nodes.type_of(node).dtype.itemsize < 4:
        return None
    a, b = operands
    if kind(node) == "Add":
        return a.plus(b)
    if kind(node) == "Sub":
        return a.plus(b, -1)
    if kind(node) == "Mul" and not (a.terms and b.terms):
        scaled, factor = (b, a.constant) if not a.terms else (a, b.constant)
        return Form().plus(scaled, factor)
    return None


def _keeps(source: np.dtype[Any], target: np.dtype[Any]) -> bool:
    """Whether different integers stay different where they are converted."""
    return {source.kind, target.kind} <= set("iu") and target.itemsize >= source.itemsize


def _common(places: list[dict[Any, Form]]) -> Iterator[list[Form]]:
    """The forms that all have, side by side."""
    for key in places[0]:
        if all(key in place for place in places):
            yield [place[key] for place in places]


def _operands(index: Form, what: str) -> tuple[Form, ...]:
    """The operands of an index that is one operation and nothing else; none of any other."""
    if index.constant or len(index.terms) != 1:
        return ()
    term, factor = index.terms[0]
    return term.operands if isinstance(term, Opaque) and factor == 1 and term.what[0] == what else ()


class _Decision:
    """Whether the iterations of a loop touch different elements of everything that is written in them."""

    def __init__(self, variable: int, effects: Effects, conditions: int, is_local: Callable[[int], bool]) -> None:
        self._variable = variable
        self._effects = effects
        self._conditions = conditions
        self._is_local = is_local
        self._written = {access.memory for access in effects.accesses if access.writes}
        self._extent = 1
        self._ranges: dict[int, tuple[int, int] | None] = {}
        for loop in effects.loops:
            self._ranges[loop.variable] = _union(self._ranges.get(loop.variable, loop.range), loop.range)

    def lanes(self, extent: int | None) -> Lanes | None:
        """How the loop is executed as an array."""
        effects, private = self._effects, {}
        self._extent = 1 if extent is None else extent
        if effects.lanes > MOST_LANES or any(not self._is_uniform(loop.bounds) for loop in effects.loops):
            return None
        for memory in self._written | effects.allocated.keys():
            accesses = [access for access in effects.accesses if access.memory == memory]
            buffers = {access.buffer for access in accesses}
            if memory in effects.allocated:
                # No lane has a view of its own.
                if buffers <= {effects.allocated[memory]}:
                    continue
                return None
            if self._are_apart(accesses) or self._is_one_update(accesses):
                continue
            if len(buffers) > 1:
                return None
            elements = self._filled_first(accesses)
            if elements is None or not self._is_local(memory):
                return None
            private[accesses[0].buffer] = elements
        count = _UNKNOWN_EXTENT if extent is None else extent
        return Lanes(count * effects.lanes, effects.lanes, effects.depth + 1, private)

    def _is_uniform(self, form: Form) -> bool:
        return self._variable not in form.variables and not form.loads & self._written

    def _are_apart(self, accesses: list[Access]) -> bool:
        if len({access.buffer for access in accesses}) > 1:
            return False
        places = [{**dict(enumerate(access.indices)), **self._joined(access.indices)} for access in accesses]
        return any(self._is_apart(tuple(forms)) for forms in _common(places))

    def _joined(self, indices: tuple[Form, ...]) -> dict[Any, Form]:
        """What is split into two indices, by a quotient and its remainder: by their dimensions and the divisor."""
        quotients, remainders = ([_operands(index, what) for index in indices] for what in ("FloorDiv", "FloorMod"))
        return {
            (dimension, remainders.index(operands), operands[1]): operands[0]
            for dimension, operands in enumerate(quotients)
            if operands and operands in remainders and self._is_the_same(operands[1])
        }

    def _is_the_same(self, form: Form) -> bool:
        """Whether an expression has one value in all iterations, and in those of the loops inside."""
        split = self._split(form)
        return split is not None and split[0] == 0 and split[2] == split[3]

    def _is_apart(self, forms: tuple[Form, ...]) -> bool:
        """Whether indices of different iterations differ."""
        split = [self._split(form) for form in forms]
        if any(part is None for part in split):
            return False
        parts = [part for part in split if part is not None]
        factors, uniform = {part[0] for part in parts}, {part[1] for part in parts}
        if len(factors) > 1 or len(uniform) > 1:
            return False
        factor = abs(factors.pop())
        # Where an index wraps around in 32 bits, iterations that are far apart may meet.
        if factor * self._extent >= 2**31:
            return False
        return factor > max(part[3] for part in parts) - min(part[2] for part in parts)

    def _split(self, form: Form) -> tuple[int, Any, int, int] | None:
        """The factor of the variable, what is the same in all iterations, and the range of the rest."""
        factor, low, high = 0, form.constant, form.constant
        uniform: list[tuple[Any, int]] = []
        for term, coefficient in form.terms:
            if term == self._variable:
                factor = coefficient
            elif isinstance(term, Opaque):
                if term.variables & {self._variable, *self._ranges} or term.loads & self._written:
                    return None
                uniform.append((term, coefficient))
            elif term in self._ranges:
                ends = self._ranges[term]
                if ends is None:
                    return None
                low += min(coefficient * end for end in ends)
                high += max(coefficient * end for end in ends)
            else:
                uniform.append((term, coefficient))
        return factor, frozenset(uniform), low, high

    def _is_one_update(self, accesses: list[Access]) -> bool:
        """Whether there is a single atomic operation, which the lanes do in the order of the iterations."""
        inner = {loop.variable: loop.is_array for loop in self._effects.loops}
        if len(accesses) != 1 or not accesses[0].is_atomic:
            return False
        around = accesses[0].loops[accesses[0].loops.index(self._variable) + 1 :]
        return all(inner[variable] for variable in around)

    def _filled_first(self, accesses: list[Access]) -> tuple[tuple[int, ...], ...] | None:
        """The elements that are accessed, where each iteration writes each of them before it reads it."""
        filled: dict[tuple[int, ...], bool] = {}
        for access in accesses:
            if access.is_atomic or any(index.terms for index in access.indices):
                return None
            element = tuple(index.constant for index in access.indices)
            if element not in filled and not (access.writes and access.conditions == self._conditions):
                return None
            filled[element] = True
        return tuple(filled)


def _union(a: tuple[int, int] | None, b: tuple[int, int] | None) -> tuple[int, int] | None:
    return None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))


class LaneScope:
    """The loops around a statement that are executed as arrays, while it is translated.

    Attributes:
        slots: Of the numbers of the lanes along each axis.
        depth: How many axes there are in the whole nest.
        private: Slots of the numbers of the lanes by which a buffer is indexed first, by its key.
    """

    IRREGULAR = -1

    def __init__(self) -> None:
        self.slots: tuple[int, ...] = ()
        self.depth = 0
        self.private: dict[int, tuple[int, ...]] = {}
        self._axes: dict[int, int] = {}

    @contextmanager
    def inside(self, loop: Any, lanes: Lanes, slot: int) -> Iterator[None]:
        """Translate the body of a loop."""
        outside = self.slots, self.depth, self.private, self._axes
        self.depth = self.depth if self.slots else lanes.depth
        # Where the variable does not count up by one, no index does along this axis.
        step = self.IRREGULAR if loop.step is not None and nodes.constant(loop.step) != 1 else len(self.slots)
        self._axes = {**self._axes, nodes.key(loop.loop_var): step}
        self.slots = (*self.slots, slot)
        self.private = {**self.private, **dict.fromkeys(lanes.private, self.slots)}
        yield
        self.slots, self.depth, self.private, self._axes = outside

    def own(self, buffer: Any) -> None:
        """Give each lane its own of a buffer that is allocated here."""
        self.private = {**self.private, nodes.key(buffer): self.slots}

    def shape(self, axis: int) -> tuple[int, ...]:
        """The shape of a variable that counts along an axis."""
        return (*[1] * axis, -1, *[1] * (self.depth - 1 - axis))

    def axis(self, form: Form | None) -> int | None:
        """The axis along which an index counts up by one; None where all lanes have the same, else IRREGULAR."""
        if form is None:
            return self.IRREGULAR
        varying = form.variables & self._axes.keys()
        if not varying and not form.loads:
            return None
        if len(varying) != 1 or form.loads:
            return self.IRREGULAR
        (variable,) = varying
        step = dict(form.terms).get(variable)
        hidden = any(isinstance(term, Opaque) and variable in term.variables for term, _ in form.terms)
        return self._axes[variable] if step == 1 and not hidden else self.IRREGULAR
