"""What commands work on: kernels and plans, named as users name them.

``FILE.py::kernel``, ``FILE.py``, ``package.module:attribute``, or a file of any other name, or ``-`` for standard
input, that holds a plan, a module as TVM's JSON, or TVMScript; these are told apart by what they hold. ``::name``
after any of them means one kernel of several.

Python files and TVMScript are code, and are run. A plan is not.
"""

import contextlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from ..errors import TTError, refusal
from ..passes import name_of
from . import output

if TYPE_CHECKING:
    from ..plan import Plan

# How the text of a printed module begins; it needs TVM's parser even in a file whose name ends in .py.
_PRINTED = b"# from tvm.script import"
_OPTIONAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# What TileLang says of an argument of a factory, and of a constant, that has no value.
_LACKING = re.compile(r"missing a required argument: '(\w+)'|constexpr variable `(\w+)`")
# How the JSON of a module begins.
_IR = re.compile(r'\s*\{\s*"(root_index|nodes|metadata)"')
_MODULE_ATTRIBUTE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class UserCodeError(click.ClickException):
    """Code of the user's raised; the message is its traceback from there on."""

    exit_code = 1

    def __init__(self, error: BaseException, file: str | None) -> None:
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        first = next((i for i, frame in enumerate(frames) if frame.filename == file), len(frames) and len(frames) - 1)
        shown = traceback.StackSummary.from_list(frames[first:]).format()
        super().__init__("".join([*shown, *traceback.format_exception_only(error)]).rstrip())

    def show(self, file: Any = None) -> None:
        output.error(f"your code raised\n{self.message}")


def load(source: str, values: Mapping[str, Any]) -> Any:
    """The plan, the IRModule or the PrimFunc that a source names.

    Args:
        source: As a user names it.
        values: Of the arguments of kernel factories and of shape variables, by name.

    Raises:
        OptionError: There is no such file, module or kernel.
        ArgumentError: What is named is no kernel, or a factory that needs more arguments.
        PlanError: The file is a plan that is not valid.
        UserCodeError: Code of the user's raised.
    """
    where, _, name = source.partition("::")
    if where == "-":
        return _read_text(sys.stdin.buffer.read(), "<stdin>", name, values)
    path = Path(where)
    if path.is_file():
        data = path.read_bytes()
        if path.suffix == ".py" and not data.startswith(_PRINTED):
            return _choose(_run_file(path), name, where, values)
        return _read_text(data, where, name, values)
    if _MODULE_ATTRIBUTE.fullmatch(source):
        module, _, name = source.partition(":")
        return _choose(_import(module), name, module, values)
    raise refusal("TT880", f"no file {where}, and it is no module:attribute")


def _read_text(data: bytes, place: str, name: str, values: Mapping[str, Any]) -> Any:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise refusal("TT883", f"{place} is no text in UTF-8: {error}") from error
    if _IR.match(text) or not text.lstrip().startswith("{"):
        read = _load_ir if _IR.match(text) else _parse_script
        made = read(text, place)
        if _kind(made) is None:
            raise refusal("TT882", f"{place} is {type(made).__name__}; expected a PrimFunc or an IRModule")
        return _specialize(_select(made, name, place), values)
    from ..plan import Plan

    plan = Plan.from_json(text, place)
    if values:
        raise refusal("TT886", f"{place} is a plan, which has its sizes already: {', '.join(values)} cannot be set")
    return _one_kernel(plan, name) if name else plan


def _one_kernel(plan: "Plan", name: str) -> "Plan":
    kernel = plan.kernel(name)
    provenance = replace(
        plan.provenance, kernels=tuple(entry for entry in plan.provenance.kernels if entry.kernel == name)
    )
    return replace(plan, kernels=(kernel,), provenance=provenance)


def _parse_script(text: str, place: str) -> Any:
    _require_host()
    from tvm.script import from_source

    try:
        return from_source(text)
    except Exception as error:
        raise refusal(
            "TT883", f"{place} is no plan, no IR as JSON, and no TVMScript that this host reads: {error}"
        ) from error


def _load_ir(text: str, place: str) -> Any:
    from ..service.transport import decode_any

    _require_host()
    try:
        return decode_any(text)
    except TTError as error:
        reason = str(error).removeprefix("TT976: the text is no IR: ").removeprefix("TT976: ")
        raise refusal("TT883", f"{place} is no IR that this host reads as JSON: {reason}") from error


def _run_file(path: Path) -> ModuleType:
    """The module that a file is; its folder is where it imports from, as if it were run."""
    _require_host()
    sys.path.insert(0, str(path.resolve().parent))
    name = path.stem if path.stem not in sys.modules else f"_{path.stem}_of_tilelang_tt"
    spec = importlib.util.spec_from_file_location(name, path.absolute())
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    with _user_code(str(path.absolute())):
        spec.loader.exec_module(module)
    return module


def _import(name: str) -> ModuleType:
    _require_host()
    sys.path.insert(0, str(Path.cwd()))
    with _user_code(None):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise refusal("TT880", f"no module {error.name}") from error


def _require_host() -> None:
    from .._host import require_host

    output.detail(f"host: {require_host()}")


