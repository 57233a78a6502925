"""Kernels executed: every core of the device with its own runtime arguments only, on tensors as the plan lays them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from logging import INFO, getLogger
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from ..errors import refusal
from ..plan import Kernel, Plan
from .arrays import Parameter, assign, dtype_of, find_sizes, is_torch, known_shape, tensors_of, to_numpy, to_torch
from .counts import BufferCounts, count
from .ledger import differ
from .memory import Array, Core, Poison, Unwritten
from .program import Program
from .tensor import Tensor

if TYPE_CHECKING:
    from .executable import Executable

Order: TypeAlias = "str | Sequence[int] | None"
_Done = TypeVar("_Done")

_log = getLogger("tilelang.tt.execute")

_PATTERNS = ("nan", "inf", "random")


@dataclass(frozen=True)
class Execution:
    """What an executed kernel gave, and what was counted.

    Attributes:
        outputs: What the kernel writes, by name, in parameter order: arrays of numpy, or tensors of torch where one was
            given.
        kernel: The plan of the kernel, for the sizes that it was executed with.
        plan: The same with where it comes from.
        counts: What each launch did to each tensor, beside what the plan says.
        findings: What is odd and has done no harm, a sentence each; none is best.
    """

    outputs: dict[str, Any]
    kernel: Kernel
    plan: Plan
    counts: tuple[BufferCounts, ...]
    findings: tuple[str, ...]

    @property
    def result(self) -> Any:
        """What :func:`tilelang.tt.execute` gives: the only output, or all of them as a tuple."""
        outputs = tuple(self.outputs.values())
        return outputs[0] if len(outputs) == 1 else outputs

    def __str__(self) -> str:
        """What ran where, what was moved, and what was found."""
        return "\n".join([*self._work(), *_table(self.counts), *self._results(), *self._notes()])

    def _work(self) -> Iterable[str]:
        cores = len(self.kernel.core_coordinates)
        for number, launch in enumerate(self.kernel.launches):
            which = f", launch {number}" if len(self.kernel.launches) > 1 else ""
            yield (
                f"{self.kernel.name}{which}: {launch.num_tiles:,} work tiles on {launch.num_active_cores} of {cores} "
                f"cores of {self.kernel.device.name}, {self.kernel.inputs.schedule_policy}"
            )

    def _results(self) -> Iterable[str]:
        for name, output in self.outputs.items():
            yield f"result {name}: {tuple(output.shape)} {str(output.dtype).removeprefix('torch.')}"

    def _notes(self) -> Iterable[str]:
        if not self.counts:
            return ["nothing counted, nothing looked for"]
        return [f"finding: {finding}" for finding in self.findings] or ["no findings"]


def _table(counts: Sequence[BufferCounts]) -> list[str]:
    heading = ("tensor", "elements read", "written", "bytes of boxes read", "written", "and the plan's")
    if not counts:
        return []
    several = any(one.launch for one in counts)
    rows = [
        (
            f"{one.name} of launch {one.launch}" if several else one.name,
            *(
                f"{int(numbers.sum()):,}"
                for numbers in (
                    one.elements_read,
                    one.elements_written,
                    one.read_bytes_per_core,
                    one.written_bytes_per_core,
                )
            ),
            one.comparison,
        )
        for one in counts
    ]
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    align = (str.ljust, *[str.rjust] * 4, str.ljust)
    return [
        "  ".join(put(cell, width) for put, cell, width in zip(align, row, widths, strict=True)).rstrip()
        for row in (heading, *rows)
    ]


@dataclass(frozen=True)
class Options:
    """How a kernel is executed; see :func:`tilelang.tt.execute`.

    Raises:
        OptionError: One of them has a value that does not exist.
    """

    engine: str = "reference"
    threads: int = 1
    order: Order = None
    poison: bool = False
    seed: int = 0
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        engine, threads, seed = self.engine, self.threads, self.seed
        if not isinstance(engine, str) or engine not in _ENGINES:
            raise refusal("TT914", f"engine is {engine!r}; expected one of: {', '.join(_ENGINES)}")
        if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
            raise refusal("TT914", f"threads is {threads!r}; expected a number of threads, at least 1")
        if not isinstance(seed, int) or seed < 0:
            raise refusal("TT914", f"seed is {seed!r}; expected an integer, at least 0")
        limit = self.time_limit_s
        if limit is not None and (not isinstance(limit, (int, float)) or isinstance(limit, bool) or not limit >= 0):
            raise refusal("TT914", f"time_limit_s is {limit!r}; expected None, or seconds, at least 0")

    def run(self, prepared: "Prepared") -> Execution:
        """Execute a kernel on its arguments."""
        if self.time_limit_s is not None:
            prepared.ends_at = monotonic() + self.time_limit_s
        numbers = self._in_order(prepared.sized.workload.num_cores)
        poisons = [Poison(one, self.seed) for one in _PATTERNS] if self.poison else []
        execution = _ENGINES[self.engine](prepared, numbers, self.threads, poisons)
        if _log.isEnabledFor(INFO):
            for work in execution._work():
                _log.info("%s, engine %s", work, self.engine)
        _log.debug("%s", execution)
        return execution

    def _in_order(self, num_cores: int) -> list[int]:
        """The numbers of all cores."""
        order = self.order
        if order is None:
            return list(range(num_cores))
        if isinstance(order, str) and order == "random":
            return [int(number) for number in np.random.default_rng(self.seed).permutation(num_cores)]
        if isinstance(order, str) or not isinstance(order, Iterable) or sorted(order) != list(range(num_cores)):
            raise refusal("TT914", f'order is {order!r:.60}; expected "random", or the numbers 0 to {num_cores - 1}')
        return [int(number) for number in order]


class Prepared:
    """A kernel and its arguments, before any engine.

    Attributes:
        executable: The kernel.
        parameters: Of the kernel.
        values: An array or a numpy scalar for each of them; of tensors that are only written and left out, zeros.
        sized: What the sizes of these arguments decide.
        wants_torch: Whether results are tensors of torch.
        ends_at: When no core, and no work tile, may begin any more, by the clock of ``time.monotonic``.
    """

    ends_at = inf

    def __init__(self, executable: "Executable", arrays: Sequence[Any]) -> None:
        self.executable = executable
        self.parameters = executable.parameters
        assigned = assign(self.parameters, arrays)
        self.wants_torch = any(map(is_torch, assigned))
        given = [
            None if value is None and parameter.access == "write" else to_numpy(parameter, value)
            for parameter, value in zip(self.parameters, assigned, strict=True)
        ]
        sizes = find_sizes(self.parameters, given)
        self.values: list[Any] = [
            np.zeros(known_shape(parameter, sizes), dtype_of(parameter.dtype)) if value is None else value
            for parameter, value in zip(self.parameters, given, strict=True)
        ]
        self.sized = executable.sized(sizes)

    @property
    def tensors(self) -> list[Parameter]:
        """The parameters that are tensors; the plan's buffers are in the same order."""
        return tensors_of(self.parameters)

    def schedule_arguments(self, launch: int, core: int) -> list[int]:
        """What a core gets beyond the kernel's own arguments; of the launches that it does not run, zeros."""
        return self.sized.schedule_arguments[launch][core]


