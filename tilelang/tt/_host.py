"""Finding the TVM that runs the passes: TileLang's own or apache-tvm."""

import functools
import importlib
import re
import sys
import warnings
from dataclasses import dataclass

from . import _library
from .errors import refusal, warning


@dataclass(frozen=True)
class Host:
    """A host and the tvm-ffi beside it, by distribution name and version."""

    name: str
    version: str
    ffi_version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} with apache-tvm-ffi {self.ffi_version}"


@dataclass(frozen=True)
class _Tried:
    """A host that the tests run on, and the tvm-ffi releases that work with it, both ends included."""

    name: str
    version: str
    ffi_min: tuple[int, ...]
    ffi_max: tuple[int, ...]
    ffi_pin: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version} apache-tvm-ffi=={self.ffi_pin}"


# Each found by installing the pair and running the tests.
_TRIED = (
    _Tried("apache-tvm", "0.25.0.post1", (0, 1, 12), (0, 1, 12), "0.1.12"),
    _Tried("apache-tvm", "0.26.0", (0, 1, 13), (0, 1, 14), "0.1.14.post1"),
    _Tried("apache-tvm", "0.27.0.post1", (0, 1, 14), (0, 1, 14), "0.1.14.post1"),
    _Tried("tilelang", "0.1.15", (0, 1, 12), (0, 1, 12), "0.1.12"),
)


@functools.cache
def require_host() -> Host:
    """The host, imported and with the passes registered.

    Raises:
        HostError: there is none, or it is known not to work with the tvm-ffi beside it.
    """
    host = installed()
    _check_pair(host)
    try:
        importlib.import_module("tvm.tirx")
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        raise refusal("TT122", f"found {host}, but it cannot be imported: {error}\n{_supported()}") from error
    _library.load()
    if not any(tried.name == host.name and tried.version == host.version for tried in _TRIED):
        warnings.warn(warning("TT130", f"tilelang.tt has not been tried with {host}. {_supported()}"), stacklevel=3)
    return host


def installed() -> Host:
    """The host that is installed; it is not imported, unless only that tells its version.

    Raises:
        HostError: There is none.
    """
    # With TileLang its own package has run before this one; without it `tilelang` is a namespace.
    name, module = ("tilelang", "tilelang") if _is_package("tilelang") else ("apache-tvm", "tvm")
    version = _version(name) or _version_of_checkout(module)
    ffi_version = _version("apache-tvm-ffi")
    if version and ffi_version:
        return Host(name, version, ffi_version)
    found = {name: version, "apache-tvm-ffi": ffi_version}
    described = ", ".join(f"{key} {value or 'is not installed'}" for key, value in found.items())
    raise refusal("TT120", f"no TVM to run the passes in: {described}.\n{_supported()}")


def _is_package(module: str) -> bool:
    return getattr(sys.modules.get(module), "__file__", None) is not None


def _version(distribution: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _version_of_checkout(module: str) -> str | None:
    """The version of a module that pip has not installed, such as a source tree on PYTHONPATH."""
    try:
        version = importlib.import_module(module).__version__
    except (ImportError, OSError, AttributeError, RuntimeError):
        return None
    return str(version)


def _release(version: str) -> tuple[int, ...]:
    """The numbers of the release: (0, 27, 0) of "0.27.0.post1"."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _check_pair(host: Host) -> None:
    """Refuse a pair of versions that is known to crash or not to load, before it does."""
    for tried in _TRIED:
        if tried.name != host.name or _release(tried.version) != _release(host.version):
            continue
        if not tried.ffi_min <= _release(host.ffi_version)[:3] <= tried.ffi_max:
            raise refusal(
                "TT121",
                f"{host} is a pair of versions that does not work; mend it with\n    python -m pip install {tried}",
            )


def _supported() -> str:
    lines = "\n".join(f"    python -m pip install {tried}" for tried in _TRIED)
    return f"Supported are, each as one line:\n{lines}"
