"""Kernels executed: every core of the device with its own runtime arguments only, on tensors as the plan lays them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from .. import passes
from ..errors import refusal
from ..metadata import core_program_attrs, launch_attrs, list_buffer_attrs
from ..plan import Kernel, Plan, make_plan
from ..plan.tilize import padding_element
from ..runtime_args import runtime_args
from ..specialize import specialize
from ..target import apply_tt_defaults
from .arrays import Parameter, assign, dtype_of, find_sizes, is_torch, known_shape, to_numpy, to_torch
from .counts import BufferCounts, count
from .ledger import Workload, differ
from .memory import Array, Core, Poison, Unwritten
from .program import Program
from .tensor import Edge, Tensor

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

Order: TypeAlias = "str | Sequence[int] | None"
_Done = TypeVar("_Done")

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


def execute(
    mod: "IRModule | PrimFunc",
    *arrays: Any,
    device: Any = None,
    policy: str | None = None,
    engine: str = "reference",
    threads: int = 1,
    order: Order = None,
    poison: bool = False,
    seed: int = 0,
    kernel: str | None = None,
    **inputs: Any,
) -> Any:
    """Execute a kernel, core after core, and give what it writes.

    Args:
        mod: A PrimFunc, or an IRModule, with the kernel: as its author wrote it, with inputs set on it, or planned.
        *arrays: One for each parameter, or for each that is not only written, in their order: arrays of numpy or
            tensors of torch, of the parameters' dtypes and shapes; numbers for scalars. None is changed. A tensor that
            is only written may also be None.
        device: As of :func:`tilelang.tt.apply_tt_defaults`.
        policy: Its ``schedule_policy``.
        engine: ``"reference"``, the interpreter, or ``"llvm"``, which compiles the kernel for the CPU.
        threads: How many cores are executed at the same time.
        order: In which order cores begin: None for that of their numbers, ``"random"``, or all numbers in a list.
        poison: Execute the kernel again with NaN, infinities and random bits in all memory that nobody has written, and
            refuse a result that depends on them. Cores then run one after the other.
        seed: Of the random order and the random bits.
        kernel: Which kernel of a module that has several.
        **inputs: The other keyword arguments of :func:`tilelang.tt.apply_tt_defaults`.

    Returns:
        An array of what the kernel writes, or a tuple of them in parameter order; tensors of torch where one was given.
        Elements that no core writes are those of the array that was given, or zero.

    Raises:
        ArgumentError: An argument is missing, or of another kind or dtype than its parameter.
        ShapeError: An array is of another shape, or arrays do not agree about a shape variable.
        OptionError: An option has a value that does not exist.
        NotCoveredError: The kernel has an operation that is not covered; nothing has been executed.
        ExecutionError: What the kernel does has no meaning: an access outside of a buffer, work tiles that write over
            each other, or a result that depends on memory that nobody has written.
        TTError: Whatever :func:`tilelang.tt.plan.make_plan` refuses.
    """
    options = {"device": device, "policy": policy, "engine": engine, "threads": threads, "order": order}
    return run(mod, *arrays, **options, poison=poison, seed=seed, kernel=kernel, **inputs).result


def run(
    mod: "IRModule | PrimFunc",
    *arrays: Any,
    device: Any = None,
    policy: str | None = None,
    engine: str = "reference",
    threads: int = 1,
    order: Order = None,
    poison: bool = False,
    seed: int = 0,
    kernel: str | None = None,
    **inputs: Any,
) -> Execution:
    """Execute a kernel as :func:`tilelang.tt.execute` does, and give all that is known of it.

    Args:
        mod: As of :func:`tilelang.tt.execute`, and so are all the others.
        *arrays: As there.
        device: As there.
        policy: As there.
        engine: As there.
        threads: As there.
        order: As there.
        poison: As there.
        seed: As there.
        kernel: As there.
        **inputs: As there.

    Raises:
        TTError: As there.
    """
    given = {"device": device, "schedule_policy": policy}
    inputs |= {name: value for name, value in given.items() if value is not None}
    if not isinstance(engine, str) or engine not in _ENGINES:
        raise refusal("TT914", f"engine is {engine!r}; expected one of: {', '.join(_ENGINES)}")
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise refusal("TT914", f"threads is {threads!r}; expected a number of threads, at least 1")
    if not isinstance(seed, int) or seed < 0:
        raise refusal("TT914", f"seed is {seed!r}; expected an integer, at least 0")
    prepared = Prepared(mod, arrays, kernel, inputs)
    numbers = _in_order(order, prepared.workload.num_cores, seed)
    return _ENGINES[engine](prepared, numbers, threads, [Poison(one, seed) for one in _PATTERNS] if poison else [])


def _in_order(order: Order, num_cores: int, seed: int) -> list[int]:
    """The numbers of all cores."""
    if order is None:
        return list(range(num_cores))
    if isinstance(order, str) and order == "random":
        return [int(number) for number in np.random.default_rng(seed).permutation(num_cores)]
    if isinstance(order, str) or not isinstance(order, Iterable) or sorted(order) != list(range(num_cores)):
        raise refusal("TT914", f'order is {order!r:.60}; expected "random", or the numbers 0 to {num_cores - 1}')
    return [int(number) for number in order]


class Prepared:
    """A kernel and its arguments, before any engine.

    Attributes:
        parameters: Of the kernel.
        values: An array or a numpy scalar for each of them; of tensors that are only written and left out, zeros.
        plan: Of the kernel, for these sizes.
        kernel: Its record in the plan.
        workload: Its work tiles.
        core_program: The function that every core runs. Its first parameters are those of the kernel.
        edges: What accesses outside of each tensor mean, by parameter.
    """

    def __init__(self, mod: Any, arrays: Sequence[Any], name: str | None, inputs: Mapping[str, Any]) -> None:
        import tvm_ffi

        self.name, completed = passes.kernel_of(apply_tt_defaults(mod, **inputs), name)
        inferred = tvm_ffi.get_global_func("tilelang.tt.infer")(completed)[0]
        self.parameters = _parameters(inferred)
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
        variables = {str(var.name) for var in tvm_ffi.get_global_func("tilelang.tt.shape_variables")(inferred)}
        # A scalar that is no size may be less than 1; then nothing that is planned depends on it.
        self.sizes = {key: size for key, size in sizes.items() if key in variables and size >= 1}
        self.plan = _plan(self.name, inferred, self.sizes)
        self.kernel = self.plan.kernel()
        self.workload = Workload(self.kernel)
        self.core_program = passes.grid_to_persistent(inferred)
        self.edges = self._edges(tvm_ffi.get_global_func("tilelang.tt.over_the_edge")(inferred))
        self._schedule_args = self._arguments(inferred)

    @property
    def tensors(self) -> list[Parameter]:
        """The parameters that are tensors; the plan's buffers are in the same order."""
        return [parameter for parameter in self.parameters if parameter.shape is not None]

    def _edges(self, over_the_edge: Any) -> dict[int, Edge]:
        is_defined, texts = bool(over_the_edge[0]), [str(text) for text in over_the_edge[1]]
        edges = {}
        for parameter, buffer in zip(self.tensors, self.kernel.buffers, strict=True):
            text = texts[parameter.index]
            is_known = is_defined and text != "unknown"
            value = padding_element(buffer, text).view(dtype_of(parameter.dtype)) if is_known else None
            edges[parameter.index] = Edge(is_defined, value)
        return edges

    def _arguments(self, inferred: Any) -> list[list[list[int]]]:
        """Of each launch and each core, what it gets beyond the kernel's own arguments."""
        several = len(launch_attrs(inferred)) > 1
        added = len(self.core_program.params) - len(self.parameters)
        launches = []
        for number, places in enumerate(core_program_attrs(self.core_program)):
            known = runtime_args(inferred, {}, number if several else None, **self.sizes)
            table = np.zeros((self.workload.num_cores, added), np.int64)
            for name, place in places.items():
                table[:, place - len(self.parameters)] = (known.per_core | known.common)[name]
            launches.append(table.tolist())
        return launches

    def schedule_arguments(self, launch: int, core: int) -> list[int]:
        """What a core gets beyond the kernel's own arguments; of the launches that it does not run, zeros."""
        return self._schedule_args[launch][core]