@dataclass(frozen=True)
class _Pass:
    """A kernel executed once.

    Attributes:
        tensors: By parameter.
        cores: All that ran, launch after launch.
    """

    tensors: dict[int, Tensor]
    cores: list[Core]


def _run_reference(prepared: Prepared, numbers: list[int], threads: int, poisons: list[Poison]) -> Execution:
    program = prepared.executable.interpreted()
    first = _run_once(prepared, program, numbers, 1 if poisons else threads, None)
    for poison in poisons:
        _compare(prepared, first, _run_once(prepared, program, numbers, 1, poison), poison)
    ledgers = [tensor.ledger for tensor in first.tensors.values()]
    return Execution(
        outputs=results(prepared, {index: tensor.elements for index, tensor in first.tensors.items()}),
        kernel=prepared.sized.kernel,
        plan=prepared.sized.plan,
        counts=count(prepared.sized, ledgers),
        findings=tuple(finding for ledger in ledgers for finding in ledger.findings()),
    )


def _run_llvm(prepared: Prepared, numbers: list[int], threads: int, poisons: list[Poison]) -> Execution:
    """On the logical arrays: there is no padding, and nothing is counted."""
    from . import llvm

    if poisons:
        raise refusal("TT914", 'poison is True; expected False for engine="llvm", which does not watch memory')
    compiled = prepared.executable.machine_code()
    arrays = {parameter.index: llvm.aligned(prepared.values[parameter.index]) for parameter in prepared.tensors}
    tensors = {index: llvm.tensor(array) for index, array in arrays.items()}
    arguments = [tensors.get(parameter.index, prepared.values[parameter.index]) for parameter in prepared.parameters]
    for launch in range(len(prepared.sized.kernel.launches)):

        def run_core(number: int, launch: int = launch) -> None:
            Core(number, launch, ends_at=prepared.ends_at).require_time()
            compiled.run([*arguments, *prepared.schedule_arguments(launch, number)])

        _map(run_core, numbers, threads)
    return Execution(results(prepared, arrays), prepared.sized.kernel, prepared.sized.plan, counts=(), findings=())


