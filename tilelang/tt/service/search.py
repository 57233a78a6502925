"""Better plans for a kernel that can be called already: which are tried, in what order, and what makes one better."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from hashlib import sha256
from itertools import product
from logging import getLogger
from random import Random
from time import monotonic
from typing import Any, NamedTuple, TypeAlias, get_args, get_type_hints

from ..errors import TTError, refusal
from ..plan import Estimate, Plan, estimate
from ..plan.estimate import CYCLES_PER_TILE_PRODUCT
from ..plan.model import Inputs
from .artifact import Artifact
from .background import Compiler, is_refusal
from .entry import Entry
from .history import Step, described, saving
from .progress import Bar, open_bar
from .request import Request

log = getLogger("tilelang.tt.search")

Choice: TypeAlias = "str | tuple[str, int]"
# What of a policy or an order has a size, and what that is called.
_SIZED = {
    "block_cyclic": "the work tiles of a block",
    "swizzled_row": "the rows of a panel",
    "swizzled_column": "the columns of a panel",
}


@dataclass(frozen=True)
class Search:
    """Which plans to try, and for how long.

    Every combination is a candidate. Those that differ from the default in one thing are tried first: parameters,
    policies, orders, tiles and cores, in the order in which they are given; then all others, in an order that ``seed``
    decides.

    Attributes:
        policies: Names of schedule policies; ``block_cyclic`` is a pair of its name and its block size.
        orders: Names of schedule orders; a swizzled one is a pair of its name and its panel.
        tiles: ``(height, width)`` of the tiles of tensors without a layout of their own, in elements.
        cores: Sets of cores, each as the ``cores`` of :func:`tilelang.tt.apply_tt_defaults`.
        parameters: Values of keyword arguments of the function that builds the kernel, such as block sizes and the
            depth of a pipeline. The function's own defaults are those of the default plan.
        small: Other keyword arguments for that function, such as sizes: they make the kernel that is executed as a
            proof. Without them the whole kernel is executed, which can take longer than there is time.
        time_limit: Seconds that the search may take; None for any time.
        max_candidates: How many to try at most; None for all.
        seed: Of the order of the candidates, and of the arrays on which they are executed.
        fidelity: As for :func:`tilelang.tt.plan.estimate`, and so is ``multicast``.
        multicast: As if each box that several cores of a row or column read in one step were read from DRAM once.
            Without it an estimate hardly depends on policies and orders.
    """

    policies: Sequence[Choice] = ("contiguous", "strided", "rectangular", ("block_cyclic", 2), ("block_cyclic", 4))
    orders: Sequence[Choice] = (
        "row_major",
        "column_major",
        ("swizzled_row", 2),
        ("swizzled_row", 4),
        ("swizzled_column", 2),
        ("swizzled_column", 4),
    )
    tiles: Sequence[tuple[int, int]] = ((32, 32), (16, 32))
    cores: Sequence[Sequence[Sequence[int]]] = ()
    parameters: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    time_limit: float | None = None
    max_candidates: int | None = None
    seed: int = 0
    fidelity: str | None = None
    multicast: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            OptionError: A value that does not exist.
        """
        for name, word in (("policies", "schedule_policy"), ("orders", "schedule_order")):
            known = get_args(get_type_hints(Inputs)[word])
            _expect(name, getattr(self, name), partial(_is_choice, known=known), _choices(known))
        _expect("tiles", self.tiles, lambda one: _are_numbers(one, 2), "pairs of a height and a width, in elements")
        _expect(
            "cores",
            self.cores,
            lambda one: _is_sequence(one) and len(one) > 0 and all(_are_numbers(each, 4, 0) for each in one),
            "lists of rectangles [x0, y0, x1, y1]",
        )
        for name in ("parameters", "small"):
            if not isinstance(getattr(self, name), Mapping):
                raise _refused(name, getattr(self, name), "a mapping by the names of the function's arguments")
        _check(
            "parameters",
            self.parameters,
            lambda one: not one.keys() & Inputs.__dataclass_fields__,
            "names other than those of inputs, which have fields of their own",
        )
        for name, values in self.parameters.items():
            _expect(f"parameters[{name!r}]", values, _is_plain, "numbers and strings")
        _expect("small", list(self.small.values()), _is_plain, "numbers and strings")
        _check(
            "time_limit",
            self.time_limit,
            lambda one: one is None or _is_positive(one, (int, float)),
            "seconds, above 0",
        )
        _check("max_candidates", self.max_candidates, lambda one: one is None or _is_positive(one), "at least 1")
        _check("seed", self.seed, lambda one: _is_positive(one + 1), "an integer, at least 0")
        _check(
            "fidelity",
            self.fidelity,
            lambda one: one is None or one in CYCLES_PER_TILE_PRODUCT,
            f"any of: {', '.join(CYCLES_PER_TILE_PRODUCT)}",
        )
        _check("multicast", self.multicast, lambda one: isinstance(one, bool), "True or False")

    def candidates(self, default: Inputs, parameters: Mapping[str, Any]) -> "list[Candidate]":
        """All that are not the default, in the order in which they are tried.

        Args:
            default: The inputs of the default plan.
            parameters: Of the function that builds the kernel, the default values.
        """
        axes = [
            *([{name: value} for value in values] for name, values in self.parameters.items()),
            [_sized("schedule_policy", "schedule_block_size", one) for one in self.policies],
            [_sized("schedule_order", "swizzle_panel", one) for one in self.orders],
            [{"tile_height": height, "tile_width": width} for height, width in self.tiles],
            [{"cores": [list(each) for each in one]} for one in self.cores],
        ]
        own = {**asdict(default), "cores": [list(each) for each in default.cores], **parameters}
        others = [[one for one in axis if any(own[name] != value for name, value in one.items())] for axis in axes]
        near = [one for axis in others for one in axis]
        far = [
            {name: value for part in parts for name, value in part.items()}
            for parts in product(*([{}, *axis] for axis in others))
            if sum(map(bool, parts)) > 1
        ]
        Random(self.seed).shuffle(far)
        return [Candidate(values, frozenset(self.parameters)) for values in near + far]