@contextlib.contextmanager
def _user_code(file: str | None) -> Iterator[None]:
    """Code of the user's runs as a script would: what it prints is no result, what it raises is told of."""
    arguments, sys.argv = sys.argv, [file or sys.argv[0]]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (TTError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a script may end itself
        raise UserCodeError(error, file) from error
    finally:
        sys.argv = arguments


def _choose(module: ModuleType, name: str, place: str, values: Mapping[str, Any]) -> Any:
    """The kernel of that name in a Python module; without a name all that stand there."""
    if not name:
        return _all_kernels(module, place, values)
    first, *rest = name.split(".")
    if not hasattr(module, first):
        raise refusal("TT881", f"{place} has no {first}; it has {_listed(module)}")
    value = getattr(module, first)
    while rest and hasattr(value, rest[0]):
        value = getattr(value, rest.pop(0))
    made, used = _make(value, name, values)
    return _specialize(_select(made, ".".join(rest), f"{place}::{first}"), values, used)


def _all_kernels(module: ModuleType, place: str, values: Mapping[str, Any]) -> Any:
    """One module of all kernels that a Python module has, with the file's name for them where two have one name."""
    from tvm.ir import IRModule

    public = {id(value): name for name, value in vars(module).items() if _kind(value) and not name.startswith("_")}
    if not public:
        raise refusal("TT881", f"{place} has no kernel; it has {_listed(module)}")
    made = {name: _make(getattr(module, name), name, values) for name in public.values()}
    used = {key for _, keys in made.values() for key in keys}
    if len(made) == 1:
        return _specialize(next(iter(made.values()))[0], values, used)
    named = [(own, name, func) for name, (value, _) in made.items() for own, func in _functions(value, name)]
    count = Counter(own for own, _, _ in named)
    merged = {own if count[own] == 1 else f"{name}_{own}": func for own, name, func in named}
    return _specialize(IRModule(merged), values, used)


def _functions(value: Any, name: str) -> list[tuple[str, Any]]:
    """The functions of a module, or the one that it is, by name."""
    from tvm.ir import IRModule

    if isinstance(value, IRModule):
        return [(str(var.name_hint), func) for var, func in value.functions.items()]
    return [(name_of(value) if value.attrs and "global_symbol" in value.attrs else name, value)]


def _select(made: Any, name: str, place: str) -> Any:
    """The function of that name in a module; the module itself without a name."""
    if not name:
        return made
    functions = dict(_functions(made, name))
    if name not in functions:
        raise refusal("TT881", f"{place} has no {name}; it has {', '.join(functions) or 'nothing'}")
    return functions[name]


def _kind(value: Any) -> str | None:
    """What a value is to a user; None where it is no kernel, and nothing that makes one."""
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    if isinstance(value, PrimFunc):
        return "PrimFunc"
    if isinstance(value, IRModule):
        return "IRModule"
    return "tilelang.jit" if callable(getattr(value, "get_tir", None)) and not inspect.isclass(value) else None


def _listed(module: ModuleType) -> str:
    """What a user may have meant: kernels, and functions that may make some."""
    kinds = {name: _kind(value) for name, value in vars(module).items()}
    functions = [name for name, value in vars(module).items() if _is_function_of(module, value)]
    found = [f"{name} ({kind})" for name, kind in kinds.items() if kind] + [
        f"{name} (a function)" for name in functions
    ]
    return ", ".join(found) or "no kernel and no function"


def _is_function_of(module: ModuleType, value: Any) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__


def _make(value: Any, name: str, values: Mapping[str, Any]) -> tuple[Any, set[str]]:
    """The PrimFunc or the IRModule that a value is or makes, and the names of what it was made of."""
    kind = _kind(value)
    if kind == "tilelang.jit":
        return _make_by_jit(value, name, values)
    if kind is not None:
        return value, set()
    if not callable(value) or inspect.isclass(value):
        raise refusal("TT882", f"{name} is {type(value).__name__}; expected a kernel or a function that makes one")
    parameters = inspect.signature(value).parameters.values()
    own = {parameter.name: values[parameter.name] for parameter in parameters if parameter.name in values}
    missing = [each.name for each in parameters if each.default is each.empty and each.kind not in _OPTIONAL]
    if missing := [parameter for parameter in missing if parameter not in own]:
        raise refusal("TT884", f"{name} needs {', '.join(missing)}; {_help(missing)}")
    with _user_code(None):
        made = value(**own)
    if _kind(made) not in ("PrimFunc", "IRModule"):
        raise refusal("TT882", f"{name}() gives {type(made).__name__}; expected a PrimFunc or an IRModule")
    return made, set(own)


def _make_by_jit(jit: Any, name: str, values: Mapping[str, Any]) -> tuple[Any, set[str]]:
    """TileLang says one by one which of its constants it lacks; they are in no signature."""
    own = {key: value for key, value in values.items() if key in jit.signature.parameters}
    while True:
        try:
            with _user_code(None):
                return jit.get_tir(**own), set(own)
        except UserCodeError as error:
            lacking = _LACKING.search(error.message)
            if lacking is None:
                raise
            key = lacking[1] or lacking[2]
            if key in own or key not in values:
                raise refusal("TT884", f"{name} needs {key}; {_help([key])}") from error
            own[key] = values[key]


def _help(names: list[str]) -> str:
    return "give " + " ".join(f"--set {name}=..." for name in names)


def _specialize(made: Any, values: Mapping[str, Any], used: Collection[str] = ()) -> Any:
    """With values of shape variables: those that went into no factory."""
    from ..specialize import specialize

    sizes = {name: value for name, value in values.items() if name not in used}
    return specialize(made, **sizes) if sizes else made
