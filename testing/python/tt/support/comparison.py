"""Reports of comparisons that nobody has run: one with every kind of finding, and any that can be."""

from collections import Counter
from dataclasses import replace
from typing import get_args

from hypothesis import strategies as st

from tilelang.tt.testing.compare.model import Category, FileCounts, Finding, Kind, Leg, Outcome, Report

FAILURE = """\
@pytest.mark.parametrize("dtype", ["int32", "int64"])
    def test_carry(dtype):
        low, high = add_wide(2**31 - 1, 1, dtype)
>       assert (low, high) == (0, 1)
E       AssertionError: assert (0, 0) == (0, 1)
E         At index 1 diff: 0 != 1
E         Use -v to get more diff

tests/test_sum.py:41: AssertionError"""
VERSIONS = {"Python": "3.12.9", "numpy": "2.3.1", "pytest": "9.2.0", "torch": "2.10.0+cpu"}
LEGS = (
    Leg("baseline", "/usr/bin/python3.12", versions=VERSIONS),
    Leg(
        "candidate",
        "/opt/jit/bin/python",
        {"JIT_ENABLE": "1"},
        ("-p", "jit.plugin"),
        versions={**VERSIONS, "jit": "0.4.1"},
    ),
    Leg("diagnostic", "/opt/jit/bin/python", {"JIT_ENABLE": "0"}, versions={**VERSIONS, "jit": "0.4.1"}),
)


def found(kind, name, baseline="passed", candidate="failed", **values):
    return Finding(kind, f"tests/{name}", f"tests/{name}".partition("::")[0], baseline, candidate, **values)


CRASHED = tuple(
    found(
        "regression",
        f"test_autograd.py::TestAutograd::test_{name}",
        candidate="crashed",
        diagnostic="passed",
        message="crashed in tests/test_autograd.py::TestAutograd::test_hooks: SIGSEGV",
        culprit="tests/test_autograd.py::TestAutograd::test_hooks",
    )
    for name in ("accumulate", "backward", "hooks", "profiler", "saved_tensors")
)
SEVERAL = Report(
    ("tests",),
    LEGS,
    (
        FileCounts("tests/test_autograd.py", Counter(passed=5), Counter(crashed=5), 0, 0, 0),
        FileCounts("tests/test_nn.py", Counter(passed=180, skipped=12), Counter(passed=179, skipped=13), 0, 0, 12),
        FileCounts("tests/test_optim.py", Counter(passed=61), Counter(passed=60), 2, 1, 0),
        FileCounts("tests/test_sine.py", Counter(passed=9, failed=1), Counter(passed=9, failed=1), 0, 0, 0),
        FileCounts("tests/test_sum.py", Counter(passed=40), Counter(passed=37, failed=3), 0, 0, 0),
        *(
            FileCounts(f"tests/test_same_{at}.py", Counter(passed=30 + at), Counter(passed=30 + at), 0, 0, 0)
            for at in range(40)
        ),
    ),
    (
        found(
            "regression",
            "test_sum.py::test_carry[int64]",
            message=FAILURE,
            diagnostic="passed",
            reruns=("failed",) * 5,
            baseline_reruns=("passed",) * 5,
        ),
        found(
            "regression",
            "test_sum.py::test_carry[int32]",
            message=FAILURE,
            diagnostic="passed",
            reruns=("failed",) * 5,
            category="codegen",
            reason="The carry of the second word is lost where both overflow.",
            link="https://example.org/issues/12",
        ),
        found(
            "regression",
            "test_sine.py::test_ulp",
            message="E   assert 1.2e-7 < 1e-7",
            diagnostic="failed",
            category="platform",
            reason="The libm of this system rounds otherwise.",
        ),
        *CRASHED,
        found("vanished", "test_optim.py::TestAdam::test_fused", candidate=None, diagnostic=None),
        found("vanished", "test_optim.py::TestAdam::test_foreach", candidate=None, diagnostic=None),
        found("lost", "test_nn.py::TestConv::test_depthwise", candidate="skipped", message="needs more memory"),
        found(
            "flaky",
            "test_sum.py::test_threads",
            message="E   assert 3 == 4",
            reruns=("failed", "passed", "passed", "failed", "passed"),
        ),
        found("new", "test_optim.py::TestAdam::test_capturable", None, "passed"),
        found("fixed", "test_sine.py::test_negative", "failed", "passed"),
    ),
    {"baseline": 192.4, "candidate": 171.8, "diagnostic": 201.0},
    notes=("Tests that fail in the candidate were run again five times.",),
    stale=("tests/test_sum.py::test_mended",),
)
NOTHING = replace(SEVERAL, findings=(), files=SEVERAL.files[5:], stale=())


def many(count):
    """With so many findings, each with a message of its own."""
    findings = (
        found("regression", f"test_{at % 150}.py::test_{at}[{at}]", message=FAILURE.replace("0, 1", f"0, {at}"))
        for at in range(count)
    )
    return replace(SEVERAL, findings=tuple(findings))


OUTCOMES = st.sampled_from(get_args(Outcome))
NUMBERS = st.integers(0, 10**6)


def few(items):
    return st.lists(items, max_size=2).map(tuple)


def findings(texts):
    return st.builds(
        Finding,
        kind=st.sampled_from(get_args(Kind)),
        test=texts,
        file=texts,
        baseline=st.none() | OUTCOMES,
        candidate=st.none() | OUTCOMES,
        diagnostic=st.none() | OUTCOMES,
        message=texts,
        reruns=few(OUTCOMES),
        baseline_reruns=few(OUTCOMES),
        culprit=texts,
        category=st.none() | st.sampled_from(get_args(Category)),
        reason=texts,
        link=texts,
    )


def reports(texts):
    mappings = st.dictionaries(texts, texts, max_size=1)
    legs = st.builds(Leg, texts, texts, mappings, few(texts), absent=few(texts), versions=mappings)
    counts = st.dictionaries(OUTCOMES, st.integers(1, 10**6), max_size=2).map(Counter)
    return st.builds(
        Report,
        selection=few(texts),
        legs=st.tuples(legs, legs),
        files=few(st.builds(FileCounts, texts, counts, counts, NUMBERS, NUMBERS, NUMBERS)),
        findings=few(findings(texts)),
        seconds=st.dictionaries(texts, st.floats(0, 1e9), max_size=1),
        notes=few(texts),
        stale=few(texts),
    )
