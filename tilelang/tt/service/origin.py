"""What has compiled: the host, and this package down to its bytes."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from .. import _host, _native
from .._version import __version__


def origin() -> dict[str, str]:
    """Of this process, by what a person would compare: equal where results may be exchanged."""
    return {"host": str(_host.require_host()), "tilelang-tt": __version__, "code": _code()}


@cache
def _code() -> str:
    digest = sha256()
    package = Path(__file__).parents[1]
    native = Path(_native.__file__).parent
    found = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    found |= {path.name: path for path in native.iterdir() if path.suffix in (".so", ".dylib")}
    for name, path in sorted(found.items()):
        digest.update(f"{name}\n".encode() + sha256(path.read_bytes()).digest())
    return digest.hexdigest()