class Candidate(NamedTuple):
    """A plan to try.

    Attributes:
        values: What differs from the default; None where the default has a value and this has none.
        names: Of the parameters of the function that builds the kernel.
    """

    values: dict[str, Any]
    names: frozenset[str]

    @property
    def changed(self) -> dict[str, Any]:
        """The same for people."""
        return {name: value for name, value in self.values.items() if value is not None}

    @property
    def inputs(self) -> dict[str, Any]:
        """Those that are inputs of :func:`tilelang.tt.apply_tt_defaults`."""
        return {name: value for name, value in self.values.items() if name not in self.names}

    @property
    def parameters(self) -> dict[str, Any]:
        """Those that the function takes which builds the kernel."""
        return {name: value for name, value in self.values.items() if name in self.names}


@dataclass(frozen=True)
class Subject:
    """What is searched for: a kernel, and how a variant of it is requested.

    Attributes:
        build: Gives a kernel for keyword arguments.
        parameters: The default values of those that are varied.
        request: Gives the request of a kernel with some inputs.
    """

    build: Callable[..., Any]
    parameters: Mapping[str, Any]
    request: Callable[[Any, Mapping[str, Any]], Request]

    def variant(self, candidate: "Candidate | None", other: Mapping[str, Any]) -> Request:
        """The request of a candidate, or of the default, with other arguments of the function."""
        parameters = {**self.parameters, **(candidate.parameters if candidate else {}), **other}
        return self.request(self.build(**parameters), candidate.inputs if candidate else {})


@dataclass(frozen=True, eq=False)
class Searched(Request):
    """What the result of a search is stored under.

    Attributes:
        space: All that it depends on.
    """

    space: str

    @cached_property
    def key(self) -> str:
        """64 hexadecimal digits."""
        return sha256(self.space.encode()).hexdigest()


class _Stop(Exception):  # noqa: N818
    """The search is over, for the reason that it says."""


class _Verdict(Exception):  # noqa: N818
    """A candidate is not better."""

    def __init__(self, outcome: str, reason: str, cycles: float | None = None) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.cycles = cycles


