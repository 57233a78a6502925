"""The Tenstorrent extension for TVM and TileLang.

Decides which Tensix core runs which part of a kernel's launch grid and how every tensor is tiled,
padded and placed in memory, and writes that into the IR::

    from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule, infer_default_tt_shard
    mod = infer_default_tt_shard(infer_default_tt_schedule(apply_tt_defaults(mod)))
"""

try:
    from . import _native  # noqa: F401
except ImportError as error:
    raise ImportError(
        "the native modules of tilelang.tt are not beside its Python files: this is a source folder, or the package "
        "was built for another Python; install it with pip, and start Python outside of the source folder"
    ) from error

import importlib
import os
from typing import TYPE_CHECKING, Any

from . import _library, errors, transform
from ._counters import counters
from ._imports import when_imported
from ._version import __version__
from .device import Device, devices
from .errors import explain
from .layout import Layout, PageLocation, Shard, annotate_tt_layout, page_location
from .metadata import (
    AccumulatorAttrs,
    BufferAttrs,
    CircularBufferAttrs,
    OnChipAttrs,
    ProductAttrs,
    RuntimeArg,
    ScheduleAttrs,
    ShardAttrs,
    SubBlockAttrs,
    TrafficAttrs,
    TransferAttrs,
    buffer_attrs,
    core_program_attrs,
    launch_attrs,
    list_buffer_attrs,
    on_chip_attrs,
    schedule_attrs,
    traffic_attrs,
)
from .passes import (
    grid_to_persistent,
    infer_default_tt_schedule,
    infer_default_tt_shard,
    pipeline,
    threads_to_loops,
    verify_tt_metadata,
)
from .runtime_args import RuntimeArgs, runtime_args
from .specialize import specialize
from .target import apply_tt_defaults
from .tile_order import tile_coordinates, tile_ids
from .work_split import (
    WorkSplits,
    corerange_to_cores,
    grid_to_cores,
    num_cores_to_corerangeset,
    split_work_to_cores,
    split_work_to_cores_bulk,
)

if TYPE_CHECKING:
    from .executor import execute
    from .logs import set_logs
    from .service import CompiledKernel, Search, Step, WorkerPool, compile, compile_many
    from .service.cache import cache
    from .service.cache.artifacts import CacheArtifacts, load_cache_artifacts, save_cache_artifacts

__all__ = [
    "AccumulatorAttrs",
    "BufferAttrs",
    "CacheArtifacts",
    "CircularBufferAttrs",
    "CompiledKernel",
    "Device",
    "Layout",
    "OnChipAttrs",
    "PageLocation",
    "ProductAttrs",
    "RuntimeArg",
    "RuntimeArgs",
    "ScheduleAttrs",
    "Search",
    "Shard",
    "ShardAttrs",
    "Step",
    "SubBlockAttrs",
    "TrafficAttrs",
    "TransferAttrs",
    "WorkSplits",
    "WorkerPool",
    "__version__",
    "annotate_tt_layout",
    "apply_tt_defaults",
    "buffer_attrs",
    "cache",
    "compile",
    "compile_many",
    "core_program_attrs",
    "corerange_to_cores",
    "counters",
    "devices",
    "errors",
    "execute",
    "explain",
    "grid_to_cores",
    "grid_to_persistent",
    "infer_default_tt_schedule",
    "infer_default_tt_shard",
    "launch_attrs",
    "list_buffer_attrs",
    "load_cache_artifacts",
    "num_cores_to_corerangeset",
    "on_chip_attrs",
    "page_location",
    "pipeline",
    "runtime_args",
    "save_cache_artifacts",
    "schedule_attrs",
    "set_logs",
    "specialize",
    "split_work_to_cores",
    "split_work_to_cores_bulk",
    "threads_to_loops",
    "tile_coordinates",
    "tile_ids",
    "traffic_attrs",
    "transform",
    "verify_tt_metadata",
]


# What needs numpy, or more, is imported when it is asked for.
_LAZY = {
    "CacheArtifacts": "service.cache.artifacts",
    "CompiledKernel": "service",
    "WorkerPool": "service",
    "cache": "service.cache",
    "compile": "service",
    "Search": "service",
    "Step": "service",
    "compile_many": "service",
    "execute": "executor",
    "load_cache_artifacts": "service.cache.artifacts",
    "save_cache_artifacts": "service.cache.artifacts",
    "set_logs": "logs",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# By name the passes are in the host's registry from here on, or from when a host is imported.
_library.load_beside_ffi()


def _register_target() -> None:
    from . import backend

    backend.register()


when_imported("tvm", _register_target)


def _set_up_logs() -> None:
    importlib.import_module(f"{__name__}.logs")  # reads the variables; it may be what imports logging


if os.environ.get("TILELANG_TT_LOGS"):
    _set_up_logs()
else:
    when_imported("logging", _set_up_logs)
