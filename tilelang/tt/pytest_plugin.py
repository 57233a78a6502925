"""Golden files of plans, for pytest.

pytest loads ``tilelang_tt_pytest``, whose fixture ``tt_plan`` is a :class:`Planner` of this module.
"""

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from .errors import PlanError, refusal
from .plan import KernelProvenance, Plan, Provenance, make_plan

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

_FOLDER = "golden"
_SUFFIX = ".plan.json"
# Of a difference: how many changes of one kind are shown, how many lines at all, and how many characters of a value.
_ALIKE, _LINES, _CHARACTERS = 3, 40, 60
# Which test of the session has used a golden file first.
_USERS = pytest.StashKey[dict[Path, str]]()


class Planner:
    """The fixture ``tt_plan`` of one test."""

    def __init__(self, test: pytest.Item, update: bool) -> None:
        self._test = test
        self._update = update

    def __call__(self, kernel: "IRModule | PrimFunc | Plan", **inputs: Any) -> "PlannedKernel":
        """Plan a kernel.

        Args:
            kernel: As :func:`tilelang.tt.plan.make_plan` takes it; without inputs also a plan.
            **inputs: As :func:`tilelang.tt.plan.make_plan` takes them.

        Raises:
            TTError: As :func:`tilelang.tt.plan.make_plan`.
        """
        plan = kernel if isinstance(kernel, Plan) and not inputs else make_plan(kernel, **inputs)
        return PlannedKernel(plan, self._test, self._update)


class PlannedKernel:
    """The plan of a kernel in a test.

    Attributes:
        plan: The plan itself, for other assertions.
    """

    def __init__(self, plan: Plan, test: pytest.Item, update: bool) -> None:
        self.plan = plan
        self._test = test
        self._update = update

    def matches(self, golden: "str | os.PathLike[str] | None" = None) -> None:
        """Assert that the plan is that of a golden file, whatever made it: the provenance is not compared.

        With ``pytest --update-golden`` a file that is missing or differs is written instead.

        Args:
            golden: The file, relative to the folder ``golden`` beside the test file. Without it the file is named after
                the test: ``golden/<test file>/<test>.plan.json``.

        Raises:
            GoldenError: The plan differs, or there is no such file, or it is no plan or that of another test.
        """
        __tracebackhide__ = True
        file = self._file(golden)
        if self._update:
            self._write(file)
        elif not file.exists():
            raise refusal("TT891", f"found no golden file {self._shown(file)}; to make it, run {self._command()}")
        else:
            self._compare(file)

    def _file(self, golden: "str | os.PathLike[str] | None") -> Path:
        folder = self._test.path.parent / _FOLDER
        if golden is not None:
            return folder / golden
        name = re.sub(r"[^\w.]+", "-", self._test.nodeid.partition("::")[2]).strip("-")
        return folder / self._test.path.stem / (name + _SUFFIX)

    def _compare(self, file: Path) -> None:
        __tracebackhide__ = True
        changes = list(_changes(_decisions(self._load(file)), _decisions(self.plan)))
        if changes:
            lines = "".join(f"\n    {line}" for line in _lines(changes))
            raise refusal(
                "TT890",
                f"the plan differs from {self._shown(file)}; "
                f"changes, from the file to the plan: {len(changes)}{lines}\n"
                f"help: if the plan is as it should be, run {self._command()}",
            )

    def _load(self, file: Path) -> Plan:
        __tracebackhide__ = True
        try:
            return Plan.load(file)
        except PlanError as error:
            raise refusal("TT893", f"cannot read a golden file: {error}\nhelp: run {self._command()}") from None

    def _write(self, file: Path) -> None:
        __tracebackhide__ = True
        users = self._test.session.stash.setdefault(_USERS, {})
        self._note("used", file)
        if not _holds(file, self.plan):
            if file in users:
                raise refusal(
                    "TT892",
                    f"{self._shown(file)} is the golden file of {users[file]}, whose plan is another one; expected "
                    'a file for each: name one in .matches("NAME.plan.json")',
                )
            file.parent.mkdir(parents=True, exist_ok=True)
            _without_provenance(self.plan).save(file)
            self._note("written", file)
        users.setdefault(file, self._test.nodeid)

    def _note(self, what: str, file: Path) -> None:
        """For the end of the session, where the report of the test brings it from whatever process it runs in."""
        self._test.user_properties.append((f"tt_golden_{what}", self._shown(file)))

    def _shown(self, file: Path) -> str:
        return os.path.relpath(file, self._test.config.rootpath)

    def _command(self) -> str:
        return f"pytest --update-golden {shlex.quote(self._test.nodeid)}"


