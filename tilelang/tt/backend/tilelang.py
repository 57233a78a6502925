"""Target "tenstorrent" in TileLang: ``tilelang.compile``, ``tilelang.jit`` and ``tilelang.lower``."""

import importlib
from typing import TYPE_CHECKING, Any

from ..errors import refusal
from . import lowering
from .attribute import Attribute
from .target import KIND, NAME, inputs_of, is_meant, is_ours, normalize

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.target import Target
    from tvm.tirx import PrimFunc

    from ..plan import Plan

# TileLang 0.1.14 and newer have all of it. Versions say nothing: a wheel and its sources have differed.
_NEEDED = {
    "tilelang.backend.module": ("BackendModule", "register_backend"),
    "tilelang.backend.target": ("register_target_normalizer",),
    "tilelang.backend.pass_pipeline": ("PassPipeline",),
    "tilelang.backend.device_codegen": ("DeviceCodegen",),
    "tilelang.backend.host_codegen": ("STANDARD_HOST_CODEGENS",),
    "tilelang.backend.execution_backend": ("ExecutionBackendSpec",),
}


def register() -> None:
    """Make TileLang compile for our targets; an older TileLang refuses them with what it lacks, where it asks us."""
    missing = [f"{module}.{name}" for module, names in _NEEDED.items() for name in names if not _has(module, name)]
    if missing:
        _refuse(missing)
        return
    from tilelang.backend.device_codegen import DeviceCodegen
    from tilelang.backend.execution_backend import ExecutionBackendSpec
    from tilelang.backend.host_codegen import STANDARD_HOST_CODEGENS
    from tilelang.backend.module import BackendModule, register_backend
    from tilelang.backend.pass_pipeline import PassPipeline
    from tilelang.backend.target import register_target_normalizer
    from tilelang.jit.kernel import JITKernel

    class Reference(BackendModule):  # type: ignore[misc]
        """TileLang's record of a back end, which its kernels have as ``backend``; it equals its execution's name."""

        def __eq__(self, other: object) -> bool:
            return other == "reference" if isinstance(other, str) else self is other

        def __repr__(self) -> str:
            return "reference"

        __hash__ = object.__hash__

    register_target_normalizer(NAME, normalize, override=True)
    register_backend(
        Reference(
            name=NAME,
            target_kinds=(KIND,),
            supports_target=is_ours,
            pipelines={KIND: PassPipeline(KIND, _lower)},
            device_codegens={KIND: DeviceCodegen(KIND, build_without_compile=_source_module)},
            host_codegens=STANDARD_HOST_CODEGENS,
            execution_backends=(ExecutionBackendSpec("tvm_ffi", enable_host_codegen=True),),
        )
    )
    JITKernel.plan = Attribute("plan", _plan, lambda kernel: is_ours(kernel.target))
    lowering.register_launcher()


def build(func: "PrimFunc", target: "Target", **how: Any) -> Any:
    """What ``tilelang.compile`` gives for a target of ours."""
    return importlib.import_module("tilelang").compile(func, target=target, **how)


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ImportError:
        return False


def _refuse(missing: list[str]) -> None:
    if not _has("tilelang.backend.target", "register_target_normalizer"):
        return
    from tilelang.backend.target import register_target_normalizer

    def refuse(target: Any) -> None:
        if is_meant(target):
            raise refusal(
                "TT940",
                f'this TileLang cannot compile for target "{NAME}": it has no {", ".join(missing)}\n'
                "help: install TileLang 0.1.14 or newer; tilelang.tt.execute runs kernels without it",
            )

    register_target_normalizer(NAME, refuse, override=True)


def _lower(mod: "IRModule", target: "Target") -> "IRModule":
    import tilelang.transform
    from tvm import tirx

    bound = tirx.transform.BindTarget(target)(mod)
    return tilelang.transform.MakePackedAPI()(lowering.to_module(lowering.lower(bound)))


def _source_module(mod: "IRModule", target: "Target") -> Any:
    """The programs as a module of C that is one comment: of all modules the one that libraries may contain."""
    import tvm_ffi

    text = lowering.source(mod).replace("*/", "* /")
    return tvm_ffi.get_global_func("runtime.CSourceModuleCreate")(f"/*\n{text}\n*/\n", "c", [], [])


def _plan(kernel: Any) -> "Plan":
    """The plan of a kernel that has been compiled for a target of ours."""
    from ..plan import make_plan

    return make_plan(kernel.prim_func, **inputs_of(kernel.target))
