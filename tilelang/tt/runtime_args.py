"""The values that a kernel receives when it runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _native
from .errors import refusal
from .metadata import RuntimeArg, ScheduleAttrs, launch_attrs
from .specialize import check_sizes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class RuntimeArgs:
    """The runtime arguments of one launch, by their names in ``tt_runtime_args_schema`` and in its order.

    Attributes:
        per_core: One value for each of the ``tt_num_cores`` cores, by linear core id: arrays of shape
            ``(tt_num_cores,)`` and of the argument's dtype.
        common: One value for all cores, of the argument's dtype.
        missing: What the host has yet to fill: scalars and addresses that were not given, and what is unresolved.
    """

    per_core: "dict[str, npt.NDArray[Any]]"
    common: dict[str, Any]
    missing: tuple[str, ...]


def runtime_args(
    func: "PrimFunc", given: Mapping[str, Any] | None = None, launch: int | None = None, /, **sizes: int
) -> RuntimeArgs:
    """The values of the runtime arguments of a kernel's launch, for given sizes.

    Args:
        func: A kernel after :func:`tilelang.tt.infer_default_tt_schedule`.
        given: Values of arguments that the schema has none for, by name: scalars, addresses in bytes, and ``kt_tiles``
            where it is unresolved. What is left out is ``missing`` in the result.
        launch: Which launch is meant, in program order; needed where there are several.
        **sizes: Values of shape variables, in elements; at least 1. Integer scalar parameters are among them.

    Raises:
        ArgumentError: ``func`` is no PrimFunc, or a size is no integer.
        MissingInputError: :func:`tilelang.tt.infer_default_tt_schedule` has not been run.
        MultipleLaunchesError: The kernel has several launches, and none is chosen.
        OptionError: A size is missing, unknown or below 1; a given name is no argument, or one that is known; a value
            does not fit the dtype of its argument.
    """
    schedule = _schedule_of(func, launch)
    values = check_sizes(func, sizes)
    filled = dict(given or {})
    per_core, common, missing = {}, {}, []
    columns = _columns(schedule, values)
    for argument in schedule["tt_runtime_args_schema"]:
        name = argument["name"]
        if argument["scope"] == "per_core":
            per_core[name] = _array(argument, columns[name])
        elif (value := _value(argument, filled, values)) is None:
            missing.append(name)
        else:
            common[name] = _scalar(argument, value)
    if filled:
        raise refusal(
            "TT530", f"argument {next(iter(filled))} cannot be given; expected any of: {', '.join(missing) or 'none'}"
        )
    return RuntimeArgs(per_core, common, tuple(missing))


def _schedule_of(func: Any, launch: int | None) -> ScheduleAttrs:
    schedules = launch_attrs(func)
    if launch is None and len(schedules) > 1:
        raise refusal(
            "TT210", f"the kernel has {len(schedules)} launches; say which, as in runtime_args(func, {{}}, 0)"
        )
    position = launch or 0
    if not 0 <= position < len(schedules):
        raise refusal("TT217", f"the kernel has no launch {position}; expected 0 to {len(schedules) - 1}")
    return schedules[position]


def _columns(schedule: ScheduleAttrs, sizes: dict[str, int]) -> dict[str, list[int]]:
    """What differs from core to core."""
    if "tt_tile_range" in schedule:
        shares = list(_evaluate_shares(schedule, sizes))
    else:
        table = schedule["tt_tiles_per_core"]
        runs = schedule["tt_tile_runs"] if "tt_tile_runs" in schedule else [[] for _ in table]
        shares = [(start, count, own) for (start, count), own in zip(table, runs, strict=True)]
    columns = {"start_id": [start for start, _, _ in shares], "count": [count for _, count, _ in shares]}
    for number in range(max(len(runs) for _, _, runs in shares)):
        suffix = f"_{number + 1}" if number else ""
        own = [runs[number] if number < len(runs) else [0, 0, 0, 0] for _, _, runs in shares]
        for position, key in enumerate(("start", "length", "stride", "repeat")):
            columns[f"run_{key}{suffix}"] = [run[position] for run in own]
    return columns


def _evaluate_shares(schedule: ScheduleAttrs, sizes: dict[str, int]) -> Iterator[tuple[int, int, list[list[int]]]]:
    """The start, the count and the runs of every core."""
    formulas = schedule["tt_tile_range"]
    for core in range(schedule["tt_num_cores"]):
        values = {**sizes, "core_id": core}
        runs = [[_number(part, values) for part in run] for run in formulas["runs"]]
        yield _number(formulas["start"], values), _number(formulas["count"], values), runs


def _number(size: int | str, sizes: dict[str, int]) -> int:
    return _native.evaluate(size, sizes) if isinstance(size, str) else size


def _value(argument: RuntimeArg, given: dict[str, Any], sizes: dict[str, int]) -> Any:
    """None where nobody has said it."""
    if "value" in argument:
        return _number(argument["value"], sizes)
    if argument["source"] == "parameter" and argument["name"] in sizes:
        return sizes[argument["name"]]
    return given.pop(argument["name"], None)


def _array(argument: RuntimeArg, values: list[int]) -> "npt.NDArray[Any]":
    import numpy as np

    for value in (min(values), max(values)):
        _scalar(argument, value)
    return np.array(values, argument["dtype"])


def _scalar(argument: RuntimeArg, value: Any) -> Any:
    import numpy as np

    dtype = _dtype(argument["dtype"])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        fits = isinstance(value, (int, np.integer)) and limits.min <= value <= limits.max
    else:
        fits = isinstance(value, (int, float, np.number, np.bool_))
    if not fits:
        raise refusal("TT531", f"argument {argument['name']} is {value!r}; expected a number that fits {dtype.name}")
    return dtype.type(value)


def _dtype(name: str) -> "np.dtype[Any]":
    """Of numpy; its float32 holds what bfloat16 and the 8-bit floats can be."""
    import numpy as np

    return np.dtype(name if name in np.sctypeDict else "float32")