class Searcher:
    """One search, in a thread of its own."""

    def __init__(
        self,
        search: Search,
        subject: Subject,
        compiler: Compiler,
        request: Request,
        on_step: Callable[[Step], Any] | None,
        progress: bool,
    ) -> None:
        self.compiler = compiler
        self._search = search
        self._subject = subject
        self._work = compiler.work
        self._default = request
        self._on_step = on_step
        self._progress = progress
        self._began = monotonic()

    def run(self, first: Artifact) -> None:
        """Look for a better plan than the first."""
        name = first.entry.name
        bar = open_bar(f"search {name}", self._progress)
        try:
            self._look(first, bar)
        except _Stop as reason:
            self._work.ending = str(reason)
        except Exception as error:  # what has been found stays
            log.exception("the search for a better plan of %s has failed", name)
            self._work.ending = f"the search has failed: {error}"
        finally:
            bar.close()

    def _look(self, first: Artifact, bar: Bar) -> None:
        candidates = self._search.candidates(first.plan.kernel().inputs, self._subject.parameters)
        chosen = candidates[: self._search.max_candidates]
        request = self._searched(first)
        if self._recall(request, first, chosen):
            return
        self._begin(first)
        for number, candidate in enumerate(chosen, 1):
            bar.update(number - 1, len(chosen), self._so_far())
            self._record(self._step(number, candidate))
        bar.update(len(chosen), len(chosen), self._so_far())
        tried, all_ = len(chosen), len(candidates)
        self._work.ending = (
            f"all {all_} candidates have been tried"
            if tried == all_
            else f"{tried} of {all_} candidates have been tried, as many as max_candidates allows"
        )
        self._keep(request)

    def _begin(self, first: Artifact) -> None:
        self._first, self._default_entry = first.plan, first.entry
        try:
            self._best = self._estimate(first.plan)
            cycles, reason = self._best.total_cycles, _limit(self._best)
        except TTError as error:  # of a kernel that depends on shape variables
            cycles, reason = None, _first_line(error)
        self._record(Step(0, {}, "default", reason, cycles, monotonic() - self._began, first.entry.key))
        if cycles is None:
            raise _Stop("the estimate of the default plan is not known, so that none is better")
        self._check_time()

    def _searched(self, first: Artifact) -> Searched:
        space = json.dumps([first.entry.key, asdict(self._search), dict(self._subject.parameters)], sort_keys=True)
        one = self._default
        return Searched(one.name, one.func, one.device, one.options, space)

    def _recall(self, request: "Searched", first: Artifact, chosen: "list[Candidate]") -> bool:
        """Take the result of an equal search, where the kernels that it was about are built as they were then."""
        try:
            found = self.compiler.look_up(request)
            if found is None or found.entry.search is None:
                return False
            steps = tuple(Step(**step) for step in found.entry.search["steps"])
            best = [step for step in steps if step.outcome in ("default", "upgraded")][-1]
            if best.number:
                if self._subject.variant(chosen[best.number - 1], {}).key != best.key:
                    return False
                self._work.upgrade(found)
        except Exception:
            log.warning("what the cache has of a search for %s is of no use", first.entry.name, exc_info=True)
            return False
        self._work.history = steps
        self._work.ending = f"{found.entry.search['ending']}; the result is from the cache"
        return True

    def _keep(self, request: "Searched") -> None:
        """Let an equal search have this result, unless a worker was lost, which need not happen again."""
        steps = self._work.history
        if self._work.current is None or any(step.outcome in ("crashed", "timed out") for step in steps):
            return
        search = {"steps": [asdict(step) for step in steps], "ending": self._work.ending}
        self.compiler.store(replace(self._work.current.entry, key=request.key, search=search))

    def _so_far(self) -> str:
        """The best plan, for the bar."""
        first, best = self._work.history[0], self._best_step()
        if best is first or best.cycles is None or first.cycles is None:
            return f"best: the default, {self._best.total_cycles:,.0f} cycles"
        return f"best: {best.cycles:,.0f} cycles, {saving(best.cycles, first.cycles)}: {described(best.changed)}"

    def _best_step(self) -> Step:
        return [step for step in self._work.history if step.outcome in ("default", "upgraded")][-1]

    def _step(self, number: int, candidate: Candidate) -> Step:
        began = monotonic()
        key = ""
        try:
            self._check_time()
            request = self._request(candidate)
            key = request.key
            outcome, reason, cycles = self._judge(candidate, request)
        except _Verdict as verdict:
            outcome, reason, cycles = verdict.outcome, str(verdict), verdict.cycles
        return Step(number, candidate.changed, outcome, reason, cycles, monotonic() - began, key)

    def _request(self, candidate: Candidate) -> Request:
        try:
            return self._subject.variant(candidate, {})
        except Exception as error:
            raise _Verdict("refused", _first_line(error)) from error

    def _judge(self, candidate: Candidate, request: Request) -> tuple[str, str, float | None]:
        artifact = self._do("refused", None, lambda: self.compiler.fetch(request, self._seconds())[0])
        plan = self._do("failed the check", None, lambda: artifact.plan)
        if _tensors(plan) != _tensors(self._first):
            raise _Verdict("refused", "its tensors are not those of the default plan")
        cost, best = self._do("failed the check", None, lambda: self._estimate(plan)), self._best
        cycles = cost.total_cycles
        if cycles is None or best.total_cycles is None:
            raise _Verdict("not better", _limit(cost))
        if not cycles < best.total_cycles:
            raise _Verdict("not better", f"{_limit(cost)}; the best has {best.total_cycles:,.0f}", cycles)
        report = plan.check()
        if not report:
            more = f", and {len(report.findings) - 1} more" if len(report.findings) > 1 else ""
            raise _Verdict("failed the check", f"{report.findings[0]}{more}", cycles)
        proof = self._do("not proven", cycles, lambda: self._prove(candidate, artifact))
        tiles = f"{report.num_work_tiles:,} work tiles are checked"
        reason = f"{saving(cycles, best.total_cycles)}: {_change(best, cost)}; {tiles}; {proof}"
        self._work.upgrade(artifact)
        self._best = cost
        return "upgraded", reason, cycles

    def _prove(self, candidate: Candidate, artifact: Artifact) -> str:
        """What has been shown by executing it, or its small version, beside the default one."""
        pair = self._default_entry, artifact.entry
        if self._search.small:
            pair = self._small(None), self._small(candidate)
        proof = self.compiler.prove(*pair, self._search.seed, self._seconds())
        if not (proof.is_equal and proof.is_executed):
            raise _Verdict("not proven", _first_line(proof.reason))
        return _first_line(proof.reason)

    def _small(self, candidate: Candidate | None) -> Entry:
        return self.compiler.fetch(self._subject.variant(candidate, self._search.small), self._seconds())[0].entry

    def _do(self, outcome: str, cycles: float | None, what: Callable[[], Any]) -> Any:
        """Do what may be refused, or cost its worker."""
        try:
            return what()
        except _Verdict as verdict:
            verdict.cycles = cycles
            raise
        except Exception as error:
            self._check_time()
            if isinstance(error, TimeoutError):
                outcome = "timed out"
            elif not is_refusal(error):
                outcome = "crashed"
            raise _Verdict(outcome, _first_line(error), cycles) from error

    def _estimate(self, plan: Plan) -> Estimate:
        return estimate(plan, fidelity=self._search.fidelity, multicast=self._search.multicast)

    def _seconds(self) -> float | None:
        """What is left of the time."""
        limit = self._search.time_limit
        return None if limit is None else max(0.001, self._began + limit - monotonic())

    def _check_time(self) -> None:
        if self._work.cancelled.is_set():
            raise _Stop("it was cancelled")
        limit = self._search.time_limit
        if limit is not None and monotonic() >= self._began + limit:
            raise _Stop(f"its time was over, {limit:g} s")

    def _record(self, step: Step) -> None:
        self._work.history += (step,)
        log.info("%s %s", self._first.kernel().name, step)
        if self._on_step is not None:
            try:
                self._on_step(step)
            except Exception:
                log.exception("on_step has failed at step %s of the search; it goes on", step.number)


