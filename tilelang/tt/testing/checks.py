"""Checks of passes: what they make of a module, and what they refuse."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import _host
from ..errors import TTError, page, refusal
from ..passes import name_of, no_module
from ._script import diff, excerpt

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    Given: TypeAlias = "IRModule | PrimFunc | Callable[[], IRModule | PrimFunc]"
    Errors: TypeAlias = "type[Exception] | tuple[type[Exception], ...]"

# What the host says of a pass that changes the module it is given.
_CHANGED = "Immutable module has been modified in pass"


def check_pass(
    before: "Given",
    expected: "Given | None",
    pass_: "Callable[[IRModule], IRModule]",
    *,
    idempotent: bool = False,
    round_trip: bool = False,
) -> "IRModule | PrimFunc":
    """Assert that a pass makes the expected module of another one, and leaves that one as it was.

    Modules are compared by their structure. Where one of them is given as a PrimFunc, the names of the functions do not
    count, so that they can be called ``before`` and ``expected``. The pass runs with the option
    ``testing.immutable_module`` of the host, otherwise within the current ``PassContext``.

    Args:
        before: An IRModule, a PrimFunc, which is put into a module, or a function without arguments that builds one.
        expected: Likewise; None where the pass is to change nothing.
        pass_: A pass object, a function of this package such as :func:`tilelang.tt.infer_default_tt_shard`, or whatever
            else takes a module and gives one.
        idempotent: Also assert that the pass makes the same of its own result.
        round_trip: Also assert that the result is the same after it was printed and parsed, which hosts do not promise
            for all that is lowered, nor TileLang for its own kernels.

    Returns:
        What the pass made; a PrimFunc where ``before`` is one and the result has no other functions.

    Raises:
        AssertionError: One of this does not hold; it shows where, and what differs.
        ArgumentError: What is given is neither an IRModule nor a PrimFunc.
        Exception: What the pass raises.
    """
    __tracebackhide__ = True
    given, is_alone = _as_module(before)
    wanted, is_alone_too = (given, False) if expected is None else _as_module(expected)
    name = _name(pass_)
    found = _result(pass_, given)
    _compare(found, wanted, f"{name} makes something else", is_alone or is_alone_too)
    if idempotent:
        _compare(_result(pass_, found), found, f"{name} makes something else of its own result")
    if round_trip:
        _compare(_parsed(found, name), found, f"what {name} makes is not the same after it was printed and parsed")
    functions = list(found.functions.values())
    return functions[0] if is_alone and len(functions) == 1 else found


def check_rejects(
    kernel: "Given",
    pass_: "Callable[[IRModule], Any]",
    *,
    code: str | Sequence[str] | None = None,
    at: str | int | None = None,
    match: str | None = None,
    error: "Errors | None" = None,
) -> Exception:
    """Assert that a pass refuses a kernel as it should, and leaves it as it was.

    At least one of ``code``, ``match`` and ``error`` says what is expected.

    Args:
        kernel: As ``before`` of :func:`check_pass`.
        pass_: As there; what it gives does not matter.
        code: The code of the mistake, such as ``"TT202"``, or the codes of all mistakes that are listed.
        at: Where one of the mistakes is. A text stands in the line of the kernel that the error shows, and some of it
            is underlined there, which is so on every host. A line number, or a place such as ``"kernels.py:12"``, is
            one in the source, which apache-tvm 0.25 does not know: there the check fails.
        match: A regular expression that is found in the message.
        error: The class of the error, or several; default :class:`~tilelang.tt.errors.TTError` with a code, else any.

    Returns:
        The error, for other assertions.

    Raises:
        AssertionError: The pass takes the kernel, or refuses it otherwise; it shows what was found and expected.
        ArgumentError: What is given is neither an IRModule nor a PrimFunc.
        OptionError: There is no such code, or nothing says what is expected.
    """
    __tracebackhide__ = True
    wanted = _Refusal.of(code, at, match, error)
    given, _ = _as_module(kernel)
    found, raised = _attempt(pass_, given)
    if raised is None:
        raise AssertionError(f"{_name(pass_)} takes it; expected {wanted}. What came out:\n\n{excerpt(found)}")
    if differences := "".join(f"\n  {line}" for line in wanted.differences(raised)):
        shown = f"{type(raised).__name__}: {raised}".replace("\n", "\n    ")
        # A refusal says all that there is to say, and not by a traceback through this package.
        cause = None if isinstance(raised, TTError) else raised
        raise AssertionError(f"{_name(pass_)} refuses it otherwise{differences}\n\n    {shown}") from cause
    return raised


def _as_module(given: Any) -> "tuple[IRModule, bool]":
    """The module, and whether it is a function alone, whose name does not count."""
    _host.require_host()
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    built = given() if callable(given) and not isinstance(given, PrimFunc) else given
    if isinstance(built, PrimFunc):
        return IRModule({name_of(built): built}), True
    if not isinstance(built, IRModule):
        raise no_module(built)
    return built, False


def _name(pass_: Any) -> str:
    info = getattr(pass_, "info", None)
    return str(getattr(info, "name", None) or getattr(pass_, "__name__", None) or repr(pass_))


def _attempt(pass_: "Callable[[IRModule], Any]", mod: "IRModule") -> tuple[Any, Exception | None]:
    """What a pass gives, or raises. Either way the module is as it was."""
    __tracebackhide__ = True
    import tvm_ffi
    from tvm.ir import IRModule
    from tvm.ir.transform import PassContext

    now = PassContext.current()
    config = {**dict(now.config.items()), "testing.immutable_module": True}
    context = PassContext(now.opt_level, now.required_pass, now.disabled_pass, now.instruments, config)
    kept, key = IRModule(dict(mod.functions.items()), attrs=mod.attrs), tvm_ffi.structural_hash(mod)
    found, raised = None, None
    try:
        with context:
            found = pass_(mod)
    except Exception as error:
        raised = error
    if tvm_ffi.structural_hash(mod) != key:
        shown = diff(kept, mod, "before", "after")
        raise AssertionError(f"{_name(pass_)} has changed the module that it was given\n\n{shown}") from raised
    if _CHANGED in str(raised):
        raise AssertionError(f"{_name(pass_)} has changed a module: {raised}") from raised
    return found, raised


def _result(pass_: "Callable[[IRModule], Any]", mod: "IRModule") -> "IRModule":
    __tracebackhide__ = True
    from tvm.ir import IRModule

    found, raised = _attempt(pass_, mod)
    if raised is not None:
        raise raised
    if not isinstance(found, IRModule):
        raise AssertionError(f"{_name(pass_)} gives {type(found).__name__}; expected an IRModule")
    return found


def _parsed(mod: "IRModule", name: str) -> "IRModule":
    __tracebackhide__ = True
    from tvm.script import from_source

    script = mod.script()
    try:
        return from_source(script)
    except Exception as error:
        raise AssertionError(f"what {name} makes cannot be parsed after it was printed: {error}\n\n{script}") from error


def _compare(found: "IRModule", expected: "IRModule", what: str, is_name_free: bool = False) -> None:
    __tracebackhide__ = True
    from tvm.ir import assert_structural_equal

    if is_name_free and len(found.functions) == len(expected.functions) == 1:
        found, expected = _anonymous(found), _anonymous(expected)
    try:
        assert_structural_equal(found, expected)
    except ValueError as error:
        path = re.search(r"caused by lhs at (.*?):\n", str(error))
        place = f", first at {path[1]}" if path else ""
        # What the scripts do not say, the host may.
        shown = diff(expected, found, "expected", "found") or str(error)
        raise AssertionError(f"{what}{place}\n\n{shown}") from None


def _anonymous(mod: "IRModule") -> "IRModule":
    """A module of one function, under a name that stands for any."""
    from tvm.ir import IRModule

    (func,) = mod.functions.values()
    return IRModule({"main": func.with_attr("global_symbol", "main")}, attrs=mod.attrs)


@dataclass(frozen=True)
class _Place:
    """Where a mistake is: the line that the message shows, the columns of it that are underlined, and the source."""

    line: str
    columns: range
    source: str

    def is_at(self, at: str | int) -> bool:
        places = (self.source, self.source.rpartition(":")[0])  # with and without a column
        if isinstance(at, int):
            return any(place.rpartition(":")[2] == str(at) for place in places)
        begins = (found.start() for found in re.finditer(re.escape(at), self.line))
        return any(set(range(begin, begin + len(at))) & set(self.columns) for begin in begins) or any(
            f"/{place}".endswith(f"/{at}") for place in places
        )

    def __str__(self) -> str:
        underlined = repr(self.line[self.columns.start : self.columns.stop]) if self.columns else "nothing underlined"
        return f"{underlined} at {self.source or 'a place in the source that is not known'}"


def _places(message: str) -> Iterator[_Place]:
    """The places of all mistakes that are listed in a message."""
    for mistake in re.split(r"\n\n(?=TT\d+: )", message):
        lines = mistake.splitlines()
        source = next((line[6:] for line in lines if line.startswith("  --> ")), "")
        marks = next((number for number, line in enumerate(lines) if re.fullmatch(r" {4,}\^+", line)), 0)
        if source or marks:
            yield _Place(
                lines[marks - 1], range(lines[marks].find("^"), len(lines[marks])) if marks else range(0), source
            )


@dataclass(frozen=True)
class _Refusal:
    """What an error is expected to be."""

    codes: tuple[str, ...]
    at: str | int | None
    match: str | None
    error: "Errors"

    @classmethod
    def of(cls, code: str | Sequence[str] | None, at: str | int | None, match: str | None, error: Any) -> "_Refusal":
        if not code and match is None and error is None:
            raise refusal(
                "TT948",
                "nothing says which error is expected; expected code=, match= or error=\n"
                'help: give the code of the mistake, such as code="TT202"',
            )
        codes = (code,) if isinstance(code, str) else tuple(code or ())
        for one in codes:
            page(one)  # refuses what is no code
        return cls(codes, at, match, error or (TTError if codes else Exception))

    def differences(self, raised: Exception) -> Iterator[str]:
        """What an error has otherwise, a line each."""
        message = str(raised)
        if not isinstance(raised, self.error):
            yield f"class: expected {self._classes()}; found {type(raised).__name__}"
        codes = getattr(raised, "codes", ())
        if self.codes and set(codes) != set(self.codes):
            yield f"code: expected {', '.join(self.codes)}; found {', '.join(codes) or 'none'}"
        places = list(_places(message))
        if self.at is not None and not any(place.is_at(self.at) for place in places):
            yield f"at: expected {self.at!r}; found {' and '.join(map(str, places)) or 'no place'}"
        if self.match is not None and re.search(self.match, message) is None:
            yield f"match: expected {self.match!r}; found nothing like it"

    def __str__(self) -> str:
        parts = [self._classes(), *self.codes]
        parts += [] if self.at is None else [f"at {self.at!r}"]
        parts += [] if self.match is None else [f"that matches {self.match!r}"]
        return " ".join(parts)

    def _classes(self) -> str:
        classes = self.error if isinstance(self.error, tuple) else (self.error,)
        return " or ".join(one.__name__ for one in classes)
