"""What the channels of the log say of each stage: a line for what was decided, the IR as detail."""

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .device import Device
from .metadata import core_program_attrs, launch_attrs, list_buffer_attrs

if TYPE_CHECKING:
    from .plan import Plan


def tell(stage: str, module: Any) -> None:
    """Log what a stage has decided for each kernel, or core program, of a module."""
    log = logging.getLogger(f"tilelang.tt.{stage}")
    if not log.isEnabledFor(logging.INFO):
        return
    import tvm_ffi

    is_result = tvm_ffi.get_global_func(f"tilelang.tt.is_{'core_program' if stage == 'program' else 'kernel'}")
    for var, func in module.functions.items():
        if is_result(func):
            for line in _LINES[stage](func):
                log.info("%s: %s", var.name_hint, line)
            log.debug("%s is now\n%s", var.name_hint, _Script(func))


def tell_plan(plan: "Plan") -> None:
    """Log what has been planned, and what is to be warned of."""
    log = logging.getLogger("tilelang.tt.plan")
    for kernel in plan.kernels:
        for number, launch in enumerate(kernel.launches):
            log.info(
                "%s: launch %d of %d on %s, %s bytes of L1, %d tensors, %d warnings",
                kernel.name,
                number + 1,
                len(kernel.launches),
                kernel.device.name,
                launch.on_chip.l1_bytes,
                len(kernel.buffers),
                len(kernel.warnings),
            )
        for warning in kernel.warnings:
            log.warning("%s: %s: %s", kernel.name, warning.code, warning.message)
        log.debug("%s", plan)


class _Script:
    """A function that is printed when a record is written, and not before."""

    def __init__(self, func: Any) -> None:
        self._func = func

    def __str__(self) -> str:
        import tvm_ffi

        if not tvm_ffi.get_global_func("tilelang.tt.is_printable")(self._func):
            return "IR that its host cannot print"
        return str(self._func.script())


def _defaults(func: Any) -> Iterator[str]:
    inputs = ("schedule_policy", "schedule_order", "core_order", "layout_type", "tile_height", "tile_width")
    yield ", ".join([Device.of(func).name, *(f"{name} {func.attrs[f'tt_{name}']}" for name in inputs)])


def _schedule(func: Any) -> Iterator[str]:
    policy = func.attrs["tt_schedule_policy"]
    for launch in launch_attrs(func):
        grid = " x ".join(str(launch[f"tt_grid_{axis}"]) for axis in "xyz")  # type: ignore[literal-required]
        yield (
            f"grid {grid} = {launch['tt_num_tiles']} work tiles on {launch['tt_num_active_cores']} of "
            f"{launch['tt_num_cores']} cores, {policy}{_per_core(launch)}"
        )


def _per_core(launch: Any) -> str:
    if "tt_tiles_per_core" not in launch:
        return ""
    counts = [count for _, count in launch["tt_tiles_per_core"] if count]
    return f", {' to '.join(map(str, sorted({min(counts), max(counts)})))} each"


def _shard(func: Any) -> Iterator[str]:
    for buffer in list_buffer_attrs(func):
        yield (
            f"{buffer['name']} is {buffer['tt_num_pages']} pages of {buffer['tt_aligned_page_size']} bytes, "
            f"{buffer['tt_data_format']}, {buffer['tt_layout']}"
        )


def _verify(func: Any) -> Iterator[str]:
    yield "the results are those of inference"


def _program(func: Any) -> Iterator[str]:
    for launch in core_program_attrs(func):
        yield f"each core is given {', '.join(launch)}"


_LINES: dict[str, Callable[[Any], Iterator[str]]] = {
    "defaults": _defaults,
    "schedule": _schedule,
    "shard": _shard,
    "verify": _verify,
    "program": _program,
}
