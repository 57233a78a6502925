"""The environments of a comparison, looked at before anything runs in them."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import refusal
from .leg import inside
from .model import FileRun, Leg

_PROBE_SECONDS = 120.0  # of a TileLang that is imported for the first time
_OLDEST_PYTEST = 8
_SHOWN = ("python", "pytest")


@dataclass(frozen=True)
class Environment:
    """A leg that has been looked at.

    Attributes:
        leg: With its interpreter as a path, and its versions: of Python, of pytest, of the package under test, and of
            all in which the legs differ.
        prefix: The environment of the interpreter.
        state: What stands for all that is installed, its contents included as far as packages state them.
    """

    leg: Leg
    prefix: str
    state: str


def look_at(legs: Sequence[Leg], *, package: str | None = None, same: bool = False) -> list[Environment]:
    """The environments of legs, when their tests can be compared.

    Args:
        legs: Baseline, candidate and, where there is one, diagnostic.
        package: A distribution that has to be there in all of them, in one version: the package under test.
        same: Whether baseline and candidate may be the same in everything.

    Raises:
        ComparisonError: An interpreter does not run, lacks pytest or the package, or has another version of it; a leg
            is contaminated; or there is nothing to compare.
    """
    found = [_probe(leg) for leg in legs]
    wanted = None if package is None else _normal(package)
    if wanted is not None:
        _check_package(wanted, legs, found)
    for leg, probe in zip(legs, found, strict=True):
        _check_modules(leg, probe["modules"])
    environments = [
        Environment(replace(leg, python=_interpreter(leg), versions=probe["versions"]), probe["prefix"], probe["state"])
        for leg, probe in zip(legs, _with_versions(found, wanted), strict=True)
    ]
    if not same:
        _check_difference(environments[0], environments[1])
    return environments


def check_loaded(leg: Leg, run: FileRun) -> None:
    """Refuse a process of tests that has loaded what it may not, or has not loaded what it must.

    Raises:
        ComparisonError: The message says which module, and where it was loaded from.
    """
    for module in leg.unloaded:
        if place := run.loaded.get(module):
            raise _contaminated(
                leg,
                f"{module} was loaded from {place} when {run.file} ended; expected that it is not loaded",
                "take away what loads it: a plugin, a conftest.py, a .pth file, or the tests themselves",
            )
    for module in leg.loaded:
        if module in run.loaded and run.loaded[module] is None:
            raise _contaminated(
                leg,
                f"{module} was not loaded when {run.file} ended; expected that it is",
                "have it imported at start-up, such as by -p of pytest and a plugin",
            )


def _probe(leg: Leg) -> dict[str, Any]:
    python = _interpreter(leg)
    request = {"action": "probe", "modules": sorted({*leg.absent, *leg.present})}
    with tempfile.TemporaryDirectory(prefix="tilelang-tt-") as folder:
        try:
            done = inside(replace(leg, python=python), Path(folder), request, _PROBE_SECONDS)
        except OSError as error:
            raise refusal("TT996", f"{leg.name}: {python} does not start: {error.strerror}") from error
    if "python" not in done.noted:
        how = "did not answer in time" if done.ended.timed_out else f"ended with {done.ended.signal or done.ended.code}"
        raise refusal("TT996", f"{leg.name}: {python} {how}; expected an interpreter of Python\n{done.output}".rstrip())
    pytest = done.noted["distributions"].get("pytest", "")
    if int(re.sub(r"\D.*", "", pytest) or 0) < _OLDEST_PYTEST:
        raise refusal(
            "TT996",
            f"{leg.name}: found {f'pytest {pytest}' if pytest else 'no pytest'} for {python}; expected"
            f" {_OLDEST_PYTEST} or newer"
            f"\nhelp: {python} -m pip install 'pytest>={_OLDEST_PYTEST}'",
        )
    return dict(done.noted)


def _interpreter(leg: Leg) -> str:
    """The interpreter that a path, a name or the folder of a virtual environment stands for; links are kept."""
    found: str | None
    if os.path.isdir(leg.python):
        found = next(
            filter(os.path.exists, (os.path.join(leg.python, "bin", name) for name in ("python", "python3"))), None
        )
        if found is None:
            raise refusal("TT996", f"{leg.name}: {leg.python} has no bin/python; expected a virtual environment")
    else:
        found = shutil.which(leg.python)
        if found is None:
            raise refusal("TT996", f"{leg.name}: found no program {leg.python}; expected an interpreter of Python")
    return os.path.abspath(found)


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def _check_package(package: str, legs: Sequence[Leg], found: Sequence[Mapping[str, Any]]) -> None:
    versions = {leg.name: probe["distributions"].get(package) for leg, probe in zip(legs, found, strict=True)}
    if None in versions.values() or len(set(versions.values())) > 1:
        stated = ", ".join(f"{version or 'none'} in the {name}" for name, version in versions.items())
        raise refusal(
            "TT996", f"{package}: found {stated}; expected one version in all of them, as it is what is tested"
        )


def _check_modules(leg: Leg, places: Mapping[str, str | None]) -> None:
    for module in leg.absent:
        if places[module] is not None:
            raise _contaminated(
                leg,
                f"{module} can be imported, from {places[module]}; expected that it cannot",
                f"uninstall it from {_interpreter(leg)}, or name another environment",
            )
    for module in leg.present:
        if places[module] is None:
            raise _contaminated(
                leg,
                f"{module} cannot be imported; expected that it can",
                f"install it for {_interpreter(leg)}, or name another environment",
            )


def _contaminated(leg: Leg, found: str, what_to_do: str) -> Exception:
    return refusal("TT997", f"{leg.name}: {found}\nhelp: {what_to_do}")


def _with_versions(found: Iterable[Mapping[str, Any]], package: str | None) -> list[dict[str, Any]]:
    every = [{"python": probe["python"], **probe["distributions"]} for probe in found]
    names = sorted({name for versions in every for name in versions})
    shown = [
        name for name in names if name in (*_SHOWN, package) or len({versions.get(name) for versions in every}) > 1
    ]
    return [
        {**probe, "versions": {name: versions[name] for name in shown if name in versions}}
        for probe, versions in zip(found, every, strict=True)
    ]


def _check_difference(baseline: Environment, candidate: Environment) -> None:
    def what_differs(environment: Environment) -> tuple[Any, ...]:
        leg = environment.leg
        return environment.prefix, dict(leg.variables), leg.arguments

    if what_differs(baseline) == what_differs(candidate):
        raise refusal(
            "TT996",
            f"baseline and candidate are both {baseline.leg.python}, with the same variables and arguments of pytest; "
            "expected a difference\nhelp: --same compares an environment with itself, as a test of the tests",
        )
