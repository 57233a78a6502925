"""The suites of this package: `tilelang-tt test run --list` says them, and `.ci/run` runs those that CI needs.

Those by pytest run in the environment that `tilelang-tt` is installed in, on its host; those of nox and make build
environments of their own.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tilelang.tt.testing import Suite

TESTS = "testing/python/tt"
MINUTE = 60


def of_stages(name: str, *stages: str) -> Suite:
    does = f"The tests of {'stage' if len(stages) == 1 else 'stages'} {', '.join(stages)}."
    return Suite(name, arguments=["-n", "auto", "--stage", ",".join(stages)], does=does, time_limit=15 * MINUTE)


def by_nox(name: str, does: str, minutes: float, session: str = "", arguments: Sequence[str] = ()) -> Suite:
    rest = ["--", *arguments] if arguments else []
    command = [sys.executable, "-m", "nox", "--no-color", "-s", session or name, *rest]
    return Suite(name, command=command, does=does, time_limit=minutes * MINUTE)


SUITES = (
    Suite(
        "smoke",
        [f"{TESTS}/test_{name}.py" for name in ("host", "inferred_metadata", "schedule", "make", "text", "executable")],
        arguments=["-n", "auto"],
        does="That it works at all, from the host to a kernel that is executed, in half a minute.",
        time_limit=5 * MINUTE,
    ),
    Suite("tests", [TESTS], arguments=["-n", "auto"], does="All tests on this host.", time_limit=30 * MINUTE),
    # Every stage of testing/stages.py is in one of these.
    of_stages("schedule", "schedule"),
    of_stages("shard", "shard"),
    of_stages("devices", "devices", "defaults"),
    of_stages("reading", "host", "sizes", "reading"),
    of_stages("plan", "verify", "metadata", "plan", "report"),
    of_stages("execute", "program", "execute", "target"),
    of_stages("compile", "compile", "cache", "worker", "search", "many"),
    of_stages("tools", "errors", "logs", "cli", "docs", "testing"),
    Suite(
        "policies",
        [f"{TESTS}/test_{name}.py" for name in ("schedule", "work_split", "tile_order", "sharding")],
        arguments=["-n", "auto"],
        does="How work tiles are dealt to cores and in which order, and tensors to banks.",
        time_limit=10 * MINUTE,
    ),
    Suite(
        "stress",
        [f"{TESTS}/test_cache_stress.py"],
        variables={"TILELANG_TT_STRESS_SECONDS": "30"},
        does="Sixteen processes on one cache for half a minute, which die, and damage and evict what they share.",
        time_limit=10 * MINUTE,
    ),
    Suite(
        "loaded",
        command=[
            str(Path(sys.executable).with_name("tilelang-tt")),
            *("test", "compare", "testing/comparisons/loaded.toml", "--out", "build/comparisons/loaded", "--jobs", "2"),
        ],
        does="The tests of the host itself, with and without this package loaded: none may differ.",
        time_limit=15 * MINUTE,
    ),
    by_nox("compare", "All tests on apache-tvm 0.26 against 0.27.", 90),
    by_nox("compare-smoke", "The quickest of them.", 15, "compare", ["--priority", "P0"]),
    by_nox("tvm25", "All tests on apache-tvm 0.25.", 30, "tests(tvm25)"),
    by_nox("tvm26", "All tests on apache-tvm 0.26.", 30, "tests(tvm26)"),
    by_nox("tvm27", "All tests on apache-tvm 0.27.", 30, "tests(tvm27)"),
    by_nox("tilelang", "All tests on TileLang, and the benchmarks that need it.", 40, "tests(tilelang)"),
    by_nox("hosts", "All tests on all supported hosts.", 120, "tests"),
    by_nox("browser", "The pages of plans and comparisons in Chromium.", 15),
    by_nox("sanitize", "The tests on libraries that stop at memory errors and undefined behaviour.", 45),
    by_nox("fuzz", "Inputs that nobody would write, for a minute each; needs CPython 3.11.", 20),
    by_nox("lint", "Formatting, lints and types.", 10),
    by_nox("docs", "The documentation, with warnings as errors.", 20),
    Suite("bench", command=["make", "bench"], does="What things cost, against limits.", time_limit=20 * MINUTE),
    Suite("demo", command=["make", "demo"], does="The first example.", time_limit=15 * MINUTE),
    Suite(
        "demo-system",
        command=["make", "demo", "PYTHON=/usr/bin/python3", "VENV=.venv-system"],
        does="The first example, from nothing, by the system's own Python.",
        time_limit=15 * MINUTE,
    ),
)