def subject_of(kernel: Any, search: Search, request: Callable[[Any, Mapping[str, Any]], Request]) -> Subject:
    """What a search is about: a kernel, or a function that builds it of keyword arguments.

    Raises:
        OptionError: There are parameters and no function, or it does not take them.
    """
    import inspect

    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    if isinstance(kernel, IRModule | PrimFunc) or not callable(kernel):
        if search.parameters or search.small:
            raise refusal(
                "TT983",
                f"found {type(kernel).__name__}, with parameters or small arguments to search over; expected a "
                "function that builds the kernel of them\nhelp: give the function, and not what it returns",
            )
        return Subject(lambda: kernel, {}, request)
    taken = inspect.signature(kernel).parameters
    for one in (*search.parameters, *search.small):
        if one not in taken or taken[one].default is inspect.Parameter.empty:
            raise refusal(
                "TT983",
                f"the function that builds the kernel has no argument {one} with a default; its arguments: "
                f"{', '.join(map(str, taken.values())) or 'none'}\n"
                "help: give it one, which is that of the default plan",
            )
    return Subject(kernel, {one: taken[one].default for one in search.parameters}, request)


# ---- what a search may be told ---------------------------------------------------------------------------------------


def _refused(name: str, found: Any, expected: str) -> TTError:
    return refusal("TT982", f"{name} of a search is {found!r:.60}; expected {expected}")


