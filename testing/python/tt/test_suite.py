"""Suites as they are described, found and chosen."""

import re
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import host

from tilelang.tt.errors import SuiteError
from tilelang.tt.testing import Suite, Suites, suite
from tilelang.tt.testing.suite import Shard

pytestmark = pytest.mark.stage("testing")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": ""}, "name = ''"),
        ({"name": "a b"}, "name = 'a b'"),
        ({"name": "../a"}, "name = '../a'"),
        ({"paths": "tests"}, "paths = 'tests'; expected a list of texts"),
        ({"paths": [Path("tests")]}, "paths = .*; expected a list of texts"),
        ({"command": ["a", "b\0"]}, "command = "),
        ({"paths": ["tests"], "command": ["make"]}, "paths = .*; expected nothing beside a command"),
        ({"keyword": "fast", "command": ["make"]}, "keyword = 'fast'; expected nothing beside a command"),
        ({"arguments": ["-x"], "command": ["make"]}, "arguments = .*; expected nothing beside a command"),
        ({"shards": 2, "command": ["make"]}, "shards = 2; expected 1 for a command"),
        ({"shards": 0}, "shards = 0; expected at least 1"),
        ({"shards": True}, "shards = True; expected at least 1"),
        ({"time_limit": 0}, "time_limit = 0; expected seconds, more than 0"),
        ({"time_limit": "60"}, "time_limit = '60'; expected seconds"),
        ({"variables": {"A": 1}}, "variables = "),
        ({"variables": {"A=B": "1"}}, "variables = "),
        ({"variables": ["A"]}, "variables = "),
        ({"keyword": ["a"]}, "keyword = "),
    ],
)
def test_value_that_cannot_be(values, message):
    with pytest.raises(SuiteError, match=f"TT993: suite .* has {message}"):
        Suite(**{"name": "one", **values})


def test_lists_become_tuples():
    assert Suite("one", ["a", "b"]) == Suite("one", ("a", "b"))


def test_what_is_unmet(tmp_path):
    other = "apache-tvm" if host.ON_TILELANG else "tilelang"
    needy = Suite(
        "one", requires=["NEEDED", "HELD"], devices=[f"{tmp_path}/chip*"], hosts=[other], variables={"OWN": "1"}
    )
    assert needy.unmet({"HELD": ""}) == [
        "requires the environment variable NEEDED, which is not set",
        f"requires the device {tmp_path}/chip*, which is not there",
        f"requires {other}; found {host.HOST} {host.VERSION}",
    ]


def test_what_is_met(tmp_path):
    (tmp_path / "chip0").touch()
    names = {"apache-tvm", "tilelang"}
    suites = Suite("one", requires=["A", "B"], devices=[f"{tmp_path}/chip*"], hosts=sorted(names), variables={"B": "1"})
    assert suites.unmet({"A": ""}) == []


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "1/4/2", "-1/4", "a/b", "", "1 /4"])
def test_shard_that_cannot_be(text):
    with pytest.raises(SuiteError, match="TT993: found the shard"):
        Shard.parse(text)


@given(st.integers(1, 20), st.none() | st.integers(1, 20), st.booleans())
def test_shards_are_all_of_a_suite(count, most, is_command):
    one = Suite("one", command=["make"]) if is_command else Suite("one", shards=most)
    parts = [Shard(index, count).of(one) for index in range(1, count + 1)]
    run = [part for part in parts if part is not None]
    assert len({part.count for part in run}) == 1
    assert sorted(part.index for part in run) == list(range(1, run[0].count + 1))
    assert run[0].count == (1 if is_command else min(count, most or count))


KNOWN = {name: Suite(name) for name in ("smoke", "schedule", "shard", "docs")}


@given(st.lists(st.sampled_from(sorted(KNOWN)), max_size=8), st.lists(st.sampled_from([" ", ",", ", ", "\n"])))
def test_names_are_chosen_once_and_in_order(names, separators):
    text = "".join(name + (separators[i] if i < len(separators) else ",") for i, name in enumerate(names))
    expected = [KNOWN[name] for i, name in enumerate(names) if name not in names[:i]]
    assert Suites(Path(), KNOWN).select(names) == Suites(Path(), KNOWN).select([text]) == tuple(expected)