def results(prepared: Prepared, arrays: Mapping[int, Array]) -> dict[str, Any]:
    """What the kernel writes, by name, of the arrays of all tensors by parameter."""
    out: dict[str, Any] = {}
    for parameter in prepared.tensors:
        if parameter.access in ("write", "read_write"):
            array = np.ascontiguousarray(arrays[parameter.index]).reshape(arrays[parameter.index].shape)
            name = parameter.name if parameter.name not in out else f"{parameter.name}_{parameter.index}"
            out[name] = to_torch(array) if prepared.wants_torch else array
    return out


def _run_once(prepared: Prepared, program: Program, numbers: list[int], threads: int, poison: Poison | None) -> _Pass:
    tensors = _tensors(prepared, poison)
    arguments = [tensors.get(parameter.index, prepared.values[parameter.index]) for parameter in prepared.parameters]
    added = [parameter.dtype.type for parameter in program.parameters[len(arguments) :]]
    cores: list[Core] = []
    for launch in range(len(prepared.sized.kernel.launches)):

        def run_core(number: int, launch: int = launch) -> Core:
            own = zip(added, prepared.schedule_arguments(launch, number), strict=True)
            core = Core(number, launch, poison=poison, ends_at=prepared.ends_at)
            core.require_time()
            program.run(core, [*arguments, *(dtype(value) for dtype, value in own)])
            return core

        for tensor in tensors.values():
            tensor.begin_launch()
        cores += _map(run_core, numbers, threads)
        for tensor in tensors.values():
            tensor.end_launch()
    for parameter in prepared.tensors:
        if parameter.access == "write":  # what nobody wrote is what was there
            tensor = tensors[parameter.index]
            kept = ~tensor.ledger.is_written
            tensor.elements[kept] = prepared.values[parameter.index][kept]
    return _Pass(tensors, cores)


def _tensors(prepared: Prepared, poison: Poison | None) -> dict[int, Tensor]:
    tensors = {}
    for parameter, buffer in zip(prepared.tensors, prepared.sized.kernel.buffers, strict=True):
        array = prepared.values[parameter.index]
        if poison is not None and parameter.access == "write":
            array = poison.fill(array.shape, array.dtype)
        edge = prepared.sized.edges[parameter.index]
        tensors[parameter.index] = Tensor(buffer, array, edge, prepared.sized.workload, poison)
    return tensors


def _map(function: Callable[[int], _Done], numbers: list[int], threads: int) -> list[_Done]:
    if threads == 1:
        return [function(number) for number in numbers]
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(function, number) for number in numbers]
        try:
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)


def _compare(prepared: Prepared, plain: _Pass, poisoned: _Pass, poison: Poison) -> None:
    """Refuse a result that depends on what unwritten memory holds."""
    for index, tensor in plain.tensors.items():
        other = poisoned.tensors[index]
        different = differ(tensor.elements, other.elements)
        if not different.any():
            continue
        element = tuple(int(i) for i in np.argwhere(different)[0])
        writer = other.ledger.last_writer(element) or tensor.ledger.last_writer(element)
        who = "no core" if writer is None else prepared.sized.workload.describe(*writer)
        raise refusal(
            "TT917",
            f"tensor `{tensor.name}`: element {element}, which {who} writes, is {tensor.elements[element]} where "
            f"unwritten memory holds 0, and {other.elements[element]} where it holds {poison.pattern}; "
            f"{_culprit(prepared, writer, poisoned.cores)}\nhelp: write all that is read, as T.clear and T.fill do",
        )


def _culprit(prepared: Prepared, writer: tuple[int, int] | None, cores: Iterable[Core]) -> str:
    """Which buffer was read before it was written: by the writer of an element, or else by anybody."""
    reads = [(core, unwritten) for core in cores for unwritten in core.unwritten]
    if writer is not None:
        core, turn = prepared.sized.workload.core_and_turn(*writer)
        own = [one for one in reads if (one[0].number, one[1].launch) == (core, writer[0])]
        reads = [one for one in own if one[1].turn == turn] or own or reads
    if not reads:
        return "expected it to depend on nothing in padding"
    return _said(reads[0][1])


def _said(unwritten: Unwritten) -> str:
    return f"element {unwritten.index} of `{unwritten.buffer}` is read before it is written"


_Engine: TypeAlias = Callable[[Prepared, list[int], int, list[Poison]], Execution]
_ENGINES: dict[str, _Engine] = {"reference": _run_reference, "llvm": _run_llvm}