def _check(name: str, value: Any, is_right: Callable[[Any], bool], expected: str) -> None:
    try:
        right = is_right(value)
    except TypeError:
        right = False
    if not right:
        raise _refused(name, value, expected)


def _expect(name: str, values: Any, is_right: Callable[[Any], bool], expected: str) -> None:
    _check(name, values, _is_sequence, f"a list of {expected}")
    for value in values:
        _check(name, value, is_right, expected)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_positive(value: Any, kinds: tuple[type, ...] = (int,)) -> bool:
    return not isinstance(value, bool) and isinstance(value, kinds) and bool(value > 0)  # type: ignore[operator]


def _are_numbers(value: Any, count: int, least: int = 1) -> bool:
    return _is_sequence(value) and len(value) == count and all(_is_positive(one + 1 - least) for one in value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


def _is_choice(value: Any, known: tuple[str, ...]) -> bool:
    if isinstance(value, str):
        return value in known and value not in _SIZED
    word, size = value
    return word in known and word in _SIZED and _is_positive(size)


def _choices(known: tuple[str, ...]) -> str:
    return ", ".join(f'("{one}", {_SIZED[one]})' if one in _SIZED else f'"{one}"' for one in known)


def _sized(name: str, size_name: str, choice: Choice) -> dict[str, Any]:
    word, size = (choice, None) if isinstance(choice, str) else choice
    return {name: word, size_name: size}


# ---- what a search says ----------------------------------------------------------------------------------------------

_NAMES = {"compute": "compute", "noc": "NoC", "dram": "DRAM"}


def _limit(cost: Estimate) -> str:
    if cost.total_cycles is None:
        return f"its estimate is not known: {'; '.join(cost.unknown)}"
    return f"limited by {_NAMES[str(cost.limited_by)]}"


def _change(old: Estimate, new: Estimate) -> str:
    """Which bounds are other ones now."""
    changes = []
    for name in sorted(_NAMES, key=lambda name: name != old.limited_by):
        before, after = getattr(old, f"{name}_cycles"), getattr(new, f"{name}_cycles")
        if before != after and before is not None and after is not None:
            limits = ", which limited it," if name == old.limited_by else ""
            verb = "shrinks" if after < before else "grows"
            changes.append(f"the {_NAMES[name]} bound{limits} {verb} from {before:,.0f} to {after:,.0f}")
    if new.limited_by != old.limited_by:
        changes.append(f"it is limited by {_NAMES[str(new.limited_by)]} now")
    return ", ".join(changes)


def _first_line(said: BaseException | str) -> str:
    return (str(said) or type(said).__name__).partition("\n")[0]


def _tensors(plan: Plan) -> list[Any]:
    """What a call sees of a kernel."""
    kernel = plan.kernel()
    return [kernel.shape_variables, *((one.param_index, one.dtype, one.shape, one.access) for one in kernel.buffers)]
