"""That the arguments of a kernel are those that its schedule, its parameters and its tensors give."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from .findings import Findings, number, shown
from .model import Kernel, Launch, RuntimeArgument

Run: TypeAlias = tuple[int, int, int, int]
"""``start, length, stride, repeat`` of work tiles."""
Shares: TypeAlias = list[list[Run]]
"""The runs of every core, by its number."""

_KT_TILES = 4
_NO_KT_TILES = RuntimeArgument("kt_tiles", "uint32", "common", "none", "compile_time", 1, None, None)


def check_arguments(
    kernel: Kernel, launch: Launch, shares: Shares, num_tiles: int, where: str, findings: Findings
) -> None:
    """Adds a finding for each argument that is missing, left over, or not what it should be.

    What the kernel alone gives stands between the arguments of the schedule and the addresses.
    """
    found = launch.runtime_arguments
    kt_tiles = found[_KT_TILES] if len(found) > _KT_TILES else _NO_KT_TILES
    first = list(_schedule_arguments(launch, shares, num_tiles, kt_tiles))
    middle = found[len(first) : max(len(found) - len(kernel.buffers), len(first))]
    expected = [*first, *middle]
    expected += _addresses(kernel, {argument.name for argument in expected})
    for position, argument in enumerate(expected):
        if position < len(found):
            _compare(found[position], argument, f"{where}/{position}", findings)
        else:
            findings.add("TT828", where, f"argument {position} is missing; expected {argument.name}")
    for position in range(len(expected), len(found)):
        findings.add("TT828", f"{where}/{position}", f"found {shown(found[position].name)} after the last argument")
    _check_kt_tiles(kt_tiles, middle, f"{where}/{_KT_TILES}", findings)
    for position, argument in enumerate(middle, len(first)):
        _check_kernel_argument(argument, f"{where}/{position}", findings)
    _check_names(found, where, findings)
    _check_parameters(kernel, middle, where, findings)


def _schedule_arguments(
    launch: Launch, shares: Shares, num_tiles: int, kt_tiles: RuntimeArgument
) -> Iterator[RuntimeArgument]:
    """Those that the schedule gives, with kt_tiles in its place."""

    def per_core(name: str, largest: int) -> RuntimeArgument:
        return RuntimeArgument(name, _word(largest), "per_core", "schedule", "launch", None, None, None)

    def common(name: str, value: int) -> RuntimeArgument:
        return RuntimeArgument(name, _word(value), "common", "schedule", "compile_time", value, None, None)

    x, y, z = map(number, launch.grid)
    yield per_core("start_id", num_tiles - 1)
    yield per_core("count", max(sum(length * repeat for _, length, _, repeat in runs) for runs in shares))
    yield common("grid_x", x)
    yield common("grid_y", y)
    yield kt_tiles
    if z != 1:
        yield common("grid_z", z)
    if all(len(runs) < 2 and all(repeat == 1 for *_, repeat in runs) for runs in shares):
        return
    for place in range(1, max(map(len, shares)) + 1):
        suffix = f"_{place}" if place > 1 else ""
        for name in ("start", "length", "stride", "repeat")[place == 1 :]:
            yield per_core(f"run_{name}{suffix}", num_tiles)


def _addresses(kernel: Kernel, taken: set[str]) -> Iterator[RuntimeArgument]:
    for buffer in kernel.buffers:
        name = _unused(f"{buffer.name}_addr", taken)
        taken.add(name)
        yield RuntimeArgument(name, "uint32", "common", "buffer", "launch", None, None, buffer.param_index)


def _word(largest: int) -> str:
    return "uint32" if largest < 1 << 32 else "uint64"


def _compare(found: RuntimeArgument, expected: RuntimeArgument, where: str, findings: Findings) -> None:
    for name in RuntimeArgument.__dataclass_fields__:
        one, other = getattr(found, name), getattr(expected, name)
        findings.expect("TT828", f"{where}/{name}", one, other, f"the {name} of {expected.name}")


def _check_kt_tiles(
    argument: RuntimeArgument, others: Iterable[RuntimeArgument], where: str, findings: Findings
) -> None:
    """How many tiles a product sums over is in the kernel alone; whether the fields agree is in the plan."""
    findings.expect("TT828", f"{where}/name", argument.name, "kt_tiles", "the fifth argument")
    if argument.source == "none":
        _compare(argument, _NO_KT_TILES, where, findings)
    elif argument.source == "unresolved":
        _expect_fields(argument, where, findings, dtype="uint32", bound="launch", value=None, param_index=None)
        if not argument.reason:
            findings.add("TT828", f"{where}/reason", "found none; expected why kt_tiles is not known")
    elif argument.source == "kernel":
        _check_kernel_argument(argument, where, findings)
    else:
        message = f"found {shown(argument.source)}; expected one of none, kernel, unresolved"
        findings.add("TT828", f"{where}/source", message)
    findings.expect("TT828", f"{where}/scope", argument.scope, "common", "as every core sums over as many")
    each = [other for other in others if other.name.startswith("kt_tiles_") and other.source == "kernel"]
    values = {other.value for other in each}
    if each and (argument.source != "unresolved" or len(values) < max(len(each), 2)):
        message = f"found kt_tiles of {len(each)} products beside it; expected those of several that differ, or none"
        findings.add("TT828", where, message)


def _check_kernel_argument(argument: RuntimeArgument, where: str, findings: Findings) -> None:
    if argument.source == "parameter":
        _expect_fields(argument, where, findings, scope="common", bound="launch", value=None, reason=None)
        return
    value = argument.value
    is_number = isinstance(value, int)
    if value is None or (isinstance(value, int) and value < 1) or argument.source != "kernel":
        message = f"{argument.name} of source {shown(argument.source)} has the value {shown(value)}; "
        findings.add("TT828", where, message + "expected a size that follows from the kernel, or a parameter")
        return
    dtype = _word(value) if isinstance(value, int) else "uint32"
    bound = "compile_time" if is_number else "launch"
    _expect_fields(argument, where, findings, dtype=dtype, scope="common", bound=bound, reason=None, param_index=None)


def _expect_fields(argument: RuntimeArgument, where: str, findings: Findings, **expected: object) -> None:
    for name, value in expected.items():
        found = getattr(argument, name)
        findings.expect("TT828", f"{where}/{name}", found, value, f"of the {argument.source} argument {argument.name}")


def _unused(name: str, taken: set[str]) -> str:
    """With the first of the suffixes _1, _2, ... that makes it new."""
    out, suffix = name, 1
    while out in taken:
        out, suffix = f"{name}_{suffix}", suffix + 1
    return out


def _check_names(arguments: Iterable[RuntimeArgument], where: str, findings: Findings) -> None:
    seen: dict[str, int] = {}
    for position, argument in enumerate(arguments):
        if seen.setdefault(argument.name, position) != position:
            message = f"found {shown(argument.name)}, the name of argument {seen[argument.name]} too"
            findings.add("TT828", f"{where}/{position}/name", message)


def _check_parameters(kernel: Kernel, middle: Iterable[RuntimeArgument], where: str, findings: Findings) -> None:
    """Every parameter is a scalar or a tensor, and stands in its order among its like."""
    # A scalar without an index stands nowhere.
    stated = [argument.param_index for argument in middle if argument.source == "parameter"]
    scalars = [-1 if index is None else index for index in stated]
    tensors = [buffer.param_index for buffer in kernel.buffers]
    all_of_them = list(range(len(scalars) + len(tensors)))
    if sorted([*scalars, *tensors]) != all_of_them or any(own != sorted(own) for own in (scalars, tensors)):
        message = f"scalars have the indices {shown(stated)} and tensors {shown(tensors)}; "
        findings.add("TT828", where, message + "expected all parameters, each once and in their order")