def _plan(name: str, func: Any, sizes: Mapping[str, int]) -> Plan:
    from tvm.ir import IRModule

    return make_plan(IRModule({name: specialize(func, **sizes) if sizes else func}))


def _parameters(inferred: Any) -> list[Parameter]:
    tensors = {entry["param_index"]: entry for entry in list_buffer_attrs(inferred)}
    out = []
    for index, variable in enumerate(inferred.params):
        entry = tensors.get(index)
        if entry is not None:
            shape = tuple(entry["shape"])
            out.append(Parameter(index, entry["name"], entry["dtype"], shape, entry["tt_access"]))
        else:
            dtype = str(variable.dtype if hasattr(variable, "dtype") else variable.ty.dtype)
            out.append(Parameter(index, str(variable.name), dtype, None, "read"))
    return out


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
    program = Program(passes.threads_to_loops(prepared.core_program))
    first = _run_once(prepared, program, numbers, 1 if poisons else threads, None)
    for poison in poisons:
        _compare(prepared, first, _run_once(prepared, program, numbers, 1, poison), poison)
    ledgers = [tensor.ledger for tensor in first.tensors.values()]
    return Execution(
        outputs=results(prepared, {index: tensor.elements for index, tensor in first.tensors.items()}),
        kernel=prepared.kernel,
        plan=prepared.plan,
        counts=count(prepared.kernel, prepared.workload.launches, ledgers),
        findings=tuple(finding for ledger in ledgers for finding in ledger.findings()),
    )


