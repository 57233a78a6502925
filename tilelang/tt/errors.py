"""What this package raises and warns of.

Every refusal is a :class:`TTError` and also the builtin exception that a caller would expect. The
message begins with a code, such as ``TT202``, and says what was found, what was expected, where, and
what to do. The C++ passes raise the same classes, whoever runs them.
"""

import re
import textwrap
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, cast

from . import _native
from ._error_codes import CODES
from ._native import error_table

# Where a message, or one of several in it, begins.
_CODE = re.compile(r"(?:\A|\n\n)(TT\d+): ")

# Of what a worker has printed, in a message.
_SHOWN_LINES = 30


class _Coded:
    args: tuple[Any, ...]

    @property
    def code(self) -> str:
        """The code of the mistake, such as ``"TT202"``; of the first where there are several."""
        return next(iter(self.codes), "")

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all mistakes that the message lists, in its order."""
        return tuple(_CODE.findall(str(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors that came through tvm-ffi carry an object of its own, which cannot be pickled.
        return type(self), self.args


class TTError(_Coded, Exception):
    """Base of all errors of ``tilelang.tt``."""


class ArgumentError(TTError, TypeError):
    """An argument of the wrong type, such as a list where a module is expected."""


class NoKernelError(TTError, ValueError):
    """A module, or a function, without a launch grid."""


class GridError(TTError, ValueError):
    """A launch grid that is not positive and consistent, or that depends on more than sizes."""


class MultipleLaunchesError(GridError):
    """Launches of one function that are repeated, nested or uncertain, or several where one is expected."""


class OpaqueKernelError(TTError, ValueError):
    """A kernel whose body is foreign source text, or that uses memory of unknown origin."""


class MissingInputError(TTError, ValueError):
    """An input attribute that a pass needs and nobody has set."""


class OptionError(TTError, ValueError):
    """An input, such as a policy, an order or a layout, with a value that does not exist."""


class DeviceError(OptionError):
    """A device, or cores, that do not exist."""


class TileShapeError(OptionError):
    """A tile that the hardware has not."""


class DtypeError(TTError, TypeError):
    """A dtype without a Tenstorrent data format."""


class ShapeError(TTError, ValueError):
    """A tensor shape, or strides, that cannot be laid out."""


class IntegerOverflowError(TTError, OverflowError):
    """A count or a size beyond 64 bits."""


class BufferLookupError(TTError, LookupError):
    """A buffer that is not there, or a name that two buffers share."""


class MetadataError(TTError, ValueError):
    """Results of inference that contradict each other, the kernel or the device."""


class PlanError(TTError, ValueError):
    """A file that is no plan, or a plan that cannot be what it says."""


class GoldenError(TTError, AssertionError):
    """A plan that is not the one in its golden file."""


class TransportError(TTError, ValueError):
    """IR that cannot be sent to another process, or a text that is no IR."""


class NotCoveredError(TTError, NotImplementedError):
    """A kernel that an engine cannot execute, or a pass cannot rewrite, as it does not know an operation in it."""


class ExecutionError(TTError, RuntimeError):
    """What a kernel does when it runs has no meaning, or depends on which core is first."""


class WaitTimeoutError(TTError, TimeoutError):
    """Waiting for a compilation that takes longer; it goes on."""


class CompileCancelledError(TTError, RuntimeError):
    """A compilation that was cancelled before there was a result."""


class SuiteError(TTError, ValueError):
    """Suites, stages or shards of tests that are not described right, or do not exist."""


class ComparisonError(TTError, ValueError):
    """Environments, results or files with which tests cannot be compared."""


class WorkerError(TTError, RuntimeError):
    """A worker process that cannot be started, or that a task has lost.

    Attributes:
        last_output: The end of what it has printed, at most 64 KiB.
        reproducer: The path of a program that shows the error; None where there is none.
    """

    last_output: str = ""
    reproducer: str | None = None

    def __str__(self) -> str:
        parts = [super().__str__()]
        if self.reproducer is not None:
            parts.append(f"reproducer: {self.reproducer}")
        if self.last_output.strip():
            tail = self.last_output.rstrip().splitlines()[-_SHOWN_LINES:]
            parts.append("last output of the worker:\n" + textwrap.indent("\n".join(tail), "    "))
        return "\n".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, {"last_output": self.last_output, "reproducer": self.reproducer}


class CompilerCrashError(WorkerError):
    """A compiler that has ended its process: by a signal such as SIGSEGV, or with an exit code."""


class CompilerKilledError(WorkerError):
    """A compiler that somebody has killed, such as a system without memory."""


class CompilerTimeoutError(WorkerError, TimeoutError):
    """A compiler that has taken longer than it may."""


class CompilerMemoryError(WorkerError, MemoryError):
    """A compiler that wanted more memory than it may have."""


class CacheError(TTError, ValueError):
    """A file of cache artifacts that cannot be loaded."""


class HostError(TTError, ImportError):
    """No TVM that can be used, or one that lacks what this package calls."""


class InternalError(TTError, RuntimeError):
    """A bug of this package; please report it."""


class TTWarning(_Coded, UserWarning):
    """Base of all warnings of ``tilelang.tt``."""


class HostWarning(TTWarning):
    """A TVM with which this package has not been tried."""


class FormatWarning(TTWarning):
    """A data format that Tenstorrent's own library does not offer."""


