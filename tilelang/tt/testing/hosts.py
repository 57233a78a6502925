"""Tests that need a certain TVM."""

from importlib.util import find_spec

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from .._host import Host, installed, require_host
from ..errors import HostError, refusal

_KNOWN = ("apache-tvm", "tilelang")


def requires_host(*requirements: str, llvm: bool = False) -> pytest.MarkDecorator:
    """A mark for a test, or as ``pytestmark`` for all of a file, that is skipped where the host is another one.

    Only what the host is decides. A host that is installed and cannot be used fails, and so does an import of this
    package: neither skips a test.

    Args:
        *requirements: What the host has to be, as pip writes it: ``"tilelang"``, ``"apache-tvm>=0.26"`` or
            ``"apache-tvm>=0.26,<0.28"``. One of them has to hold; without any, every host will do. Versions are
            compared as in PEP 440, and pre-releases count.
        llvm: Whether the host has to have LLVM, which executes kernels as machine code.

    Returns:
        A mark of pytest's, ``skipif``, whose reason says what is required and what was found.

    Raises:
        OptionError: A requirement is not one, or names what is no host.
        HostError: The host is broken, so that it cannot be said whether it has LLVM.
    """
    reason = lacking(*requirements, llvm=llvm)
    return pytest.mark.skipif(bool(reason), reason=reason or "the host is there")


def lacking(*requirements: str, llvm: bool = False) -> str:
    """What is required and what was found, where the host is not what :func:`requires_host` asks for; else nothing."""
    wanted = [_parse(requirement) for requirement in requirements]
    found, fits = _look_for(wanted, llvm)
    needed = " or ".join(map(str, requirements)) or "a host"
    return "" if fits else f"requires {needed}{' with LLVM' if llvm else ''}; found {found}"


def _parse(requirement: str) -> Requirement:
    try:
        parsed = Requirement(requirement)
    except (InvalidRequirement, TypeError):
        parsed = None
    if parsed is None or parsed.extras or parsed.url or parsed.marker or canonicalize_name(parsed.name) not in _KNOWN:
        raise refusal(
            "TT946",
            f"found {requirement!r}; expected {' or '.join(_KNOWN)}, alone or with versions\n"
            'help: write it as for pip, such as "tilelang" or "apache-tvm>=0.26,<0.28"',
        )
    return parsed


def _look_for(wanted: list[Requirement], llvm: bool) -> tuple[str, bool]:
    """What was found, in words, and whether it is what is wanted."""
    try:
        host = installed()
    except HostError:
        if find_spec("tvm") is not None:  # it is there, and broken
            raise
        return "none", False
    found = f"{host.name} {host.version}"
    if not _is_one_of(host, wanted):
        return found, False
    if llvm and not _has_llvm():
        return f"{found} without LLVM", False
    return found, True


def _is_one_of(host: Host, wanted: list[Requirement]) -> bool:
    return not wanted or any(
        canonicalize_name(one.name) == host.name and one.specifier.contains(host.version, prereleases=True)
        for one in wanted
    )


def _has_llvm() -> bool:
    require_host()
    import tvm_ffi

    return tvm_ffi.get_global_func("target.build.llvm", allow_missing=True) is not None
