"""Target "tenstorrent" in TVM: ``tvm.compile(mod, target="tenstorrent", tir_pipeline="tenstorrent")``."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..errors import refusal
from . import lowering
from .attribute import Attribute
from .payload import unpack
from .target import KIND, NAME, is_ours, make_target

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.target import Target
    from tvm.tirx import PrimFunc

    from ..plan import Plan

_SHOW = "tilelang.tt.show"
# A function of every library, which shows the kernels that the library carries.
_KERNELS = "tilelang_tt_kernels"
_shown: ContextVar[list[str]] = ContextVar("shown")


def register() -> None:
    """Make TVM compile for our targets; one that has no such pipelines refuses them by itself."""
    import tvm_ffi

    try:
        from tvm.runtime import Executable
        from tvm.tirx import register_tir_pipeline
    except ImportError:
        return
    register_tir_pipeline(NAME, _pipeline)
    _register_build()
    tvm_ffi.register_global_func(_SHOW, lambda text: _shown.get().append(str(text)), override=True)
    Executable.plan = Attribute("plan", plan_of, _is_ours)
    Executable.source = Attribute("source", source_of, _is_ours)
    Executable.backend = Attribute("backend", lambda executable: "reference", _is_ours)
    lowering.register_launcher()


def _register_build() -> None:
    """The host builds device code by the kind of the target alone, and that kind is not ours."""
    import tvm_ffi

    name = f"target.build.{KIND}"
    build_of_others = tvm_ffi.get_global_func(name, allow_missing=True)

    def build(mod: "IRModule", target: "Target") -> Any:
        if is_ours(target):
            lowering.source(mod)  # refuses what is not ours
            return None  # no module: the host's code has all that it runs
        if build_of_others is None:
            raise ValueError(f"Cannot find global function {name}")  # as the host says it
        return build_of_others(mod, target)

    tvm_ffi.register_global_func(name, build, override=True)


def build(func: "PrimFunc", target: "Target", **how: Any) -> Any:
    """What ``tvm.compile`` gives for a target of ours."""
    import tvm

    return tvm.compile(func, target=target, **{"tir_pipeline": NAME, **how})


def plan_of(executable: Any) -> "Plan":
    """The plan of the kernels that a library carries; what ``tvm.compile`` gives has it as its attribute ``plan`` too.

    Args:
        executable: What ``tvm.compile`` gives, or ``tvm.runtime.load_module`` of what that has exported.

    Raises:
        ArgumentError: It has not been compiled for a target of ours.
    """
    from ..plan import make_plan

    return make_plan(_kernels_of(executable))


def source_of(executable: Any) -> str:
    """The plan as text and the program of a core, of each kernel that a library carries.

    What ``tvm.compile`` gives has it as its attribute ``source`` too.

    Args:
        executable: As of :func:`plan_of`.

    Raises:
        ArgumentError: It has not been compiled for a target of ours.
    """
    from tvm import tirx
    from tvm.ir import IRModule

    kernels = tirx.transform.BindTarget(make_target().with_host("c"))(_kernels_of(executable))
    return lowering.source(IRModule({item.name: item.program for item in lowering.lower(kernels)}))


def _pipeline() -> tuple[Any, Any, Any]:
    """The three parts that TVM expects: for the module, then for the host's functions, then for the device's."""
    from tvm import tirx
    from tvm.ir.transform import Sequential, module_pass

    lower = module_pass(lambda mod, _: _lower(mod), opt_level=0, name=f"tt.{NAME}")
    _, finalize_host, _ = tirx.get_tir_pipeline("default")

    def finalize() -> Any:
        # LLVM has no names for pointers to these dtypes, and crashes where one is left.
        legalize = [tirx.transform.FP8StorageLegalize(), tirx.transform.BF16StorageLegalize()]
        return Sequential([*legalize, finalize_host()])

    return Sequential([lower, tirx.transform.MakePackedAPI()]), finalize, lambda: Sequential([])


def _lower(mod: "IRModule") -> "IRModule":
    from tvm import tirx

    lowered = lowering.lower(mod)
    out = lowering.to_module(lowered)
    if lowered:
        calls = [tirx.Evaluate(tirx.call_packed(_SHOW, item.text)) for item in lowered]
        show = tirx.PrimFunc([], tirx.stmt_seq(*calls))
        out[_KERNELS] = show.with_attr({"global_symbol": _KERNELS, "target": lowered[0].entry.attrs["target"]})
    return out


def _is_ours(executable: Any) -> bool:
    module = getattr(executable, "mod", executable)
    return hasattr(module, "implements_function") and bool(module.implements_function(_KERNELS))


def _kernels_of(executable: Any) -> "IRModule":
    from tvm.ir import IRModule

    if not _is_ours(executable):
        raise refusal(
            "TT944", f'found {type(executable).__name__}; expected what tvm.compile gives for target "{NAME}"'
        )
    texts: list[str] = []
    token = _shown.set(texts)
    try:
        executable[_KERNELS]()
    finally:
        _shown.reset(token)
    return IRModule({str(func.attrs["global_symbol"]): func for func in map(unpack, texts)})
