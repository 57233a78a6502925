"""A kernel for the target "tenstorrent": the function that the host calls, and the program of its cores."""

from typing import TYPE_CHECKING, Any, NamedTuple

from .. import transform
from ..errors import refusal
from .payload import pack
from .target import NAME, inputs_of, is_ours

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.target import Target
    from tvm.tirx import PrimFunc

_LAUNCH = "tilelang.tt.launch"
_PLAN = "tilelang_tt_plan"
_DEVICE_KERNEL_LAUNCH = 2  # the host's CallingConv of functions that run on a device


class Lowered(NamedTuple):
    """What a kernel becomes.

    Attributes:
        name: In its module.
        text: The kernel itself with all inputs, as :func:`tilelang.tt.backend.payload.pack` gives it.
        entry: A function of the kernel's parameters, for the host's CPU.
        program: What every core runs.
    """

    name: str
    text: str
    entry: "PrimFunc"
    program: "PrimFunc"


def lower(mod: "IRModule") -> list[Lowered]:
    """Lower all functions of a module, each for the target that it has as an attribute.

    Raises:
        NoKernelError: One of them has no launch grid, or is for another target.
        TTError: Whatever inference, and the passes after it, refuse.
    """
    return [_lower(str(var.name_hint), func, func.attrs["target"]) for var, func in mod.functions.items()]


def to_module(lowered: list[Lowered]) -> "IRModule":
    """Entries and programs beside each other, as hosts expect them before they take them apart.

    An entry that is the only one is also called where the whole module is.
    """
    from tvm import tirx
    from tvm.ir import IRModule

    out = tirx.transform.AnnotateEntryFunc()(IRModule({item.name: item.entry for item in lowered}))
    out.update(IRModule({f"{item.name}_core": item.program for item in lowered}))
    return out


def register_launcher() -> None:
    """Let the libraries that are made of :func:`to_module` find what they call."""
    import tvm_ffi

    tvm_ffi.register_global_func(_LAUNCH, _launch, override=True)


def _launch(text: str, *values: Any) -> None:
    from .launch import launch  # which needs numpy, and is not needed to compile

    launch(text, *values)


def source(programs: "IRModule") -> str:
    """The plan and the program of each kernel as text.

    Raises:
        OptionError: The functions come from another pipeline than this package's.
    """
    texts = []
    for name, func in programs.functions.items():
        if _PLAN not in func.attrs:
            raise refusal(
                "TT941",
                f'function `{name.name_hint}` was lowered for target "{NAME}" by the stock pipeline\n'
                f'help: add tir_pipeline="{NAME}", as in tvm.compile(mod, target="{NAME}", tir_pipeline="{NAME}")',
            )
        texts += [str(func.attrs[_PLAN]), _without_results(func).script()]
    return "\n".join(texts)


def _without_results(program: "PrimFunc") -> "PrimFunc":
    """The program without the attributes that the plan says better."""
    results = [key for key in dict(program.attrs) if key == _PLAN or key.startswith("tt_")]
    for key in results:
        program = program.without_attr(key)
    return program


def _lower(name: str, func: "PrimFunc", target: "Target") -> Lowered:
    import tvm_ffi
    from tvm.ir import IRModule

    if not is_ours(target) or not tvm_ffi.get_global_func("tilelang.tt.is_kernel")(func):
        found = "has no launch grid" if is_ours(target) else f"is for target {target}"
        raise refusal(
            "TT943",
            f'function `{name}` {found}; expected only kernels for target "{NAME}"\n'
            "help: compile it by itself for the CPU, and call both from your program",
        )
    # As everywhere, what is said for this compilation wins over what the kernel carries.
    alone = IRModule({name: func.without_attr("target").with_attr("global_symbol", name)})
    kernel = transform.ApplyTTDefaults(**inputs_of(target))(alone)[name]
    text = pack(kernel)
    return Lowered(name, text, _entry(name, kernel, text, target.host), _program(name, kernel, target))


def _entry(name: str, kernel: "PrimFunc", text: str, host: "Target") -> "PrimFunc":
    """Calls the launcher with the kernel, then as :func:`tilelang.tt.backend.launch.launch` takes its arguments."""
    import tvm_ffi
    from tvm import tirx

    sizes = tvm_ffi.get_global_func("tilelang.tt.shape_variables")(kernel)
    from_shapes = [var for var in sizes if not any(var.same_as(param) for param in kernel.params)]
    call = tirx.call_packed(_LAUNCH, text, *(_argument(kernel, param) for param in kernel.params), *from_shapes)
    buffer_map = {"buffer_map": kernel.buffer_map} if hasattr(kernel, "buffer_map") else {}
    func = tirx.PrimFunc(kernel.params, tirx.Evaluate(call), kernel.ret_type, span=kernel.span, **buffer_map)
    # The host checks arguments against the target: they are tensors in the CPU's memory.
    return func.with_attr({"global_symbol": name, "target": host.with_host(host)})


def _argument(kernel: "PrimFunc", param: Any) -> Any:
    """The address of a tensor, or a scalar."""
    if hasattr(kernel, "buffer_map"):
        return kernel.buffer_map[param].data if param in kernel.buffer_map else param
    return param.data if hasattr(param.ty, "storage_scope") else param


def _program(name: str, kernel: "PrimFunc", target: "Target") -> "PrimFunc":
    from tvm.ir import IRModule

    from ..plan import make_plan  # not before it is needed: importing the package is to be quick

    module = IRModule({name: kernel})
    for pass_ in (
        transform.InferDefaultTTSchedule(),
        transform.InferDefaultTTShard(),
        transform.GridToPersistent(),
        transform.ThreadsToLoops(),
    ):
        module = pass_(module)
    of_device = {"global_symbol": f"{name}_core", "calling_conv": _DEVICE_KERNEL_LAUNCH, "target": target}
    program: PrimFunc = module[name].with_attr({**of_device, _PLAN: str(make_plan(kernel))})
    return program