def _without_provenance(plan: Plan) -> Plan:
    """The plan as any host makes it, so that only other decisions are another file."""
    kernels = [KernelProvenance(kernel.name, None, None, (None,) * len(kernel.warnings)) for kernel in plan.kernels]
    return replace(plan, provenance=Provenance("any", "any", tuple(kernels)))


def _decisions(plan: Plan) -> Any:
    return json.loads(plan.to_json())["kernels"]


def _holds(file: Path, plan: Plan) -> bool:
    try:
        return Plan.load(file).kernels == plan.kernels
    except (FileNotFoundError, PlanError):
        return False


class _Change(NamedTuple):
    """A value that differs: its JSON pointer, the name of what it is of, and both values as JSON."""

    pointer: str
    name: str
    old: str
    new: str

    def __str__(self) -> str:
        place = f"{self.pointer} of {self.name}" if self.name else self.pointer
        pairs = enumerate(zip(self.old, self.new, strict=False))
        difference = next((index for index, (one, other) in pairs if one != other), 0)
        return f"{place}: {_excerpt(self.old, difference)} -> {_excerpt(self.new, difference)}"

    @property
    def kind(self) -> str:
        return re.sub(r"/\d+", "/*", self.pointer)


def _changes(old: Any, new: Any, pointer: str = "/kernels", name: str = "") -> Iterator[_Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in new:
            yield from _changes(old[key], new[key], f"{pointer}/{key}", str(new.get("name", name)))
    elif isinstance(old, list) and isinstance(new, list) and any(isinstance(item, dict) for item in old + new):
        yield from _changes_of_items(old, new, pointer, name)
    else:
        yield _Change(pointer, name, _json(old), _json(new))


def _changes_of_items(old: list[Any], new: list[Any], pointer: str, name: str) -> Iterator[_Change]:
    """Items that have names are compared by name, so that an added one moves no others."""
    named = _are_named(old) and _are_named(new)
    before, after = (dict(_keyed(items, named)) for items in (old, new))
    if list(before) != list(after):
        listed = [_json(list(keys)) if named else f"{len(keys)} items" for keys in (before, after)]
        yield _Change(pointer, name, *listed)
    for position, (key, item) in enumerate(after.items()):
        if key in before:
            yield from _changes(before[key], item, f"{pointer}/{position}", name)


def _keyed(items: list[Any], named: bool) -> Iterator[tuple[Any, Any]]:
    return ((item["name"] if named else index, item) for index, item in enumerate(items))


def _are_named(items: list[Any]) -> bool:
    return len({item.get("name") for item in items} - {None}) == len(items)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _excerpt(text: str, difference: int) -> str:
    """The text, or of a long one some of it around the difference."""
    if len(text) <= _CHARACTERS:
        return text
    start = max(min(difference - _CHARACTERS // 3, len(text) - _CHARACTERS), 0)
    end = start + _CHARACTERS
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def _lines(changes: list[_Change]) -> list[str]:
    kinds: dict[str, list[_Change]] = {}
    for change in changes:
        kinds.setdefault(change.kind, []).append(change)
    lines: list[str] = []
    for kind, alike in kinds.items():
        shown = alike if len(alike) <= _ALIKE + 1 else alike[:_ALIKE]
        lines += map(str, shown)
        if len(alike) > len(shown):
            lines.append(f"... and {len(alike) - len(shown)} more of {kind}")
    return lines if len(lines) <= _LINES else [*lines[:_LINES], f"... and {len(lines) - _LINES} more lines"]
