"""Running passes by name on a module, as LLVM's ``opt`` does."""

import importlib
from collections.abc import Iterator
from typing import Any

from .. import _host, transform
from ..errors import refusal
from ..passes import name_of
from . import output

# Those of the package that plan a kernel, in their order, and all of its own.
PLANNING = {
    f"tt.{make.__name__}": make
    for make in (
        transform.ApplyTTDefaults,
        transform.InferDefaultTTSchedule,
        transform.InferDefaultTTShard,
        transform.VerifyTTMetadata,
    )
}
OWN = {
    **PLANNING,
    "tt.GridToPersistent": transform.GridToPersistent,
    "tt.ThreadsToLoops": transform.ThreadsToLoops,
}
# Passes of the host are named by where they come from; these modules make them.
_MODULES = {"tl": "tilelang.transform"}


def summary(name: str) -> str:
    """What a pass of the package does, in one line."""
    return (OWN[name].__doc__ or "").splitlines()[0].partition(": ")[2].rstrip(".")


def host_passes() -> Iterator[str]:
    """The names of the host's passes that are made without arguments, as far as it says."""
    _host.require_host()
    for prefix in ("tirx", "s_tir", "tl"):
        module = _module(prefix)
        for name, value in sorted(vars(module).items()) if module else ():
            if name[0].isupper() and callable(value) and not isinstance(value, type):
                yield f"{prefix}.{name}"


def find(name: str, inputs: dict[str, Any]) -> Any:
    """The pass of a name, such as ``tt.InferDefaultTTShard`` or ``tirx.StmtSimplify``.

    Args:
        name: As ``PassInfo`` has it.
        inputs: For ``tt.ApplyTTDefaults``.

    Raises:
        OptionError: There is no pass of that name, or it needs arguments.
    """
    _host.require_host()
    if name in OWN:
        return OWN[name](**inputs) if name == "tt.ApplyTTDefaults" else OWN[name]()
    prefix, _, constructor = name.rpartition(".")
    make = getattr(_module(prefix.removesuffix(".transform")), constructor, None)
    if make is None:
        raise refusal("TT885", f"no pass has the name {name}; `tilelang-tt passes --host` lists them")
    from tvm.ir.transform import Pass

    try:
        made = make()
    except TypeError as error:
        raise refusal("TT885", f"the pass {name} needs arguments: {error}") from error
    if not isinstance(made, Pass):
        raise refusal("TT885", f"{name} is no pass")
    return made


def _module(prefix: str) -> Any:
    try:
        return importlib.import_module(_MODULES.get(prefix, f"tvm.{prefix}.transform"))
    except ImportError:
        return None


def module_of(loaded: Any, source: str) -> Any:
    """The module that a loaded source is.

    Raises:
        ArgumentError: It is a plan.
    """
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    if isinstance(loaded, PrimFunc):
        return IRModule({name_of(loaded): loaded})
    if not isinstance(loaded, IRModule):
        raise refusal("TT882", f"{source} is a plan; expected kernels")
    return loaded


def to_json(mod: Any) -> str:
    """The module as JSON that the same host reads."""
    import tvm

    return str(tvm.ir.save_json(mod))


def run(mod: Any, passes: list[Any], *, print_ir_after: bool, time_passes: bool) -> Any:
    """The module after the passes; what they did is told on stderr."""
    from tvm.ir.instrument import PassTimingInstrument
    from tvm.ir.transform import PassContext

    timing = PassTimingInstrument()
    instruments = ([timing] if time_passes else []) + ([_print_ir_after()] if print_ir_after else [])
    with PassContext(instruments=instruments):
        for pass_ in passes:
            mod = pass_(mod)
        if time_passes:
            output.say(timing.render())
    return mod


def _print_ir_after() -> Any:
    from tvm.ir.instrument import pass_instrument

    @pass_instrument
    class PrintAfter:
        def run_after_pass(self, mod: Any, info: Any) -> None:
            output.say(f"# IR after {info.name}\n{mod.script()}")

    return PrintAfter()
