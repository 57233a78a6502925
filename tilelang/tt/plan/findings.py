"""What a check finds in a plan, and how it is collected."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

from ..errors import refusal

# Of one code; what is wrong a hundred times is wrong for one reason.
_MOST = 20
_LONGEST = 8


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in a plan.

    Attributes:
        code: Of the mistake, such as ``TT822``; ``errors.explain`` prints its page.
        where: The place in the plan, as a JSON pointer into ``tt.plan.json``.
        message: What was found and what was expected, in numbers.
    """

    code: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.where}: {self.message}"


@dataclass(frozen=True)
class CheckReport:
    """What was proven of a plan, and what is wrong with it. True where nothing is.

    Attributes:
        findings: In the order of the plan; of each code the first 20.
        num_omitted: Findings beyond those.
        num_work_tiles: Work tiles of all launches, each of which is executed exactly once.
        num_pages: Pages of all tensors, each of which lies in one place inside of its bank.
        num_elements: Elements of the tensors, each of which lies in one place of one page.
    """

    findings: tuple[Finding, ...]
    num_omitted: int
    num_work_tiles: int
    num_pages: int
    num_elements: int

    def __bool__(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        proven = f"{self.num_work_tiles:,} work tiles, {self.num_pages:,} pages and {self.num_elements:,} elements"
        if not self.findings:
            return f"no findings; proven: {proven}"
        more = [f"and {self.num_omitted} more"] if self.num_omitted else []
        total = len(self.findings) + self.num_omitted
        heading = f"{total} finding{'s' * (total > 1)}; proven all the same: {proven}"
        return "\n".join([heading, *map(str, self.findings), *more])

    def raise_if_findings(self) -> None:
        """Raise where there is a finding.

        Raises:
            PlanError: With all findings as its message, and their codes as ``codes``.
        """
        if self.findings:
            text = "\n\n".join(map(str, self.findings))
            raise refusal(self.findings[0].code, text.partition(": ")[2])


class Findings:
    """Collects findings, of each code only so many."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self._counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self._counts.total()

    def add(self, code: str, where: str, message: str) -> None:
        self._counts[code] += 1
        if self._counts[code] <= _MOST:
            self.kept.append(Finding(code, where, message))

    def expect(self, code: str, where: str, found: Any, expected: Any, why: str) -> bool:
        """Whether the one is the other; adds a finding where not."""
        if found == expected and (found is None) == (expected is None):
            return True
        self.add(code, where, f"found {shown(found)}; expected {shown(expected)}, {why}")
        return False


def shown(value: Any) -> str:
    """As the file has it; long lists by their beginning."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        rest = [f"... {len(value)} in all"] if len(value) > _LONGEST else []
        return f"[{', '.join([*map(shown, value[:_LONGEST]), *rest])}]"
    return str(value)


def number(size: int | str | None) -> int:
    """A size of a kernel that has been found to have numbers only."""
    return cast(int, size)


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def round_up(a: int, b: int) -> int:
    return ceil_div(a, b) * b
