"""Functions as programs that numpy executes: translated once, into closures over a frame of values.

A program states what a function means, statement after statement. Loops whose iterations are independent of each
other are executed on arrays, an element a lane; see :mod:`.vectorize`.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from math import prod
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..errors import refusal
from . import nodes
from .expression import EXPRESSIONS
from .frame import CORE, FIRST, Boxes, Expression, Filling, Frame, Integers, Statement
from .memory import Box, Core, Memory
from .nodes import VARIABLES, kind
from .statement import STATEMENTS, EndTurn
from .vectorize import LaneScope, Vectorizer

_UNBOUND = "make it a parameter, or a size of a tensor parameter"


# Calls of Python within each other; it needs no memory of the stack for them.
_DEEPEST = 50_000


class Parameter(NamedTuple):
    """A parameter of a program.

    Attributes:
        name: Of the tensor, or of the scalar.
        dtype: Of an element.
        is_tensor: Whether it takes a :class:`~.memory.Memory`; else a numpy scalar.
    """

    name: str
    dtype: np.dtype[Any]
    is_tensor: bool


class View(NamedTuple):
    """A buffer that lies in the memory of another one."""

    slot: int
    facts: nodes.BufferFacts
    shape: tuple[Expression, ...]


class Translator:
    """Turns the nodes of one function into closures; everything that is not covered it refuses by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = FIRST
        self.lanes = LaneScope()
        self.vectorizer = Vectorizer(self)
        # Of the loops around: whether something ends them, or an iteration of them.
        self.exits: list[bool] = []
        self._slots: dict[int, int] = {}
        self._deferred: dict[int, Any] = {}
        self._views: dict[int, list[View]] = {}
        self._facts: dict[int, nodes.BufferFacts] = {}
        self._reducers: dict[int, str] = {}
        self._parameters: set[int] = set()
        self._place: Any = None

    def expression(self, node: Any) -> Expression:
        """The value of a TIRx expression."""
        translate = EXPRESSIONS.get(kind(node))
        if translate is None:
            self.refuse("TT920", f"the expression {kind(node)}")
        return translate(node, self)

    def statement(self, node: Any) -> Statement:
        """The effect of a TIRx statement."""
        translate = STATEMENTS.get(kind(node))
        if translate is None:
            self.refuse("TT920", f"the statement {kind(node)}", node)
        outside, self._place = self._place, node
        translated = translate(node, self)
        self._place = outside
        return translated

    def box(self, region: Any) -> Boxes:
        """A part of a buffer: a ``tl.region``, a BufferRegion, or a load, which is a box of one element."""
        buffer, start, extent = self._region(region)
        slot = self.buffer(buffer)
        first = self.integers(start)
        length = self.integers(extent)
        return lambda frame: Box(frame[slot], first(frame), length(frame))

    def _region(self, region: Any) -> tuple[Any, list[Any], list[Any]]:
        if kind(region) == "BufferRegion":
            ranges = list(region.region)
            return nodes.loaded_buffer(region), [part.min for part in ranges], [part.extent for part in ranges]
        if kind(region) == "Call" and nodes.operation(region) == "tl.region":
            load, _, *extent = region.args
            start = list(load.indices)
            return nodes.loaded_buffer(load), start, [1] * (len(start) - len(extent)) + extent
        if kind(region) != "BufferLoad":
            self.refuse("TT920", f"the region {nodes.text(region)}")
        return nodes.loaded_buffer(region), list(region.indices), [1] * len(region.indices)

    def integers(self, expressions: Sequence[Any]) -> Integers:
        """Several integer expressions as a tuple of Python's integers."""
        known = [nodes.constant(node) for node in expressions]
        if None not in known:
            constants = tuple(known)
            return lambda frame: constants  # type: ignore[return-value]
        parts = [self.expression(node) for node in expressions]
        return lambda frame: tuple([int(part(frame)) for part in parts])

    def bind(self, variable: Any) -> int:
        """The slot of a variable that gets a value here."""
        return self._slots.setdefault(nodes.key(variable), self.new_slot())

    def new_slot(self) -> int:
        """A slot that nothing else uses."""
        self.size += 1
        return self.size - 1

    def defer(self, variable: Any, value: Any) -> None:
        """Let a variable stand for an expression over variables that are bound only where it is used."""
        self._deferred[nodes.key(variable)] = value

    def can_evaluate(self, expression: Any) -> bool:
        """Whether all variables in an expression have values here."""
        if kind(expression) not in VARIABLES:
            return all(map(self.can_evaluate, nodes.children(expression)))
        deferred = self._deferred.get(nodes.key(expression))
        return nodes.key(expression) in self._slots or (deferred is not None and self.can_evaluate(deferred))

    def variable(self, variable: Any) -> Expression:
        """The value of a variable."""
        slot = self._slots.get(nodes.key(variable))
        if slot is not None:
            return lambda frame: frame[slot]
        if nodes.key(variable) not in self._deferred:
            self.refuse("TT922", f"the variable {variable.name}, which has no value here", help=_UNBOUND)
        return self.expression(self._deferred[nodes.key(variable)])

    def declare(self, buffer: Any, source: Any = None) -> int:
        """The slot of a buffer, which :meth:`fill` puts memory into; that of a view gets it with its source's."""
        facts = nodes.buffer_facts(buffer)
        slot = self._slots[nodes.key(buffer)] = self.new_slot()
        root = facts.data if source is None else self._facts[nodes.key(source)].data
        self._facts[nodes.key(buffer)] = facts = facts._replace(data=root)
        if root in self._views:
            self._add_view(slot, facts)
        else:
            self._views[root] = []
        return slot

    def declare_parameter(self, buffer: Any) -> int:
        """The slot of the buffer of a parameter."""
        self._parameters.add(nodes.buffer_facts(buffer).data)
        return self.declare(buffer)

    def _add_view(self, slot: int, facts: nodes.BufferFacts) -> None:
        if nodes.constant(facts.offset) != 0:
            self.refuse("TT923", f"the buffer {facts.name}, a view that begins at element {facts.offset}")
        self._views[facts.data].append(View(slot, facts, tuple(self.expression(size) for size in facts.shape)))

    def buffer(self, buffer: Any) -> int:
        """The slot of a buffer that is accessed; one that nobody declares is a view of that whose data it has."""
        if nodes.key(buffer) in self._slots:
            return self._slots[nodes.key(buffer)]
        facts = nodes.buffer_facts(buffer)
        if facts.data not in self._views:
            self.refuse("TT923", f"the buffer {facts.name}, which nobody allocates", help="allocate it in the kernel")
        return self.declare(buffer)

    def memory_of(self, buffer: Any) -> int:
        """What tells the memory that a buffer lies in from all others."""
        known = self._facts.get(nodes.key(buffer))
        return known.data if known else nodes.buffer_facts(buffer).data

    def is_local(self, memory: int) -> bool:
        """Whether memory is allocated in the function."""
        return memory in self._views and memory not in self._parameters

    def declare_reducer(self, data: Any, reduction: str) -> None:
        """Say how the reducer combines that lies in the memory of a variable."""
        self._reducers[nodes.key(data)] = reduction

    def reducer(self, buffer: Any) -> str:
        """How the reducer that a buffer is combines, by the names of T.reduce."""
        reduction = self._reducers.get(self.memory_of(buffer))
        if reduction is None:
            self.refuse("TT920", f"the buffer {buffer.name}, used as a reducer, which T.alloc_reducer has not made")
        return reduction

    def fill(self, buffer: Any) -> Filling:
        """What puts the memory of a declared buffer into its slot, and all views of it into theirs."""
        slot = self._slots[nodes.key(buffer)]
        views = self._views[self._facts[nodes.key(buffer)].data]

        def fill(frame: Frame, memory: Memory) -> None:
            frame[slot] = memory
            for view in views:
                shape = tuple(int(size(frame)) for size in view.shape)
                frame[view.slot] = memory.view(view.facts.name, shape, nodes.numpy_dtype(view.facts.dtype))

        return fill

    def refuse(self, code: str, what: str, place: Any = None, help: str = "") -> NoReturn:  # noqa: A002
        """Refuse something in the function, by name, and show the statement that it stands in."""
        place = self._place if place is None else place
        where = "" if place is None else f"\n  in: {nodes.text(place)}"
        help = help or "docs/covered.md lists the operations that can be executed"  # noqa: A001
        raise refusal(code, f"kernel `{self.name}`: found {what}; expected what can be executed{where}\nhelp: {help}")