def test_name_that_is_near_another_one():
    with pytest.raises(SuiteError, match='TT992: no suite is called "shedule"; expected one of: schedule'):
        Suites(Path(), KNOWN).select(["smoke", "shedule"])


def test_name_that_is_like_none():
    with pytest.raises(SuiteError, match=r"TT992: .*expected one of: smoke, schedule, shard, docs"):
        Suites(Path(), KNOWN).select(["xyz"])


def test_name_where_there_are_no_suites():
    with pytest.raises(SuiteError, match=r"TT992: .*this project describes none"):
        Suites(Path(), {}).select(["smoke"])


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "entry_points", lambda group: [])
    (tmp_path / "pyproject.toml").write_text('[tool.tilelang-tt]\nsuites = "testing/suites.py"\n')
    (tmp_path / "testing").mkdir()

    def describe(code):
        (tmp_path / "testing" / "suites.py").write_text(textwrap.dedent(code))
        return tmp_path

    return describe


SMOKE = """
    from tilelang.tt.testing import Suite
    SUITES = [Suite("smoke", ["tests"])]
"""


def test_suites_of_the_nearest_project(project):
    root = project(SMOKE)
    (root / "a" / "b").mkdir(parents=True)
    found = Suites.find(root / "a" / "b")
    assert (found.root, list(found.by_name)) == (root.resolve(), ["smoke"])


def test_no_project(tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "entry_points", lambda group: [])
    assert Suites.find(tmp_path) == Suites(tmp_path.resolve(), {})


@pytest.mark.parametrize(
    "code",
    [
        "",
        "SUITES = 1",
        "SUITES = ['smoke']",
        "1 / 0",
        "SUITES = (",
        "from tilelang.tt.testing import Suite; Suite('')",
        "exit(0)",
    ],
)
def test_file_that_cannot_be_read(project, code):
    with pytest.raises(SuiteError, match=r"TT994: .*suites\.py"):
        Suites.find(project(code))


def test_file_that_is_not_there(project):
    root = project("")
    (root / "testing" / "suites.py").unlink()
    with pytest.raises(SuiteError, match=r"TT994: .*suites\.py"):
        Suites.find(root)


def test_two_suites_of_one_name(project):
    with pytest.raises(SuiteError, match=r"TT994: .*smoke"):
        Suites.find(project(SMOKE.replace("]\n", "] * 2\n")))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Packages that have entry points."""

    def install(**values):
        monkeypatch.syspath_prepend(tmp_path)
        name = f"of_{tmp_path.name}"  # no other test has imported it
        (tmp_path / f"{name}.py").write_text("from tilelang.tt.testing import Suite\nSMOKE = [Suite('smoke')]\n")
        (tmp_path / f"{name}_exits.py").write_text("exit(0)")
        points = [
            EntryPoint(key, f"{name}{value}" if ":" in value else f"{name}:{value}", suite.GROUP)
            for key, value in values.items()
        ]
        monkeypatch.setattr(suite, "entry_points", lambda group: points if group == suite.GROUP else [])

    return install


def test_suites_of_a_package(installed, tmp_path):
    installed(theirs="SMOKE")
    assert Suites.find(tmp_path).by_name == {"smoke": Suite("smoke")}


@pytest.mark.parametrize("value", ["Suite", "NOT_THERE", "_exits:SMOKE"])
def test_package_whose_suites_cannot_be_read(installed, tmp_path, value):
    installed(ours="SMOKE", theirs=value)
    found = Suites.find(tmp_path)
    assert found.select(["smoke"]) == (Suite("smoke"),)
    what = f"the entry point theirs = .*{value} of tilelang_tt.suites"
    assert [re.match(what, each) is not None for each in found.unreadable] == [True]
    with pytest.raises(SuiteError, match=f'TT992: no suite is called "kernels"; [^\n]*\n{what}'):
        found.select(["kernels"])


def test_two_origins_of_one_name(installed, project):
    root = project(SMOKE)
    installed(theirs="SMOKE")
    with pytest.raises(SuiteError, match=r"TT994: the project .* and the entry point theirs = .* both have .* smoke"):
        Suites.find(root)
