"""The passes as functions: a module or a function in, the same kind out."""

from typing import TYPE_CHECKING, Any, TypeVar

from . import _host, transform
from .errors import TTError, refusal

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    ModuleOrFunc = TypeVar("ModuleOrFunc", IRModule, PrimFunc)
else:
    ModuleOrFunc = TypeVar("ModuleOrFunc")

# A module's name for a function that is given alone and has none.
_ALONE = "main"


def infer_default_tt_schedule(mod: "ModuleOrFunc") -> "ModuleOrFunc":
    """Decide which core runs which part of every kernel's launch grid.

    Args:
        mod: An IRModule or a PrimFunc with the inputs of :func:`tilelang.tt.apply_tt_defaults`. It is
            not changed.

    Returns:
        The same kind of object. Every kernel has the schedule attributes; see
        :class:`tilelang.tt.ScheduleAttrs` for their meaning and units.

    Raises:
        ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc.
        NoKernelError: No function in it has a launch grid.
        MissingInputError: :func:`tilelang.tt.apply_tt_defaults` has not been run.
        GridError: A launch grid is empty or contradictory, or depends on more than sizes.
        MultipleLaunchesError: A launch is repeated by a loop, or stands in another one.
        OptionError: An input has a value that does not exist.
    """
    return run_on_kernels(transform.InferDefaultTTSchedule(), mod, "schedule")


def infer_default_tt_shard(mod: "ModuleOrFunc") -> "ModuleOrFunc":
    """Decide how every tensor parameter of every kernel lies in memory, and what a kernel needs on the chip.

    Args:
        mod: An IRModule or a PrimFunc with the inputs of :func:`tilelang.tt.apply_tt_defaults`, and where
            single tensors differ, of :func:`tilelang.tt.annotate_tt_layout`. It is not changed.

    Returns:
        The same kind of object. Every kernel has ``tt_buffers``, ``tt_on_chip`` and ``tt_traffic``; read them
        with :func:`tilelang.tt.buffer_attrs`, :func:`tilelang.tt.on_chip_attrs` and
        :func:`tilelang.tt.traffic_attrs`.

    Raises:
        ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc.
        NoKernelError: No function in it has a launch grid.
        MissingInputError: :func:`tilelang.tt.apply_tt_defaults` has not been run.
        DtypeError: A tensor has a dtype without a Tenstorrent format.
        ShapeError: A tensor is empty, not compact, or a raw pointer, or a shard does not fit it.
        OptionError: An input has a value that does not exist.
    """
    return run_on_kernels(transform.InferDefaultTTShard(), mod, "shard")


def verify_tt_metadata(mod: "ModuleOrFunc") -> "ModuleOrFunc":
    """Refuse every kernel whose results are not those that inference gives for it now.

    Args:
        mod: An IRModule or a PrimFunc after :func:`infer_default_tt_schedule` and :func:`infer_default_tt_shard`.

    Returns:
        The same kind of object, unchanged.

    Raises:
        ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc.
        NoKernelError: No function in it has a launch grid.
        MetadataError: A result is stale, missing, contradicts another, or stands on a function that is no kernel; or
            a kernel does not fit a core. All that is wrong with a function is listed.
    """
    return run_on_kernels(transform.VerifyTTMetadata(), mod, "verify")


def grid_to_persistent(mod: "ModuleOrFunc") -> "ModuleOrFunc":
    """Make every kernel what one core runs: a loop over the core's work tiles, which its runtime arguments give.

    Args:
        mod: An IRModule or a PrimFunc after :func:`infer_default_tt_schedule`. It is not changed.

    Returns:
        The same kind of object. Every kernel is a core program, with the parameters of the kernel and one
        more for each argument of its runtime argument schema whose source is the schedule;
        :func:`tilelang.tt.core_program_attrs` says which. Core programs stay as they are.

    Raises:
        ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc.
        NoKernelError: No function in it has a launch grid.
        MissingInputError: :func:`infer_default_tt_schedule` has not been run.
        MetadataError: The kernel has changed since.
        NotCoveredError: The kernel does something outside of its launches, or its grid cells cannot be turns of a loop.
    """
    return run_on_kernels(transform.GridToPersistent(), mod, "program", becomes="core_program")


def threads_to_loops(mod: "ModuleOrFunc") -> "ModuleOrFunc":
    """Let the threads of every launch run one after the other, in serial loops.

    Args:
        mod: An IRModule or a PrimFunc, with or without a launch grid. It is not changed.

    Returns:
        The same kind of object. No function in it has a thread index, and a loop stands around what used one.

    Raises:
        ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc.
        NotCoveredError: Threads wait for each other or exchange values, or single threads' statements stand among
            operations on whole tiles.
        GridError: A thread index has no extent, or two.
    """
    return run_on(transform.ThreadsToLoops(), mod)


