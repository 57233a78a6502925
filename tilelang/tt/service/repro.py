"""Reproducers: a failure of this package's own as one script that a person can read, run and attach to a report."""

import json
import logging
import os
import platform
import re
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _host
from .._counters import counters
from .._version import __version__
from .._whole_file import whole_file
from ..device import as_attribute
from .request import Request
from .transport import decode, encode

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

# Where reproducers go; the current folder where it is not set.
FOLDER = "TILELANG_TT_REPRO_DIR"
# What a process writes at most: a search may fail thousands of times.
MOST = 20

_log = logging.getLogger("tilelang.tt.compile")
_WIDTH = 100
# An absolute path, of which the last part is kept. Folders may have blanks: too much goes rather than too little.
_PATH = re.compile(
    r"(?<![\w./<])(?:/|[A-Za-z]:\\)(?:[^\s/\\:'\"`<>|][^\n/\\:'\"`<>|]*[/\\])+(?P<name>[^\s/\\:'\"`<>|,;)\]]*)"
)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")

_SCRIPT = '''\
"""{headline}

A reproducer of tilelang-tt. `python {file}` does the stage "{stage}" again and says what happens.
It holds the kernel as it was before that stage, with the names and attributes that its author gave it, the options and
the device. Where the kernel was written, and everything else about the machine, is left out.

{versions}
"""

from tilelang.tt.service.stages import reproduce

ERROR = (
{error}
)

# The name of the kernel, the device, the options, and the kernel as JSON of its host.
REQUEST = (
{request}
)

if __name__ == "__main__":
    raise SystemExit(reproduce("{stage}", REQUEST, ERROR))

# The kernel, as its host prints it:
{script}
'''


def write(request: Request, stage: str, error: BaseException, func: "PrimFunc | None" = None) -> Path | None:
    """Write down a failure; one that is equal to an earlier one is in the same file.

    Args:
        request: What was to be compiled.
        stage: What failed, as :func:`tilelang.tt.service.stages.reproduce` names it.
        error: What it raised.
        func: The kernel before that stage; the one of the request by default.

    Returns:
        The file, in the folder of the environment variable ``TILELANG_TT_REPRO_DIR``, else in the current one, and
        where neither can be written in the one for temporary files. None where nothing could be written, which is
        logged: the first failure is the one to be told.
    """
    try:
        text, digest = _text(request, stage, error, request.func if func is None else func)
        return _store(f"tt-repro-{digest}.py", text)
    except Exception as another:
        _log.warning("no reproducer of %s: %s", type(error).__name__, another)
        return None


def _text(request: Request, stage: str, error: BaseException, func: "PrimFunc") -> tuple[str, str]:
    # Without places: decoded again, the kernel cannot print what it does not hold.
    text = encode(func)
    device = None if request.device is None else as_attribute(request.device)
    content = json.dumps({"name": request.name, "device": device, "options": request.options, "func": text})
    headline = one_line(error)
    digest = sha256(json.dumps([stage, headline, content, _versions()]).encode()).hexdigest()[:12]
    return (
        _SCRIPT.format(
            headline=_quoted(headline),
            file=f"tt-repro-{digest}.py",
            stage=stage,
            versions=_versions(),
            error=_literal(described(error)),
            request=_literal(content),
            script=_script(decode(text)),
        ),
        digest,
    )


def _store(name: str, text: str) -> Path | None:
    for folder in _folders():
        path = folder / name
        with suppress(OSError):
            if path.exists():
                return path
            if counters["repro"]["written"] >= MOST:
                _log.warning("no more than %d reproducers are written by one process", MOST)
                return None
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path, 0o600) as file:
                file.write(text.encode())
            counters.count("repro", "written")
            return path
    _log.warning("there is no folder for a reproducer; set %s", FOLDER)
    return None


def _folders() -> Iterator[Path]:
    yield Path(os.environ.get(FOLDER) or Path.cwd())
    yield Path(tempfile.gettempdir())


def described(error: BaseException) -> str:
    """An error with where it came from, without anything private."""
    frames = [
        f"  {_file(frame.filename)}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    cause = error.__cause__
    return "\n".join([*frames, f"{type(error).__name__}: {scrub(str(error))}"]) + (
        "" if cause is None else f"\ncaused by\n{described(cause)}"
    )


def one_line(error: BaseException) -> str:
    """What is told of an error where there is little room, and compared when it is reproduced."""
    first, *_ = scrub(str(error)).splitlines() or [""]
    return f"{type(error).__name__}: {first}"[:200]


def scrub(text: str) -> str:
    """A text without folders, addresses of memory, and places in the files of a user."""
    text = _PATH.sub(lambda match: match["name"], text)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("-->")]
    return _ADDRESS.sub("0x...", "\n".join(lines))


def _file(name: str) -> str:
    """A file of this package or of its host by its place in the package, any other by its name."""
    parts = Path(name).parts
    for package in ("tilelang", "tvm", "tvm_ffi"):
        if package in parts:
            return "/".join(parts[len(parts) - 1 - parts[::-1].index(package) :])
    return Path(name).name


def _versions() -> str:
    return "\n".join(
        [
            f"tilelang-tt {__version__}",
            str(_host.require_host()),
            f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
        ]
    )


def _literal(text: str) -> str:
    """Lines of a Python expression, in ASCII, which together are the text."""
    pieces = [piece for line in text.splitlines(keepends=True) for piece in _pieces(line)] or [""]
    return "\n".join(f"    {piece!a}" for piece in pieces)


def _pieces(line: str) -> list[str]:
    return [line[start : start + _WIDTH] for start in range(0, len(line), _WIDTH)]


def _quoted(line: str) -> str:
    """As a line of a docstring."""
    return ascii(line)[1:-1].replace('"', "'")


def _script(func: Any) -> str:
    import tvm_ffi

    if not tvm_ffi.get_global_func("tilelang.tt.is_printable")(func):
        return "# it is nested too deeply to be printed"
    try:
        lines = func.script().splitlines()
    except Exception as error:
        lines = [f"it cannot be printed: {one_line(error)}"]
    return "\n".join(f"# {line}".rstrip() for line in lines)
