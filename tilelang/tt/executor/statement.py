"""Statements of TIRx as closures."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import refusal
from . import nodes
from .access import place, store
from .frame import CORE, MASK, Expression, Frame, Statement, narrowed
from .memory import Memory
from .nodes import kind
from .vectorize import LEAST_LANES, MOST_LANES, Lanes

if TYPE_CHECKING:
    from .program import Translator

_THREAD_BINDING = 4

# Attributes that say how to compile a statement, or where it comes from, and nothing about what it does.
_SILENT_ATTRIBUTES = ("pragma_", "storage_alignment", "threadblock_swizzle_pattern")


_ASSERTED = "call the kernel with arguments for which it does, or correct the assertion"


class BreakLoop(Exception):  # noqa: N818
    """Ends the innermost loop."""


class ContinueLoop(Exception):  # noqa: N818
    """Ends an iteration of the innermost loop."""


class EndTurn(Exception):  # noqa: N818
    """Ends a work tile."""


def _sequence(node: Any, to: "Translator") -> Statement:
    parts = []
    for part in node.seq:
        translated = to.statement(part)
        if translated is not nothing:
            parts.append(translated)
    return _in_order(parts)


def _in_order(parts: list[Statement]) -> Statement:
    def run(frame: Frame) -> None:
        for part in parts:
            part(frame)

    return run if len(parts) != 1 else parts[0]


def nothing(frame: Frame) -> None:
    """What a statement without an effect does."""


def _store(node: Any, to: "Translator") -> Statement:
    value = to.expression(node.value)
    stored = store(place(node.buffer, node.indices, to), value)
    predicate = getattr(node, "predicate", None)
    if predicate is None:
        return stored
    guard = to.expression(predicate)
    return lambda frame: when(frame, guard(frame), stored)


def _bind(node: Any, to: "Translator") -> Statement:
    if not to.can_evaluate(node.value):
        to.defer(node.var, node.value)
        return nothing
    value = to.expression(node.value)
    slot = to.bind(node.var)

    def bind(frame: Frame) -> None:
        frame[slot] = value(frame)

    return bind


def _if(node: Any, to: "Translator") -> Statement:
    condition = to.expression(node.condition)
    then = to.statement(node.then_case)
    otherwise = nothing if node.else_case is None else to.statement(node.else_case)

    def run(frame: Frame) -> None:
        chosen = condition(frame)
        if isinstance(chosen, np.ndarray):
            when(frame, chosen, then)
            when(frame, ~chosen, otherwise)
        elif chosen:
            then(frame)
        else:
            otherwise(frame)

    return run


def _for(node: Any, to: "Translator") -> Statement:
    if node.kind == _THREAD_BINDING:
        tag = node.thread_binding.thread_tag
        to.refuse("TT920", f"the thread binding {tag}", node, "GridToPersistent and ThreadsToLoops make loops of them")
    values = _values(node, to)
    launch = node.annotations.get("tt_launch") if node.annotations else None
    lanes = to.vectorizer.lanes(node)
    if lanes is not None and (to.lanes.slots or lanes.total >= LEAST_LANES):
        return _array_loop(node, to, values, lanes)
    slot = to.bind(node.loop_var)
    body, has_exits = _loop_body(node.body, to)
    if launch is not None:
        return _launch_loop(slot, values, body, int(launch))

    def loop(frame: Frame) -> None:
        for value in values(frame):
            frame[slot] = value
            body(frame)

    def loop_with_exits(frame: Frame) -> None:
        for value in values(frame):
            frame[slot] = value
            try:
                body(frame)
            except ContinueLoop:
                continue
            except BreakLoop:
                break

    return loop_with_exits if has_exits else loop


def _values(node: Any, to: "Translator") -> Expression:
    """The values of a loop's variable."""
    low, extent = to.expression(node.min), to.expression(node.extent)
    step = to.expression(node.step) if node.step is not None else None
    dtype = nodes.type_of(node.loop_var).dtype

    def values(frame: Frame) -> Any:
        first = int(low(frame))
        return np.arange(first, first + int(extent(frame)), 1 if step is None else int(step(frame))).astype(dtype)

    return values