class Program:
    """A function that can be executed, for one core at a time.

    Args:
        func: A PrimFunc without thread bindings, such as a core program.

    Attributes:
        parameters: What :meth:`run` takes, in the order of the function's.

    Raises:
        NotCoveredError: It has an operation that is not covered.
    """

    def __init__(self, func: Any) -> None:
        self._translator = Translator(_name(func))
        try:
            self._translate(func)
        except RecursionError:
            # Closures call each other as deeply as statements are nested.
            sys.setrecursionlimit(max(sys.getrecursionlimit(), _DEEPEST))
            self._translator = Translator(_name(func))
            self._translate(func)

    def _translate(self, func: Any) -> None:
        buffers = [nodes.parameter_buffer(func, parameter) for parameter in func.params]
        self.parameters = [_parameter(*pair) for pair in zip(func.params, buffers, strict=True)]
        self._sizes = _Sizes(self._translator, [buffer for buffer in buffers if buffer is not None])
        self._fill = [
            self._scalar(variable) if buffer is None else self._tensor(buffer)
            for variable, buffer in zip(func.params, buffers, strict=True)
        ]
        self._body = self._translator.statement(func.body)

    def _scalar(self, variable: Any) -> Filling:
        slot = self._translator.bind(variable)
        dtype = nodes.type_of(variable).dtype.type

        def fill(frame: Frame, value: Any) -> None:
            frame[slot] = dtype(value)

        return fill

    def _tensor(self, buffer: Any) -> Filling:
        self._translator.declare_parameter(buffer)
        return self._translator.fill(buffer)

    def run(self, core: Core, arguments: Sequence[Memory | np.generic]) -> None:
        """Execute the function for one core; several may be executed at the same time.

        Args:
            core: Which one.
            arguments: A memory for each tensor and a scalar for each other parameter, in their order. Shape
                variables get their values from the shapes of the memories.
        """
        frame: Frame = [None] * self._translator.size
        frame[CORE] = core
        self._sizes.bind(frame, [argument for argument in arguments if isinstance(argument, Memory)])
        for fill, argument in zip(self._fill, arguments, strict=True):
            fill(frame, argument)
        # Integers wrap around, and floats become infinite or NaN, without a word.
        with np.errstate(all="ignore"), suppress(EndTurn):
            self._body(frame)


