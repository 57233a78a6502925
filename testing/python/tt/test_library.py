"""The shared libraries: one binary for every host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tilelang.tt import _library, _native

pytestmark = pytest.mark.stage("host")

PASSES = _library.passes_path()
LIBRARIES = {"passes": PASSES, "native": Path(_native.__file__)}
# libtvm_ffi.so carries some functions of newer C++ libraries itself; a link to those has no version.
FROM_THE_SYSTEM = re.compile(r"@(GLIBC|GLIBCXX|CXXABI|GCC|LIBC)_[\w.]+$|^_ZSt\d+__throw_\w+$")
USUAL_WEAK = {"_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__gmon_start__"}


def tool(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", LIBRARIES.values(), ids=LIBRARIES)
def test_no_path_of_the_build_machine(path):
    data = path.read_bytes()
    assert not re.findall(rb"/(?:home|root|tmp|work|Users|build|github)/[\x20-\x7e]*", data)
    assert str(Path(__file__).parents[3]).encode() not in data


@pytest.mark.parametrize("path", LIBRARIES.values(), ids=LIBRARIES)
def test_size(path):
    assert path.stat().st_size < 1_000_000


if sys.platform == "linux":

    def symbols(path, which):
        """Pairs of type and name, with the symbol's version after an @."""
        return [tuple(line.split()[-2:]) for line in tool("nm", "-D", which, path).splitlines()]

    def test_undefined_symbols():
        """The stable C ABI of tvm-ffi, the C and C++ libraries, and nothing of any TVM."""
        undefined = symbols(PASSES, "--undefined-only")
        others = {
            name
            for kind, name in undefined
            if not (name.startswith("TVMFFI") or FROM_THE_SYSTEM.search(name) or (kind == "w" and name in USUAL_WEAK))
        }
        assert not others
        assert {name for _, name in undefined if name.startswith("TVMFFI")}

    def test_nothing_of_ours_is_exported():
        """Two extensions in one process must not find each other's functions."""
        assert not [name for _, name in symbols(PASSES, "--defined-only") if "2tt" in name]

    @pytest.mark.parametrize("path", LIBRARIES.values(), ids=LIBRARIES)
    def test_dynamic_section(path):
        section = tool("readelf", "-d", path)
        assert "RPATH" not in section
        assert "RUNPATH" not in section
        needed = re.findall(r"NEEDED.*\[(.*)\]", section)
        assert needed
        assert all(re.match(r"lib(stdc\+\+|m|gcc_s|c|pthread|tvm_ffi)\.so|ld-linux", name) for name in needed), needed