def pipeline(**inputs: Any) -> Any:
    """The whole job as one pass: defaults, schedule, shard, and verification.

    Args:
        **inputs: The keyword arguments of :func:`tilelang.tt.apply_tt_defaults`.

    Returns:
        A ``tvm.ir.transform.Sequential``; call it with an IRModule. Functions without a launch grid stay as they are.

    Raises:
        ArgumentError: An argument of another name.
    """
    passes = [
        transform.ApplyTTDefaults(**inputs),
        transform.InferDefaultTTSchedule(),
        transform.InferDefaultTTShard(),
        transform.VerifyTTMetadata(),
    ]
    from tvm.ir.transform import Sequential

    return Sequential(passes, name="tt.pipeline")


def run_on(pass_: Any, mod: "ModuleOrFunc") -> "ModuleOrFunc":
    """Run a pass on a module, or on a function as a module of its own."""
    _host.require_host()
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    if isinstance(mod, PrimFunc):
        name = name_of(mod)
        return pass_(IRModule({name: mod}))[name]
    if not isinstance(mod, IRModule):
        raise no_module(mod)
    return pass_(mod)


def run_on_kernels(
    pass_: Any, mod: "ModuleOrFunc", stage: str | None = None, *, becomes: str = "kernel"
) -> "ModuleOrFunc":
    """Run a pass, after which a kernel is a ``kernel`` or a ``core_program``; refuse what holds none.

    What it has decided is logged as that of a ``stage``.
    """

    def run(module: Any) -> Any:
        import tvm_ffi

        out = pass_(module)
        is_result = tvm_ffi.get_global_func(f"tilelang.tt.is_{becomes}")
        if not any(is_result(func) for func in out.functions.values()):
            raise refusal("TT201", _describe_no_kernel(module))
        if stage is not None:
            from ._decisions import tell  # logging takes as long to import as all of this package

            tell(stage, out)
        return out

    return run_on(run, mod)


def kernel_of(mod: "IRModule | PrimFunc", name: str | None = None) -> "tuple[str, PrimFunc]":
    """The name and the function of a module's kernel, or of a function that is one.

    Raises:
        ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc.
        BufferLookupError: There is no kernel of that name, or several and no name is given.
    """
    import tvm_ffi

    _host.require_host()
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    if isinstance(mod, PrimFunc):
        if name not in (None, name_of(mod)):
            raise refusal("TT870", f"the kernel is {name_of(mod)}; expected that name, or none, in place of {name}")
        return name_of(mod), mod
    if not isinstance(mod, IRModule):
        raise no_module(mod)
    is_kernel = tvm_ffi.get_global_func("tilelang.tt.is_kernel")
    kernels = {str(var.name_hint): func for var, func in mod.functions.items() if is_kernel(func)}
    found = [key for key in kernels if name in (None, key)]
    if len(found) == 1:
        return found[0], kernels[found[0]]
    known = ", ".join(sorted(kernels))
    if found:
        raise refusal("TT871", f"the module has {len(found)} kernels; expected the name of one of them: {known}")
    raise refusal("TT870", f"the module has no kernel {name}; kernels: {known}")


def name_of(func: Any) -> str:
    """The name of a function in a module of its own."""
    symbol = func.attrs.get("global_symbol") if func.attrs else None
    return symbol if isinstance(symbol, str) else _ALONE


def no_module(found: Any) -> TTError:
    """What is raised where something is neither an IRModule nor a PrimFunc."""
    help_ = "; call its get_tir(...) for the PrimFunc" if hasattr(found, "get_tir") else ""
    return refusal("TT101", f"found {type(found).__name__}; expected an IRModule or a PrimFunc{help_}")


def _describe_no_kernel(mod: Any) -> str:
    import tvm_ffi

    is_core_program = tvm_ffi.get_global_func("tilelang.tt.is_core_program")
    names = ", ".join(
        f"`{var.name_hint}` ({'a core program' if is_core_program(func) else type(func).__name__})"
        for var, func in mod.functions.items()
    )
    return (
        f"no function has a launch grid; found {names or 'an empty module'}\n"
        "looked for: T.Kernel, T.launch_thread, loops bound to blockIdx.*, T.cta_id, and the attributes "
        "tl_grid_x, tl_grid_y, tl_grid_z\n"
        "help: launch the kernel on a grid, or run this pass before the grid is lowered to plain loops"
    )
