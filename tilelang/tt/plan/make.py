"""Making a plan: the attributes of kernels as records."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import _host, transform
from .._version import __version__
from ..device import Device
from ..metadata import launch_attrs, list_buffer_attrs, on_chip_attrs, to_python, traffic_attrs
from ..passes import run_on_kernels, verify_tt_metadata
from .model import (
    Accumulator,
    Buffer,
    CircularBuffer,
    Inputs,
    Kernel,
    KernelProvenance,
    Launch,
    OnChip,
    Persistent,
    PlanWarning,
    Product,
    Provenance,
    RuntimeArgument,
    ShardPlan,
    Source,
    SubBlock,
    TileRange,
    TileRun,
    Traffic,
    TrafficLoop,
    Transfer,
)
from .plan import Plan

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc


def make_plan(mod: "IRModule | PrimFunc", **inputs: Any) -> Plan:
    """Plan every kernel of a module, or one kernel.

    The kernel may come as its author wrote it, with inputs set on it, or with the results of inference, which are then
    verified first. Warnings become a part of the plan and are not raised.

    Args:
        mod: An IRModule or a PrimFunc. It is not changed.
        **inputs: The keyword arguments of :func:`tilelang.tt.apply_tt_defaults`, which win over what is set on the
            kernel.

    Raises:
        ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc, or there is no input of that name.
        NoKernelError: No function in it has a launch grid.
        MetadataError: Results that the kernel carries are not those that inference gives for it.
        TTError: Whatever :func:`tilelang.tt.apply_tt_defaults`, :func:`tilelang.tt.infer_default_tt_schedule` and
            :func:`tilelang.tt.infer_default_tt_shard` refuse.
    """
    planned: list[tuple[Kernel, KernelProvenance]] = []
    run_on_kernels(lambda module: _plan_module(module, inputs, planned), mod)
    planned.sort(key=lambda item: item[0].name)
    kernels, sources = zip(*planned, strict=True) if planned else ((), ())
    host = _host.require_host()
    plan = Plan(kernels, Provenance(__version__, f"{host.name} {host.version}", sources))
    from .._decisions import tell_plan  # with logging, which who only reads plans does not need

    tell_plan(plan)
    return plan


def _plan_module(module: Any, inputs: dict[str, Any], planned: list[tuple[Kernel, KernelProvenance]]) -> Any:
    """The module; appends what is planned of it."""
    import tvm_ffi

    is_kernel = tvm_ffi.get_global_func("tilelang.tt.is_kernel")
    completed = transform.ApplyTTDefaults(**inputs)(module)
    for name, func in completed.functions.items():
        if not is_kernel(func):
            continue
        if not inputs and _has_results(func):
            verify_tt_metadata(func)
        planned.append(_plan_kernel(str(name.name_hint), func, module[name]))
    return module


def _has_results(func: Any) -> bool:
    return any(key in func.attrs for key in ("tt_num_tiles", "tt_launches", "tt_buffers"))


class _Warning(NamedTuple):
    code: str
    message: str
    place: list[Any] | None


def _plan_kernel(name: str, func: Any, written: Any) -> tuple[Kernel, KernelProvenance]:
    import tvm_ffi

    inferred, place, stated = tvm_ffi.get_global_func("tilelang.tt.infer")(func)
    warnings = [_Warning(str(code), str(message), place) for code, message, place in stated]
    on_chip, traffic = on_chip_attrs(inferred), traffic_attrs(inferred)
    kernel = Kernel(
        name=name,
        device=Device.of(inferred),
        inputs=_inputs(inferred),
        shape_variables=tuple(str(var.name) for var in tvm_ffi.get_global_func("tilelang.tt.shape_variables")(func)),
        launches=tuple(map(_launch, launch_attrs(inferred), on_chip, traffic)),
        buffers=tuple(map(_buffer, list_buffer_attrs(inferred))),
        warnings=tuple(PlanWarning(warning.code, warning.message) for warning in warnings),
    )
    sources = tuple(_source(warning.place) for warning in warnings)
    return kernel, KernelProvenance(name, _hash(written), _source(place), sources)


def _hash(func: Any) -> str | None:
    import tvm_ffi

    if not tvm_ffi.get_global_func("tilelang.tt.is_printable")(func):
        return None
    return sha256(func.script().encode()).hexdigest()


def _source(place: Any) -> Source | None:
    if place is None:
        return None
    file, line = Path(str(place[0])), int(place[1])
    try:
        relative = file.resolve().relative_to(Path.cwd())
    except (ValueError, OSError):
        relative = Path(file.name)
    return Source(relative.as_posix(), line)


def _inputs(func: Any) -> Inputs:
    names = Inputs.__dataclass_fields__
    values = {name: to_python(func.attrs[f"tt_{name}"]) for name in names if f"tt_{name}" in func.attrs}
    values = dict.fromkeys(names) | values
    return Inputs(**{**values, "cores": _tuples(values["cores"])})


def _launch(schedule: Any, on_chip: Any, traffic: Any) -> Launch:
    persistent = schedule.get("tt_persistent")
    return Launch(
        grid=tuple(schedule[f"tt_grid_{axis}"] for axis in "xyz"),
        num_tiles=schedule["tt_num_tiles"],
        num_active_cores=schedule["tt_num_active_cores"],
        core_ranges=_tuples(schedule["tt_core_ranges"]),
        tile_runs=tuple(_tile_runs(schedule)),
        tile_range=_tile_range(schedule.get("tt_tile_range")),
        persistent=None if persistent is None else Persistent(**persistent),
        runtime_arguments=tuple(_runtime_argument(entry) for entry in schedule["tt_runtime_args_schema"]),
        on_chip=_on_chip(on_chip),
        traffic=Traffic(
            transfers=tuple(_transfer(entry) for entry in traffic["transfers"]),
            products=tuple(_product(entry) for entry in traffic["products"]),
        ),
    )


def _tile_runs(schedule: Any) -> Iterator[TileRun]:
    if "tt_tile_runs" in schedule:
        for core, runs in enumerate(schedule["tt_tile_runs"]):
            yield from (TileRun(core, *run) for run in runs)
        return
    for core, (start, count) in enumerate(schedule.get("tt_tiles_per_core", [])):
        if count:
            yield TileRun(core, start, count, 0, 1)


def _tile_range(entry: Any) -> TileRange | None:
    return None if entry is None else TileRange(entry["start"], entry["count"], _tuples(entry["runs"]))


def _runtime_argument(entry: Any) -> RuntimeArgument:
    absent = {"value": None, "reason": None, "param_index": None}
    return RuntimeArgument(**{**absent, **entry})


def _on_chip(entry: Any) -> OnChip:
    return OnChip(
        circular_buffers=tuple(_circular_buffer(buffer) for buffer in entry["circular_buffers"]),
        max_circular_buffers=entry.get("max_circular_buffers"),
        l1_bytes=entry["l1_bytes"],
        l1_available_bytes=entry.get("l1_available"),
        accumulators=tuple(_accumulator(buffer) for buffer in entry["accumulators"]),
    )


def _circular_buffer(entry: Any) -> CircularBuffer:
    values = {**entry, "shape": tuple(entry["shape"])}
    return CircularBuffer(page_size_bytes=values.pop("page_size"), size_bytes=values.pop("bytes"), **values)


def _accumulator(entry: Any) -> Accumulator:
    blocks = tuple(SubBlock(**{**block, "subblock": tuple(block["subblock"])}) for block in entry["subblocks"])
    return Accumulator(**{**entry, "subblocks": blocks})


def _transfer(entry: Any) -> Transfer:
    values = {"start": [], "extent": [], "loops": [], "reason": None, **entry}
    return Transfer(
        param_index=values["buffer"],
        access=values["access"],
        start=tuple(values["start"]),
        extent=tuple(values["extent"]),
        loops=tuple(TrafficLoop(*loop) for loop in values["loops"]),
        reason=values["reason"],
    )


def _product(entry: Any) -> Product:
    values = {"m": None, "n": None, "k": None, "dtypes": [], "loops": [], "reason": None, **entry}
    loops = tuple(TrafficLoop(*loop) for loop in values["loops"])
    return Product(**{**values, "dtypes": tuple(values["dtypes"]), "loops": loops})


# Fields of a buffer whose names have their unit, and those of their attributes have not.
_RENAMED = {
    "page_size_bytes": "tt_page_size",
    "aligned_page_size_bytes": "tt_aligned_page_size",
    "accessor_compile_time_args": "tt_accessor_ct_args",
}


def _buffer(entry: Any) -> Buffer:
    values = {name: _field(entry, name) for name in Buffer.__dataclass_fields__}
    values["padded_shape"] = tuple(entry.get("tt_padded_shape", entry["shape"]))
    values["shard"] = None if values["shard"] is None else _shard(values["shard"])
    return Buffer(**values)


def _field(entry: Any, name: str) -> Any:
    value = entry.get(name, entry.get(_RENAMED.get(name, f"tt_{name}")))
    return tuple(value) if isinstance(value, list) else value


def _shard(entry: Any) -> ShardPlan:
    values: dict[str, Any] = {key: _tuples(value) for key, value in entry.items()}
    return ShardPlan(**{"address_if_alone": None, **values})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