def _run_llvm(prepared: Prepared, numbers: list[int], threads: int, poisons: list[Poison]) -> Execution:
    """On the logical arrays: there is no padding, and nothing is counted."""
    from . import llvm

    if poisons:
        raise refusal("TT914", 'poison is True; expected False for engine="llvm", which does not watch memory')
    compiled = llvm.Compiled(passes.threads_to_loops(prepared.core_program))
    arrays = {parameter.index: llvm.aligned(prepared.values[parameter.index]) for parameter in prepared.tensors}
    tensors = {index: llvm.tensor(array) for index, array in arrays.items()}
    arguments = [tensors.get(parameter.index, prepared.values[parameter.index]) for parameter in prepared.parameters]
    for launch in range(len(prepared.kernel.launches)):

        def run_core(number: int, launch: int = launch) -> None:
            compiled.run([*arguments, *prepared.schedule_arguments(launch, number)])

        _map(run_core, numbers, threads)
    return Execution(results(prepared, arrays), prepared.kernel, prepared.plan, counts=(), findings=())


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
    for launch in range(len(prepared.kernel.launches)):

        def run_core(number: int, launch: int = launch) -> Core:
            own = zip(added, prepared.schedule_arguments(launch, number), strict=True)
            core = Core(number, launch, poison=poison)
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
    for parameter, buffer in zip(prepared.tensors, prepared.kernel.buffers, strict=True):
        array = prepared.values[parameter.index]
        if poison is not None and parameter.access == "write":
            array = poison.fill(array.shape, array.dtype)
        edge = prepared.edges[parameter.index]
        tensors[parameter.index] = Tensor(buffer, array, edge, prepared.workload, poison)
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
        who = "no core" if writer is None else prepared.workload.describe(*writer)
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
        core, turn = prepared.workload.core_and_turn(*writer)
        own = [one for one in reads if (one[0].number, one[1].launch) == (core, writer[0])]
        reads = [one for one in own if one[1].turn == turn] or own or reads
    if not reads:
        return "expected it to depend on nothing in padding"
    return _said(reads[0][1])


def _said(unwritten: Unwritten) -> str:
    return f"element {unwritten.index} of `{unwritten.buffer}` is read before it is written"


_Engine: TypeAlias = Callable[[Prepared, list[int], int, list[Poison]], Execution]
_ENGINES: dict[str, _Engine] = {"reference": _run_reference, "llvm": _run_llvm}