def _name(func: Any) -> str:
    return str(func.attrs["global_symbol"]) if func.attrs and "global_symbol" in func.attrs else "main"


def _parameter(variable: Any, buffer: Any) -> Parameter:
    if buffer is None:
        return Parameter(str(variable.name), nodes.type_of(variable).dtype, False)
    facts = nodes.buffer_facts(buffer)
    return Parameter(facts.name, nodes.numpy_dtype(facts.dtype), True)


class _Sizes:
    """Shape variables of tensor parameters: which slot has its value from which dimension of which tensor."""

    def __init__(self, translator: Translator, buffers: Sequence[Any]) -> None:
        self._bound = []
        for number, buffer in enumerate(buffers):
            facts = nodes.buffer_facts(buffer)
            for axis, size in enumerate(facts.shape):
                if kind(size) in VARIABLES and not translator.can_evaluate(size):
                    self._bound.append((translator.bind(size), nodes.type_of(size).dtype.type, number, axis, False))
            for axis, stride in enumerate(facts.strides):
                if kind(stride) in VARIABLES and not translator.can_evaluate(stride):
                    self._bound.append((translator.bind(stride), nodes.type_of(stride).dtype.type, number, axis, True))

    def bind(self, frame: Frame, memories: Sequence[Memory]) -> None:
        for slot, dtype, number, axis, is_stride in self._bound:
            shape = memories[number].shape
            frame[slot] = dtype(prod(shape[axis + 1 :]) if is_stride else shape[axis])
