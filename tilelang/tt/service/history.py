"""What a search has tried, step by step, and what came of it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

_WIDTH = 100


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
    last = f"ended: {ending}" if ending else "it goes on"
    return "\n".join([_heading(name, kept), "", *_steps(kept), "", *_others(history), last])


def _heading(name: str, kept: Sequence[Step]) -> str:
    first, last = kept[0], kept[-1]
    if last is first or first.cycles is None or last.cycles is None:
        return f"{name}: stays with its default plan"
    fewer = f"{saving(last.cycles, first.cycles)} than the {first.cycles:,.0f} of its default plan"
    return f"{name}: ends on {described(last.changed)}\n{last.cycles:,.0f} cycles, {fewer}"


def _steps(kept: Sequence[Step]) -> Iterator[str]:
    """Each with its number and cycles in columns, and its reason below."""
    cycles = ["?" if step.cycles is None else f"{step.cycles:,.0f}" for step in kept]
    widths = len(str(kept[-1].number)), max(map(len, cycles))
    for step, number in zip(kept, cycles, strict=True):
        yield f"  {step.number:>{widths[0]}}  {number:>{widths[1]}}  {described(step.changed)}"
        yield from _indented(step.reason, 6 + sum(widths))


def _others(history: Sequence[Step]) -> Iterator[str]:
    """How many came to nothing in each way, and the first of them."""
    others = [step for step in history if step.outcome not in ("default", "upgraded")]
    for outcome, count in Counter(step.outcome for step in others).items():
        first = next(step for step in others if step.outcome == outcome)
        cycles = "" if first.cycles is None else f", {first.cycles:,.0f} cycles"
        yield f"{count} {outcome}, the first of them number {first.number}, {described(first.changed)}{cycles}:"
        yield from _indented(first.reason, 2)


def _indented(text: str, width: int) -> list[str]:
    indent = " " * width
    return wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