def _array_loop(node: Any, to: "Translator", values: Expression, lanes: Lanes) -> Statement:
    """A loop of which all iterations are executed at a time, or as many as memory allows."""
    slot, numbers = to.bind(node.loop_var), to.new_slot()
    # Loops inside of it are never divided.
    most = sys.maxsize if to.lanes.slots else max(1, MOST_LANES // lanes.inner)
    before = {key: to.lanes.private.get(key, ()) for key in lanes.private}
    with to.lanes.inside(node, lanes, numbers):
        shape = to.lanes.shape(len(to.lanes.slots) - 1)
        copies = [
            _PrivateCopy(to.buffer(to.vectorizer.buffers[key]), before[key], to.lanes.slots, elements)
            for key, elements in lanes.private.items()
        ]
        body = to.statement(node.body)

    def loop(frame: Frame) -> None:
        all_values = values(frame)
        for first in range(0, len(all_values), most):
            part = all_values[first : first + most]
            frame[slot] = part.reshape(shape)
            frame[numbers] = np.arange(len(part)).reshape(shape)
            outside = [copy.enter(frame) for copy in copies]
            body(frame)
            for copy, memory in zip(copies, outside, strict=True):
                copy.leave(frame, memory)

    return loop


class _PrivateCopy(NamedTuple):
    """A buffer of which each lane of a loop has its own; afterwards it holds what the last lane's does.

    Attributes:
        slot: Of the buffer.
        outer: Slots of the numbers of the lanes that have their own around the loop.
        inner: And inside of it.
        elements: Those that are used.
    """

    slot: int
    outer: tuple[int, ...]
    inner: tuple[int, ...]
    elements: tuple[tuple[int, ...], ...]

    def enter(self, frame: Frame) -> Memory:
        outside: Memory = frame[self.slot]
        shape = outside.shape[len(self.outer) :]
        extents = tuple(frame[numbers].size for numbers in self.inner)
        frame[self.slot] = frame[CORE].allocate(outside.name, extents + shape, outside.dtype)
        return outside

    def leave(self, frame: Frame, outside: Memory) -> None:
        core, mask = frame[CORE], frame[MASK]
        last = frame[self.inner[-1]].size - 1
        around = tuple(frame[numbers] for numbers in self.inner[:-1])
        for element in self.elements:
            value = frame[self.slot].load(core, (*around, last, *element), mask)
            outside.store(core, (*around[: len(self.outer)], *element), value, mask)
        frame[self.slot] = outside


def _loop_body(node: Any, to: "Translator") -> tuple[Statement, bool]:
    """The body of a loop, and whether something in it ends the loop or an iteration."""
    to.exits.append(False)
    body = to.statement(node)
    return body, to.exits.pop()


def _launch_loop(slot: int, values: Expression, body: Statement, launch: int) -> Statement:
    def loop(frame: Frame) -> None:
        core = frame[CORE]
        core.launch = launch
        for core.turn, frame[slot] in enumerate(values(frame)):  # noqa: B020
            core.require_time()
            try:
                body(frame)
            except EndTurn:
                continue
        core.turn = -1

    return loop


def _while(node: Any, to: "Translator") -> Statement:
    condition = to.expression(node.condition)
    body, _ = _loop_body(node.body, to)

    def loop(frame: Frame) -> None:
        while condition(frame):
            try:
                body(frame)
            except ContinueLoop:
                continue
            except BreakLoop:
                break

    return loop


def _leaving(exit_of: type[Exception]) -> "Callable[[Any, Translator], Statement]":
    def translate(node: Any, to: "Translator") -> Statement:
        if exit_of is not EndTurn:
            if not to.exits:
                to.refuse("TT920", "the end of a loop outside of any")
            to.exits[-1] = True

        def leave(frame: Frame) -> None:
            raise exit_of

        return leave

    return translate


def _assumption(call: Any, to: "Translator") -> Statement:
    condition = to.expression(call.args[0])
    return checked(condition, f"kernel `{to.name}`: found that {nodes.text(call.args[0])} does not hold")


def _silent(call: Any, to: "Translator") -> Statement:
    return nothing


_REGISTERS = ("annotate_consumer_reg_alloc", "annotate_producer_reg_dealloc", "no_set_max_nreg", "set_max_nreg")

EFFECTS: dict[str, "Callable[[Any, Translator], Statement]"] = {
    "tirx.assume": _assumption,
    "tl.device_assert": _assumption,
    "tl.device_assert_with_msg": _assumption,
    **{f"tl.{name}": _silent for name in _REGISTERS},
}
"""Operators that are executed for what they do; those about registers of a GPU do nothing."""

LEAVING = {
    "tirx.break_loop": _leaving(BreakLoop),
    "tl.loop_break": _leaving(BreakLoop),
    "tirx.continue_loop": _leaving(ContinueLoop),
    "tirx.thread_return": _leaving(EndTurn),
}
"""Operations that end a loop, an iteration or a work tile."""


def _evaluate(node: Any, to: "Translator") -> Statement:
    call = node.value
    if kind(call) != "Call":
        return nothing if nodes.constant(call) is not None else to.expression(call)
    name = nodes.operation(call)
    translate = LEAVING.get(name) or EFFECTS.get(name) or tile_ops().get(name)
    return translate(call, to) if translate else to.expression(call)


def tile_ops() -> Any:
    """The operations on tiles, which build on this module."""
    from .tile_ops import TILE_OPS

    return TILE_OPS


def _attribute(node: Any, to: "Translator") -> Statement:
    if not str(node.attr_key).startswith(_SILENT_ATTRIBUTES):
        to.refuse("TT920", f"the attribute {node.attr_key}", node)
    return to.statement(node.body)


def _assert(node: Any, to: "Translator") -> Statement:
    condition = to.expression(node.condition)
    message = " ".join(str(getattr(part, "value", part)) for part in node.message_parts)
    return checked(condition, f"kernel `{to.name}`: found that {nodes.text(node.condition)} does not hold: {message}")


def checked(condition: Expression, message: str) -> Statement:
    """Refuse to go on where a condition does not hold."""

    def check(frame: Frame) -> None:
        holds, mask = condition(frame), frame[MASK]
        if not np.all(holds if mask is None else holds | ~mask):
            raise refusal("TT925", f"{message}; expected it to\nhelp: {_ASSERTED}")

    return check


def _allocate(node: Any, to: "Translator") -> Statement:
    return allocation(node.buffer, to)


def allocation(buffer: Any, to: "Translator") -> Statement:
    """Gives a buffer fresh memory of the core that executes it."""
    to.declare(buffer)
    facts = nodes.buffer_facts(buffer)
    dtype = nodes.numpy_dtype(facts.dtype)
    shape = to.integers(facts.shape)
    fill = to.fill(buffer)
    if to.lanes.slots:
        to.lanes.own(buffer)
    numbers = to.lanes.slots

    def allocate(frame: Frame) -> None:
        lanes = tuple(frame[slot].size for slot in numbers)
        fill(frame, frame[CORE].allocate(facts.name, lanes + shape(frame), dtype))

    return allocate


def _declare(node: Any, to: "Translator") -> Statement:
    source = nodes.declared_source(node)
    if source is not None:
        to.buffer(source)
    to.declare(node.buffer, source)
    return nothing


def _realize(node: Any, to: "Translator") -> Statement:
    block = node.block
    values = [to.expression(value) for value in node.iter_values]
    binds = [(to.bind(iterator.var), value) for iterator, value in zip(block.iter_vars, values, strict=True)]
    predicate = to.expression(node.predicate)
    body = to.statement(block)

    def run(frame: Frame) -> None:
        for slot, value in binds:
            frame[slot] = value(frame)
        when(frame, predicate(frame), body)

    return run


def when(frame: Frame, chosen: Any, case: Statement) -> None:
    """Execute a statement in the lanes that are chosen."""
    if not isinstance(chosen, np.ndarray):
        if chosen:
            case(frame)
        return
    mask = frame[MASK]
    narrow = narrowed(mask, chosen)
    if narrow is not False:
        frame[MASK] = narrow
        case(frame)
        frame[MASK] = mask


def _block(node: Any, to: "Translator") -> Statement:
    if node.match_buffers:
        to.refuse("TT920", f"the buffer {node.match_buffers[0].buffer.name}, matched to a part of another")
    for data, reducer in dict(node.annotations.get("reducer_info_v2") or {}).items():
        to.declare_reducer(data, str(reducer["op"]))
    parts = [allocation(buffer, to) for buffer in node.alloc_buffers]
    if node.init is not None:
        parts.append(_initial(node, to))
    parts.append(to.statement(node.body))
    return _in_order(parts)


def _initial(node: Any, to: "Translator") -> Statement:
    """What a block does before it reduces: where all iterators that it reduces over are at their first value."""
    starts = [
        (to.variable(iterator.var), to.expression(iterator.dom.min))
        for iterator in node.iter_vars
        if iterator.iter_type == nodes.REDUCTION_ITERATOR
    ]
    body = to.statement(node.init)

    def run(frame: Frame) -> None:
        chosen: Any = np.True_
        for value, first in starts:
            chosen = chosen & (value(frame) == first(frame))
        when(frame, chosen, body)

    return run


STATEMENTS: dict[str, "Callable[[Any, Translator], Statement]"] = {
    "AllocBuffer": _allocate,
    "AssertStmt": _assert,
    "AttrStmt": _attribute,
    "Bind": _bind,
    "Break": LEAVING["tirx.break_loop"],
    "BufferStore": _store,
    "Continue": LEAVING["tirx.continue_loop"],
    "DeclBuffer": _declare,
    "Evaluate": _evaluate,
    "For": _for,
    "IfThenElse": _if,
    "SBlock": _block,
    "SBlockRealize": _realize,
    "SeqStmt": _sequence,
    "While": _while,
}
"""Statements by the kinds of their nodes."""
