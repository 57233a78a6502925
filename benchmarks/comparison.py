"""A comparison of 10,000 tests in 200 files, from the JUnit XML of both legs to its reports.

Prints the time of each step, which is the fastest of several runs, and what it is for.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from tilelang.tt.testing.compare import findings, results
from tilelang.tt.testing.compare.model import FileRun, Leg, Outcome, Report, Result
from tilelang.tt.testing.compare.report import from_json, to_html, to_json, to_markdown

FILES, TESTS = 200, 50
RUNS = 5
LEGS = (
    Leg("baseline", "/usr/bin/python3.12", versions={"Python": "3.12.1", "torch": "2.10.0"}),
    Leg("candidate", "/venv/bin/python", {"JIT": "1"}, versions={"Python": "3.12.1", "torch": "2.10.0", "jit": "1.0"}),
)
MESSAGE = "\n".join(["def test():", *["    x = compute()"] * 20, "E   assert 1 == 2", "E    +  where 1 = compute()"])


def outcome(leg: str, file: int, test: int) -> Outcome:
    """Of each test; some hundred differ, and the processes of two files of the candidate crash."""
    number = file * TESTS + test
    if number % 17 == 0:
        return "skipped"
    if leg == "candidate" and number % 41 == 0:
        return "failed"
    return "failed" if number % 997 == 0 else "passed"


def run(leg: str, file: int) -> FileRun:
    name = f"tests/test_file_{file}.py"
    if leg == "candidate" and file % 100 == 99:
        return FileRun(name, "crashed", "SIGSEGV", running=f"{name}::TestClass::test_3[float32-3]")
    found = {}
    for test in range(TESTS):
        if leg == "candidate" and (file * TESTS + test) % 503 == 0:
            continue
        node = f"{name}::TestClass::test_{test}[float32-{test}]"
        result = outcome(leg, file, test)
        found[node] = Result(node, result, 0.01, MESSAGE if result == "failed" else "")
    return FileRun(name, "finished", seconds=1.0, results=found)


def write(folder: Path) -> None:
    for leg in LEGS:
        (folder / leg.name).mkdir()
        for file in range(FILES):
            results.write(folder / leg.name / f"{file}.xml", run(leg.name, file))


def timed(what: str, step: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    print(f"{what:40}{min(times) * 1e3:8.0f} ms")
    return min(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)

        def read() -> list[dict[str, FileRun]]:
            return [results.read_folder(folder / leg.name) for leg in LEGS]

        def compare() -> Report:
            return findings.compare(["tests"], LEGS, runs)

        runs, total = read(), timed("JUnit XML of both legs", read)
        report, total = compare(), total + timed("findings", compare)
        text, page, comment = to_json(report), to_html(report), to_markdown(report)
        assert from_json(text) == report
        for what, step in (("JSON", to_json), ("Markdown", to_markdown), ("HTML", to_html)):
            total += timed(f"{what}", lambda step=step: step(report))
    tests = sum(each.baseline.total() for each in report.files)
    print(
        f"{len(report.findings)} findings in {tests} tests; {len(text)} bytes of JSON, {len(page)} of HTML, "
        f"{len(comment)} of Markdown"
    )
    print(f"{'together':40}{total * 1e3:8.0f} ms   (below 2000)")


if __name__ == "__main__":
    main()
