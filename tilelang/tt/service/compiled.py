"""What compiling gives its caller, in every mode: a kernel that can be called, with all that is known of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..plan import Plan
from .artifact import Artifact
from .request import Request

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

    from ..executor import Execution


@dataclass
class Stats:
    """What a compiled kernel has done.

    Attributes:
        compiled_runs: Calls that ran what had been compiled.
        eager_runs: Calls that ran the kernel as it came, with the default schedule, since nothing was ready.
        background_started: Compilations that were begun in the background, candidates of a search included.
        background_finished: Those of them that have ended, in whatever way.
        optimized_runs: Of ``compiled_runs``, those that ran a plan better than the first.
    """

    compiled_runs: int = 0
    eager_runs: int = 0
    background_started: int = 0
    background_finished: int = 0
    optimized_runs: int = 0


class CompiledKernel:
    """A kernel that can be called like the original, on arrays of numpy or tensors of torch.

    Attributes:
        mode: ``"inline"``, ``"subprocess"`` or ``"async"``.
        stats: What it has done.
    """

    def __init__(self, request: Request, mode: str, artifact: Artifact, found_in: str | None = None) -> None:
        self._request = request
        self._artifact = artifact
        self.mode = mode
        self.found_in = found_in
        self.stats = Stats()

    def __call__(self, *arrays: Any) -> Any:
        """Execute the kernel as :func:`tilelang.tt.execute` does.

        Args:
            *arrays: One for each parameter, or for each that is not only written.

        Returns:
            An array of what the kernel writes, or a tuple of them in parameter order.
        """
        return self.run(*arrays).result

    def run(self, *arrays: Any, **how: Any) -> "Execution":
        """Execute the kernel as :func:`tilelang.tt.executor.run` does, and give all that is known of it."""
        self.stats.compiled_runs += 1
        return self._artifact.executable.run(*arrays, **how)

    @property
    def key(self) -> str:
        """What the cache has it under."""
        return self._request.key

    @property
    def plan(self) -> Plan:
        """Every decision about the kernel."""
        return self._artifact.plan

    @property
    def func(self) -> "PrimFunc":
        """The kernel with all results of inference."""
        return self._artifact.func

    @property
    def program(self) -> "PrimFunc":
        """What one core runs."""
        return self._artifact.program

    @property
    def seconds(self) -> dict[str, float]:
        """What each stage of the compilation took."""
        return dict(self._artifact.entry.seconds)
