"""What compiles: the host, and this package down to its bytes."""

import json
import os
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from .. import _host, _library
from .._version import __version__


def origin() -> dict[str, str]:
    """Of this process, by what a person would compare: equal where results may be exchanged."""
    return {"host": str(_host.require_host()), "tilelang-tt": __version__, "code": _code()}


def in_words(origin: Mapping[str, str]) -> str:
    """For a message."""
    return f"tilelang-tt {origin['tilelang-tt']} (code {origin['code'][:12]}) on {origin['host']}"


@cache
def _code() -> str:
    digest = sha256()
    for name, path in sorted(_files().items()):
        content = path.read_bytes()
        digest.update(json.dumps([name, len(content)]).encode() + content)
        if path.stat().st_mtime > _library.READ_AT:
            # Replaced while this process runs the code that was there before, which nobody knows by name any more.
            digest.update(os.urandom(16))
    return digest.hexdigest()


def _files() -> dict[str, Path]:
    """The files of this package by their names in it. An editable install keeps the native ones elsewhere."""
    package = Path(__file__).parents[1]
    native = _library.passes_path().parent
    found = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    return found | {path.name: path for path in native.iterdir() if path.suffix in (".so", ".dylib")}
