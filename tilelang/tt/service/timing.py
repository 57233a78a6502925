"""How long stages take, and the host's passes in them, by the host's own instrument."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from time import perf_counter
from typing import Any

from .._counters import counters

_current: ContextVar["Timing"] = ContextVar("timing")


class Timing:
    """The seconds of one compilation.

    Attributes:
        seconds: Of each stage, and of each pass in it: ``"schedule"``, ``"schedule/tt.InferDefaultTTSchedule"``.
        stage: The one that runs, or ran last.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.stage = ""
        self._started: list[float] = []

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Measure and count a stage; the passes in it run in the caller's PassContext."""
        self.stage = stage
        counters.count(stage, "runs")
        token = _current.set(self)
        started = perf_counter()
        try:
            with _context():
                yield
        except Exception:
            counters.count(stage, "refusals")
            raise
        finally:
            _current.reset(token)
            self.seconds[stage] = perf_counter() - started

    @property
    def total(self) -> float:
        """Of all stages."""
        return sum(seconds for part, seconds in self.seconds.items() if "/" not in part)

    def begin(self) -> None:
        """A pass begins."""
        self._started.append(perf_counter())

    def end(self, name: str) -> None:
        """The pass that began last has ended."""
        key = f"{self.stage}/{name}"
        self.seconds[key] = self.seconds.get(key, 0.0) + perf_counter() - self._started.pop()


def _context() -> Any:
    """The caller's PassContext with our instrument, in which no instrument of the caller's can leave out a pass.

    TVM's own PassTimingInstrument is not taken along: at the end of any context it forgets what it has measured.
    """
    from tvm.ir.transform import PassContext

    caller = PassContext.current()
    theirs = [one for one in caller.instruments if one.name != "PassTimingInstrument"]
    return PassContext(
        opt_level=caller.opt_level,
        required_pass=[*caller.required_pass, *_OURS],
        disabled_pass=caller.disabled_pass,
        instruments=[*theirs, _clock()],
        config=caller.config,
    )


# Everything that a compilation runs: its result is stored, and must not depend on who has asked for it.
_OURS = (
    "tt.ApplyTTDefaults",
    "tt.InferDefaultTTSchedule",
    "tt.InferDefaultTTShard",
    "tt.VerifyTTMetadata",
    "tt.GridToPersistent",
    "tt.ThreadsToLoops",
)


@cache  # an instrument and its callbacks keep each other alive for ever
def _clock() -> Any:
    from tvm.ir.instrument import pass_instrument

    @pass_instrument
    class Clock:
        def run_before_pass(self, module: Any, info: Any) -> None:
            _current.get().begin()

        def run_after_pass(self, module: Any, info: Any) -> None:
            _current.get().end(str(info.name))

    return Clock()
