"""Every test has one priority, and a file of priorities that cannot be meant is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilelang.tt import errors
from tilelang.tt.testing.compare.pattern import names
from tilelang.tt.testing.compare.priorities import PRIORITIES, REST, Priorities

pytestmark = pytest.mark.stage("testing")

PLAN = """\
[P0]
meaning = "smoke: minutes, after every change"
tests = ["tests/test_smoke.py", "tests/test_nn.py::TestLinear::test_forward"]

[P1]
meaning = "core: daily"
tests = ["tests/test_nn.py", "tests/test_torch.py"]

[P3]
meaning = "by itself"
tests = ["tests/test_dynamo*.py", "tests/inductor", "tests/*::test_compile"]
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "priorities.toml"
        path.write_text(text, encoding="utf-8")
        return Priorities.read(path)

    return read


@pytest.mark.parametrize(
    ("test", "priority"),
    [
        ("tests/test_smoke.py::test_a[1-2]", "P0"),
        ("tests/test_nn.py::TestLinear::test_forward[float32]", "P0"),
        ("tests/test_nn.py::TestLinear::test_forward_hook", "P1"),
        ("tests/test_nn.py::test_compile", "P1"),
        ("tests/test_dynamo_guards.py::test_x", "P3"),
        ("tests/inductor/test_a.py::test_x", "P3"),
        ("tests/inductor_like/test_a.py::test_x", REST),
        ("tests/test_other.py::test_compile[a::b]", "P3"),
        ("tests/test_other.py::TestA::test_compile", REST),
        ("tests/test_smoke_more.py::test_a", REST),
    ],
)
def test_first_match_wins(read, test, priority):
    assert read(PLAN).of(test) == priority


def test_meanings(read):
    assert read(PLAN).meanings == {
        "P0": "smoke: minutes, after every change",
        "P1": "core: daily",
        "P3": "by itself",
    }


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"P0"}, ["tests/test_smoke.py", "tests/test_nn.py"]),
        ({"P1"}, ["tests/test_nn.py"]),
        ({"P2"}, ["tests/test_other.py"]),
        ({"P3"}, ["tests/test_other.py", "tests/test_dynamo_a.py"]),
        (set(PRIORITIES), ["tests/test_smoke.py", "tests/test_nn.py", "tests/test_other.py", "tests/test_dynamo_a.py"]),
    ],
)
def test_files(read, chosen, expected):
    files = ["tests/test_smoke.py", "tests/test_nn.py", "tests/test_other.py", "tests/test_dynamo_a.py"]
    assert read(PLAN).select(files, chosen) == expected


PARTS = st.sampled_from(["a", "ab", "a*", "*", "*b"])
NAMES = st.sampled_from(["a", "ab", "b", "a[a]", "aab"])
FILES = st.sampled_from(["a", "ab", "a/b"])


def parts_of(names):
    return st.lists(names, min_size=1, max_size=2).map("::".join)


IDS = st.builds("{}.py::{}".format, FILES, parts_of(NAMES))
TEXTS = st.builds("{}.py".format, PARTS) | st.builds("{}.py::{}".format, PARTS, parts_of(PARTS))


@given(st.lists(TEXTS, unique=True, max_size=4), st.lists(TEXTS, unique=True, max_size=4), IDS)
def test_no_file_is_left_out_that_has_a_test(first, second, test):
    rules = tuple((text, "P0") for text in first) + tuple((text, "P3") for text in second)
    priorities = Priorities("priorities.toml", {}, rules)
    file = test.partition("::")[0]
    assert priorities.select([file], {priorities.of(test)}) == [file]


@given(st.text(st.sampled_from("ab[]?.!:/"), min_size=1), st.text(st.sampled_from("ab[]?.!:/")))
def test_only_asterisks_stand_for_others(text, other):
    within = text.rstrip("/")
    assert names(text, other) == (other == within or other.startswith((f"{within}/", f"{within}::", f"{within}[")))


@given(st.text(st.sampled_from("ab*:")), st.text(st.sampled_from("ab:")))
def test_asterisks_stay_within_a_part(text, other):
    """The oracle tries every length of what the first asterisk stands for."""

    def fits(text, other):
        before, asterisk, after = text.partition("*")
        if not asterisk:
            return other == text or other.startswith(f"{text}::")
        rest = other.removeprefix(before)
        if not other.startswith(before):
            return False
        # An asterisk may end at a colon, and begin no pair of them.
        return any(
            fits(after, rest[end:])
            for end in range(len(rest) + 1)
            if not any(rest.startswith("::", at) for at in range(end))
        )

    assert names(text, other) == fits(text, other)


def test_nothing_to_run_is_refused(read):
    with pytest.raises(errors.ComparisonError, match=r"TT969: .*: found no test of priority P0, P3 in 1 files"):
        read(PLAN).select(["tests/test_torch.py"], {"P3", "P0"})


def table(name="P0", tests='["a"]', meaning='"m"'):
    return f"[{name}]\nmeaning = {meaning}\ntests = {tests}\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (table() + table("P4"), 4, 'found "P4"; expected the tables P0, P1, P2, P3'),
        ("P0 = 3\n", 1, 'found "P0"; expected the tables'),
        (table() + "test = 3\n", 4, 'P0: found "test"; expected meaning and tests'),
        ('[P0]\ntests = ["a"]\n', 1, "P0: found no meaning"),
        (table(meaning='" "'), 2, "P0: found no meaning"),
        (table(tests='"a"'), 3, "P0: found tests that are no list of strings"),
        (table(tests='["a", ""]'), 3, "P0: found tests that are no list of strings"),
        (table() + table("P1", "[]"), 4, "P1: found no tests"),
        (table() + table("P1", '["b", "a"]'), 6, 'P1: found "a" a second time'),
        ("[P0\n", "1:4", "Expected ']' at the end of a table declaration; expected TOML"),
        ("[P0]\n[P0]\n", "2:4", ""),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(read, text, line, message):
    with pytest.raises(errors.ComparisonError, match="TT968: ") as caught:
        read(text)
    assert re.search(rf"priorities\.toml:{line}: {re.escape(message)}", str(caught.value))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Priorities.read(tmp_path / "priorities.toml")


def test_the_rest_may_have_no_tests(read):
    priorities = read(PLAN + '[P2]\nmeaning = "the rest: weekly"\n')
    assert priorities.meanings["P2"] == "the rest: weekly"
