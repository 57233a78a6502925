"""Giving shape variables their values."""

from operator import index
from typing import TYPE_CHECKING, Any

from . import transform
from .errors import refusal
from .layout import renumber_layouts
from .passes import run_on_kernels

if TYPE_CHECKING:
    from .passes import ModuleOrFunc


def specialize(mod: "ModuleOrFunc", /, **sizes: int) -> "ModuleOrFunc":
    """Give shape variables of kernels their values, as if the kernel had been written with these constants.

    The variables are replaced everywhere in a function. Results that it carries are inferred anew, so that what was
    a formula becomes a number where all its variables have one; the rest stays a formula.

    Args:
        mod: An IRModule or a PrimFunc. It is not changed.
        **sizes: Values of shape variables by name, in the units of the kernel's shapes; at least 1. Integer scalar
            parameters count as shape variables; one that gets a value is a parameter no more.

    Returns:
        The same kind of object as ``mod``.

    Raises:
        ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc, or a size is no integer.
        NoKernelError: No function in it has a launch grid.
        OptionError: No kernel has a variable of that name, or a value is not one that it can have.
    """
    values = {name: _integer(name, value) for name, value in sizes.items()}
    return run_on_kernels(lambda module: _specialize_module(module, values), mod)


def _integer(name: str, value: Any) -> int:
    try:
        number = index(value)
    except TypeError:
        raise refusal("TT522", f"size {name} is {type(value).__name__}; expected an integer") from None
    if number < 1:
        raise refusal("TT521", f"size {name} is {number}; expected at least 1")
    return number


def _specialize_module(module: Any, sizes: dict[str, int]) -> Any:
    import tvm_ffi
    from tvm.tirx import PrimFunc

    shape_variables = tvm_ffi.get_global_func("tilelang.tt.shape_variables")
    out = module.clone()
    known: set[str] = set()
    for name, func in module.functions.items():
        if not isinstance(func, PrimFunc):
            continue
        variables = {str(var.name): var for var in shape_variables(func)}
        known |= variables.keys()
        values = {var: _constant(var, sizes[key]) for key, var in variables.items() if key in sizes}
        if values:
            replaced = renumber_layouts(_replace(func, values), _positions(func, values))
            out.update_func(name, _infer_again(replaced))
    _check_known(sizes, known)
    return out


def check_sizes(func: Any, sizes: dict[str, Any]) -> dict[str, int]:
    """Sizes as integers of at least 1, each of a shape variable of the function; others are refused."""
    import tvm_ffi

    values = {name: _integer(name, value) for name, value in sizes.items()}
    _check_known(values, {str(var.name) for var in tvm_ffi.get_global_func("tilelang.tt.shape_variables")(func)})
    return values


def _check_known(sizes: dict[str, int], known: set[str]) -> None:
    if unknown := sorted(sizes.keys() - known):
        expected = f"expected any of: {', '.join(sorted(known))}" if known else "all sizes are known already"
        raise refusal("TT520", f"no kernel has a size {unknown[0]}; {expected}")


def _constant(var: Any, value: int) -> Any:
    from tvm.tirx import IntImm

    dtype = str(var.dtype if hasattr(var, "dtype") else var.ty.dtype)
    bits = int(dtype.lstrip("uint") or 1)
    largest = 2 ** (bits - (not dtype.startswith("u"))) - 1
    if value > largest:
        raise refusal("TT521", f"size {var.name} is {value}; expected at most {largest}, as it is {dtype}")
    return IntImm(dtype, value)


def _replace(func: Any, values: dict[Any, Any]) -> Any:
    """The function with variables replaced: TVM does so for parameters, so they become some first."""
    import tvm_ffi
    from tvm.tirx import PrimFunc

    parameters = list(func.params)
    added = [var for var in values if not any(var.same_as(param) for param in parameters)]
    buffer_map = {"buffer_map": func.buffer_map} if hasattr(func, "buffer_map") else {}
    opened = PrimFunc(parameters + added, func.body, func.ret_type, attrs=func.attrs, span=func.span, **buffer_map)
    return tvm_ffi.get_global_func("tirx.Specialize")(opened, values)


def _positions(func: Any, values: dict[Any, Any]) -> list[int]:
    """Where the parameters stood that got a value, and are parameters no more."""
    return [position for position, param in enumerate(func.params) if any(param.same_as(var) for var in values)]


def _infer_again(func: Any) -> Any:
    """The results that the function carries, as they are now."""
    from tvm.ir import IRModule

    carried = set(func.attrs.keys()) if func.attrs else set()
    module = IRModule({"main": func})
    if carried & {"tt_num_tiles", "tt_launches"}:
        module = transform.InferDefaultTTSchedule()(module)
    if "tt_buffers" in carried:
        module = transform.InferDefaultTTShard()(module)
    return module["main"]
