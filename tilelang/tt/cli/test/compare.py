"""``tilelang-tt test compare``: the same tests in two environments, and what the second one broke."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..._whole_file import whole_file
from ...testing._extra import extra
from .. import output
from ..options import Command

if TYPE_CHECKING:
    from ...testing.compare.config import Comparison
    from ...testing.compare.model import FileRun, Leg, Report

_OUT = "tt.comparison"
_FINDINGS = 1
_INTERRUPTED = 130
_OF_LEGS = (
    ("-results", "DIR", "JUnit XML of the {}, instead of running tests."),
    ("-env", "NAME=VALUE", "A variable that is set in the {}."),
    ("-arg", "ARG", "An argument of pytest in the {}."),
    ("", "PYTHON", "Interpreter, or virtual environment, of the {}."),
)
_LEGS = ("baseline", "candidate", "diagnostic")


def _leg_options(command: Callable[..., None]) -> Callable[..., None]:
    for leg in reversed(_LEGS):
        for name, metavar, help_ in _OF_LEGS:
            multiple = bool(name) and name != "-results"
            command = click.option(f"--{leg}{name}", metavar=metavar, multiple=multiple, help=help_.format(leg))(
                command
            )
    return command


@click.command(cls=Command)
@click.argument("names", nargs=-1, metavar="[FILE.toml] [TESTS]...")
@_leg_options
@click.option("--arg", "arguments", metavar="ARG", multiple=True, help="An argument of pytest in all of them.")
@click.option("-k", "keyword", metavar="EXPRESSION", help="Run the tests that match, as of pytest.")
@click.option("--package", metavar="NAME", help="The distribution under test: it has one version in all of them.")
@click.option("--absent", metavar="MODULE", multiple=True, help="The candidate's; the baseline cannot import it.")
@click.option("--loaded", metavar="MODULE", multiple=True, help="Loaded in the candidate, and not in the baseline.")
@click.option("--reruns", type=click.IntRange(0), help="How often a regression is run again.  [default: 3]")
@click.option("--jobs", type=click.IntRange(1), help="How many processes run at a time.  [default: 1]")
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Of each file.  [default: 300]"
)
@click.option("--classification", metavar="FILE", help="Why tests differ; what is new is added to it.")
@click.option("--priorities", metavar="FILE", help="How often tests have to run.")
@click.option("--priority", multiple=True, type=click.Choice(["P0", "P1", "P2", "P3"]), help="Run only its tests.")
@click.option("--same", is_flag=True, help="Allow two environments that are the same.")
@click.option("--out", metavar="DIR", help=f"Folder for results and reports.  [default: {_OUT}]")
@click.option("--json", "as_json", is_flag=True, help="Write the report to stdout as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Write the report to stdout as Markdown.")
def compare(names: tuple[str, ...], out: str | None, as_json: bool, as_markdown: bool, **options: Any) -> None:
    """Run the same tests in two environments, or in three, and say what the candidate has broken.

    FILE.toml describes a comparison, and options win over it. TESTS are folders, files and node ids. An interrupted
    comparison goes on when the same command is given again. The folder has report.json, report.md, report.html, and
    JUnit XML of each file.

    Exit codes: 0 nothing is broken; 1 tests have regressed, vanished, or are skipped now, and nobody has classified
    why; 2 the command line is wrong, or the environments cannot be compared; 130 it was interrupted.
    """
    with extra():
        from ...testing.compare import report as told
        from ...testing.compare.comparison import compare_results
    if as_json and as_markdown:
        raise click.UsageError("expected one of --json and --markdown")
    folders = [options.pop(f"{leg}_results") for leg in _LEGS]
    wanted = _wanted(names, options)
    report = compare_results(_folders(folders)) if any(folders) else _compared(wanted, Path(out or _OUT))
    report = _classified(report, wanted)
    if out or not any(folders):
        _write(report, Path(out or _OUT))
    if as_json:
        click.echo(told.to_json(report), nl=False)
    elif as_markdown:
        click.echo(told.to_markdown(report), nl=False)
    else:
        output.write(told.lines(report, output.width()))
    if report.breaks:
        raise click.exceptions.Exit(_FINDINGS)


def _folders(folders: list[str | None]) -> list[str]:
    baseline, candidate, diagnostic = folders
    if baseline is None or candidate is None:
        raise click.UsageError("expected --baseline-results and --candidate-results together")
    return [baseline, candidate, *([diagnostic] if diagnostic else [])]


def _wanted(names: tuple[str, ...], options: dict[str, Any]) -> "Comparison":
    """What the file and the options describe together."""
    from ...testing.compare import config
    from ...testing.compare.model import Leg

    files = [name for name in names if name.endswith(".toml")]
    if len(files) > 1:
        raise click.UsageError(f"expected one FILE.toml, found {', '.join(files)}")
    stated = config.read(files[0]) if files else config.Comparison()
    tests = tuple(name for name in names if name not in files)
    legs = {leg.name: leg for leg in stated.legs}
    for name in _LEGS:
        if leg := _leg(name, legs.get(name), options):
            legs[name] = leg
    if "candidate" in legs:
        legs.setdefault("baseline", Leg("baseline", sys.executable))
    del options["absent"], options["loaded"]  # which the legs have now
    keyword = options.pop("keyword")
    arguments = (*stated.arguments, *options.pop("arguments"), *(("-k", keyword) if keyword else ()))
    # What was not given is None, False or empty; 0 reruns were given.
    given: dict[str, Any] = {name: value for name, value in options.items() if value or type(value) is int}
    return replace(stated, tests=tests or stated.tests, legs=tuple(legs.values()), arguments=arguments, **given)


def _leg(name: str, stated: "Leg | None", options: dict[str, Any]) -> "Leg | None":
    """A leg with what options say of it; None where nothing does."""
    from ...testing.compare.model import Leg

    python, arguments, pairs = (options.pop(f"{name}{what}") for what in ("", "_arg", "_env"))
    absent, loaded = (options[what] if name in _LEGS[:2] else () for what in ("absent", "loaded"))
    if stated is None and not any((python, arguments, pairs, absent, loaded)):
        return None
    leg = stated or Leg(name, sys.executable)
    leg = replace(
        leg,
        python=python or leg.python,
        arguments=(*leg.arguments, *arguments),
        variables={**leg.variables, **dict(map(_variable, pairs))},
    )
    if name == "baseline":
        return replace(leg, absent=(*leg.absent, *absent), unloaded=(*leg.unloaded, *loaded))
    return replace(leg, present=(*leg.present, *absent), loaded=(*leg.loaded, *loaded))


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise click.UsageError(f"found {text}; expected NAME=VALUE")
    return name, value


def _compared(wanted: "Comparison", out: Path) -> "Report":
    from ...testing.compare.classification import Classification
    from ...testing.compare.comparison import compare
    from ...testing.process import interruptible

    if wanted.classification is not None:
        Classification.read(wanted.classification)  # what is wrong with it is not to be said after hours of tests
    try:
        with interruptible():
            return compare(wanted, out, _tell)
    except KeyboardInterrupt:
        output.error(f"interrupted; {out} has what has run, and the same command goes on")
        raise click.exceptions.Exit(_INTERRUPTED) from None


def _tell(leg: str, run: "FileRun", done: int, total: int) -> None:
    from ...testing.compare.model import outcome_name

    counts = Counter(result.outcome for result in run.results.values())
    found = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no tests"
    ended = found if run.ending == "finished" else f"{outcome_name(run.ending)}: {run.detail.partition(chr(10))[0]}"
    output.note(f"{f'{done}/{total}' if total else 'again'} {leg} {run.file}: {ended}, {run.seconds:.1f} s")


def _classified(report: "Report", wanted: "Comparison") -> "Report":
    from ...testing.compare.classification import Classification

    if wanted.classification is None:
        return report
    classification = Classification.read(wanted.classification)
    if added := classification.add(report.findings, date.today()):
        output.note(f"{wanted.classification}: added {added} entries to be classified")
    return classification.apply(report, complete=wanted.is_whole)


def _write(report: "Report", out: Path) -> None:
    from ...testing.compare.report import to_html, to_json, to_markdown

    out.mkdir(parents=True, exist_ok=True)
    for name, text in (("json", to_json), ("md", to_markdown), ("html", to_html)):
        with whole_file(out / f"report.{name}") as file:
            file.write(text(report).encode())
    output.note(f"{out} has the report as JSON, Markdown and HTML")