class CapacityWarning(TTWarning):
    """A kernel that needs more of a core's memory than the device has."""


class PaddingWarning(TTWarning):
    """Padding whose value is wrong for what the kernel computes of it."""


class ErrorEntry(NamedTuple):
    """One mistake: its code, the class that it raises or warns with, and what it is."""

    code: str
    error_class: type[TTError] | type[TTWarning]
    title: str


_TABLE = {code: ErrorEntry(code, globals()[name], title) for code, name, title in sorted((*error_table(), *CODES))}
_PAGES = Path(_native.__file__).with_name("error_pages.md.bz2")


def catalogue() -> list[ErrorEntry]:
    """All mistakes that this package knows, in the order of their codes."""
    return list(_TABLE.values())


def explain(mistake: str | BaseException) -> None:
    """Print what a mistake is, an example of it, and what to do.

    Args:
        mistake: A code, such as ``"TT202"``, or an error or a warning of this package; of one that
            lists several mistakes, each is explained.

    Raises:
        OptionError: There is no such code.
        ArgumentError: The argument is something else.
    """
    codes = (mistake,) if isinstance(mistake, str) else getattr(mistake, "codes", ())
    if not codes:
        raise refusal("TT110", f"found {type(mistake).__name__}; expected a code or an error of tilelang.tt")
    pages = [page(code) for code in dict.fromkeys(codes)]
    print("\n".join(pages), end="")


def page(code: str) -> str:
    """What :func:`explain` prints of a code.

    Raises:
        OptionError: There is no such code.
    """
    if code not in _TABLE:
        nearest = ", ".join(sorted(_TABLE, key=lambda known: _distance(known, code.upper()))[:3])
        raise refusal("TT111", f'no error has the code "{code}"; the nearest are {nearest}; errors.catalogue() has all')
    import bz2  # not above: some Pythons are built without it

    text = bz2.decompress(_PAGES.read_bytes()).decode()
    pages = re.split(r"^(?=# TT\d+: )", text, flags=re.MULTILINE)
    return next(page for page in pages if page.startswith(f"# {code}: "))


def _distance(a: str, b: str) -> int:
    """In how many characters two codes differ."""
    return sum(one != other for one, other in zip_longest(a, b))


def refusal(code: str, message: str) -> TTError:
    """The error of a code, to be raised."""
    return cast(TTError, _TABLE[code].error_class(f"{code}: {message}"))


def warning(code: str, message: str) -> TTWarning:
    """The warning of a code, to be handed to :func:`warnings.warn`."""
    return cast(TTWarning, _TABLE[code].error_class(f"{code}: {message}"))
