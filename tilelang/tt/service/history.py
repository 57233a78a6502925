"""What a search has tried, step by step, and what came of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One plan that a search has tried.

    Attributes:
        number: 0 is the default plan.
        changed: What differs from the default: inputs of :func:`tilelang.tt.apply_tt_defaults` and parameters of the
            kernel.
        outcome: ``"default"``; ``"upgraded"``: calls run it from then on; ``"not better"``, by the estimate;
            ``"refused"`` by the passes, or by the function that builds the kernel; ``"failed the check"`` of its plan;
            ``"not proven"``, as it has not been executed with the right result; ``"timed out"``; ``"crashed"``.
        reason: Why, in a sentence, with the numbers.
        cycles: What the estimate says that it takes at least; None where that is not known.
        seconds: What the step took.
        key: Of its compilation, as the cache has it; empty where there is none.
    """

    number: int
    changed: Mapping[str, Any]
    outcome: str
    reason: str
    cycles: float | None
    seconds: float
    key: str = ""

    def __str__(self) -> str:
        changed = f"{described(self.changed)}: " if self.changed else ""
        cycles = "" if self.cycles is None else f", {self.cycles:,.0f} cycles"
        return f"{self.number}: {changed}{self.outcome}{cycles}: {self.reason}"


def described(changed: Mapping[str, Any]) -> str:
    """What differs from the default, in a few words."""
    return ", ".join(f"{name}={value}" for name, value in changed.items()) or "default"


def saving(cycles: float, of: float) -> str:
    """How much less that is."""
    return f"{100 * (1 - cycles / of):.1f}% fewer"


def explained(name: str, history: Sequence[Step], ending: str) -> str:
    """On which plan a search has ended, and why, in lines for people."""
    if not history:
        return f"{name}: no other plan has been looked for"
    kept = [step for step in history if step.outcome in ("default", "upgraded")]
    return "\n".join(
        [_heading(name, kept), *_table(kept), *_rest(history), f"ended: {ending}" if ending else "goes on"]
    )


def _heading(name: str, kept: Sequence[Step]) -> str:
    first, last = kept[0], kept[-1]
    if last is first or first.cycles is None or last.cycles is None:
        return f"{name}: stays with its default plan"
    return (
        f"{name}: ends on {described(last.changed)}: {last.cycles:,.0f} cycles, "
        f"{saving(last.cycles, first.cycles)} than the {first.cycles:,.0f} of its default plan"
    )


def _table(kept: Sequence[Step]) -> list[str]:
    rows = [
        (str(step.number), described(step.changed), "?" if step.cycles is None else f"{step.cycles:,.0f}", step.reason)
        for step in kept
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"  {number:>{widths[0]}}  {changed:{widths[1]}}  {cycles:>{widths[2]}}  {reason}"
        for number, changed, cycles, reason in rows
    ]


def _rest(history: Sequence[Step]) -> list[str]:
    """How many came to nothing, and the first of each kind that is not only slower."""
    others = [step for step in history if step.outcome not in ("default", "upgraded")]
    counts = Counter(step.outcome for step in others)
    lines = []
    for outcome, count in counts.items():
        first = next(step for step in others if step.outcome == outcome)
        lines.append(f"  {count} {outcome}, such as {first.number}, {described(first.changed)}: {first.reason}")
    return lines
