"""Tests that need a certain host: what is skipped where, and what is never skipped."""

import pytest
from support import host

from tilelang.tt import _host, errors, testing
from tilelang.tt.testing import hosts, requires_host
from tilelang.tt.testing._extra import extra

pytestmark = pytest.mark.stage("testing")

pytest_plugins = ["pytester"]

OTHER = {"tilelang": "apache-tvm", "apache-tvm": "tilelang"}[host.HOST]
TVM_27 = _host.Host("apache-tvm", "0.27.0.post1", "0.1.14.post1")


def skips(*requirements, **options):
    """Whether the mark skips, and why."""
    mark = requires_host(*requirements, **options).mark
    assert mark.name == "skipif"
    return *mark.args, mark.kwargs["reason"]


@pytest.fixture
def installed(monkeypatch):
    """Another host."""
    return lambda found: monkeypatch.setattr(hosts, "installed", lambda: found)


FITS = ("apache-tvm", "apache-tvm>=0.26", "apache-tvm>=0.26,<0.28", "Apache_TVM ~= 0.27", "apache-tvm==0.27.*")


@pytest.mark.parametrize("requirement", FITS)
def test_fits(installed, requirement):
    installed(TVM_27)
    assert skips(requirement) == (False, "the host is there")


@pytest.mark.parametrize("requirement", ["tilelang", "apache-tvm<0.27", "apache-tvm==0.26.0", "tilelang>=0.27"])
def test_does_not_fit(installed, requirement):
    installed(TVM_27)
    assert skips(requirement) == (True, f"requires {requirement}; found apache-tvm 0.27.0.post1")


def test_one_of_several_is_enough(installed):
    installed(TVM_27)
    assert not skips("tilelang", "apache-tvm")[0]
    found = "requires tilelang or apache-tvm<0.26; found apache-tvm 0.27.0.post1"
    assert skips("tilelang", "apache-tvm<0.26") == (True, found)


def test_prereleases_count(installed):
    installed(_host.Host("tilelang", "0.2.0.dev3+git.abc", "0.1.12"))
    assert not skips("tilelang>=0.1.15")[0]
    assert skips("tilelang>=0.2")[0]


def test_the_host_that_is_there():
    assert skips() == (False, "the host is there")
    assert not skips(f"{host.HOST}=={host.VERSION}")[0]
    assert skips(OTHER) == (True, f"requires {OTHER}; found {host.HOST} {host.VERSION}")


def test_llvm():
    without = f"requires a host with LLVM; found {host.HOST} {host.VERSION} without LLVM"
    assert skips(llvm=True) == ((True, without) if host.ON_TILELANG else (False, "the host is there"))
    assert skips(OTHER, llvm=True) == (True, f"requires {OTHER} with LLVM; found {host.HOST} {host.VERSION}")


def raised(error):
    def call():
        raise error

    return call


def test_no_host(monkeypatch):
    monkeypatch.setattr(hosts, "installed", raised(errors.HostError("TT120: no TVM")))
    monkeypatch.setattr(hosts, "find_spec", lambda name: None)
    assert skips("tilelang") == (True, "requires tilelang; found none")


def test_a_broken_host_skips_nothing(monkeypatch):
    monkeypatch.setattr(hosts, "installed", raised(errors.HostError("TT120: no TVM")))
    with pytest.raises(errors.HostError, match="TT120"):
        requires_host("tilelang")


def test_a_host_that_cannot_be_imported_skips_nothing(monkeypatch):
    monkeypatch.setattr(hosts, "require_host", raised(errors.HostError("TT122: cannot be imported")))
    with pytest.raises(errors.HostError, match="TT122"):
        requires_host(llvm=True)


WRONG = [
    "tvm",
    "tvm>=0.26",
    "tilelang-tt",
    "",
    "apache-tvm>>0.26",
    "tilelang[test]",
    "tilelang; python_version>'3'",
    27,
]


@pytest.mark.parametrize("requirement", WRONG)
def test_refuses_what_is_no_host(requirement):
    with pytest.raises(errors.OptionError, match=r"^TT946: found .*; expected apache-tvm or tilelang") as caught:
        requires_host("tilelang", requirement)
    assert repr(requirement) in str(caught.value)


FILE = """
import pytest
from tilelang.tt.testing import requires_host

@requires_host("{other}")
def test_other():
    raise AssertionError

@requires_host("{this}")
def test_this():
    pass

@pytest.mark.parametrize("x", [pytest.param(1, marks=requires_host("{other}")), 2])
def test_parameter(x):
    assert x == 2
"""
WHOLE_FILE = """
from tilelang.tt.testing import requires_host

pytestmark = requires_host("{other}")

def test_other():
    raise AssertionError
"""


@pytest.mark.parametrize(("text", "outcomes"), [(FILE, {"passed": 2, "skipped": 2}), (WHOLE_FILE, {"skipped": 1})])
def test_in_a_file(pytester, text, outcomes):
    pytester.makepyfile(text.format(this=host.HOST, other=OTHER))
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs")
    done.assert_outcomes(**outcomes)
    done.stdout.fnmatch_lines([f"SKIPPED*: requires {OTHER}; found {host.HOST} {host.VERSION}"])


@pytest.mark.parametrize("name", ["hypothesis", "pytest"])
def test_a_package_that_is_not_installed(name):
    with pytest.raises(errors.HostError, match=f"^TT947: {name} is not installed") as caught, extra():
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    assert 'help: pip install "tilelang-tt[testing]"' in str(caught.value)


def test_other_imports_that_fail_are_no_refusals():
    with pytest.raises(ModuleNotFoundError, match="tvm") as caught, extra():
        raise ModuleNotFoundError("No module named 'tvm'", name="tvm")
    assert not isinstance(caught.value, errors.TTError)


def test_every_public_name_is_there():
    assert sorted(testing._LAZY) == sorted(testing.__all__)
    for name in testing.__all__:
        assert getattr(testing, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'suites'"):
        testing.suites  # noqa: B018
