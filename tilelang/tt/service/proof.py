"""Whether a candidate does what the reference does: both are executed on the same arrays, and compared."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ExecutionError, TTError
from ..executor import Executable, Execution
from ..executor.ledger import differ
from ..plan import Kernel
from .artifact import Artifact
from .entry import Entry
from .proof_inputs import choose_arguments, choose_sizes, excess_of

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

# From one number to the next, relative to it: of dtypes, and of tt-metal's formats relative to the largest of a block.
_STEPS = {
    "float64": 2**-52,
    "float32": 2**-23,
    "float16": 2**-10,
    "bfloat16": 2**-7,
    "float8_e5m2": 2**-2,
    "float8": 2**-3,
    "Float32": 2**-23,
    "Float16_b": 2**-7,
    "Float16": 2**-10,
    "Bfp8_b": 2**-6,
    "Bfp4_b": 2**-2,
}

# How often a kernel is executed to try what unwritten memory holds.
_POISONED = 4


@dataclass(frozen=True)
class Proof:
    """What came out when a candidate was executed beside its reference.

    Attributes:
        is_equal: Both were executed on all arrays that were to be tried, and nothing speaks against the candidate.
        is_executed: Both were executed at least once, and all results were compared.
        reason: Why, in a sentence.
        largest_difference: Between two finite elements of the results; None where none were compared.
        sizes: The values of shape variables that were tried, in order; one set without any for a kernel without.
    """

    is_equal: bool
    is_executed: bool
    reason: str
    largest_difference: float | None
    sizes: tuple[dict[str, int], ...]

    def to_bytes(self) -> bytes:
        """What :meth:`from_bytes` reads: JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Proof":
        """The proof that :meth:`to_bytes` has written."""
        fields = json.loads(data)
        return cls(**{**fields, "sizes": tuple(fields["sizes"])})


def prove(reference: Artifact, candidate: Artifact, *, seed: int = 0, time_limit_s: float = 60.0) -> Proof:
    """Execute both kernels on the same random arrays, and compare what they write.

    The results have to have the same bits where only the schedule differs and nothing is updated atomically, and those
    of integers always; floats of kernels that add in another order may differ by what their dtypes round. A candidate
    is not equal that is refused, depends on memory that nobody has written, or has work tiles that meet where the
    reference's do not. Nothing is said to be equal that has not been executed.

    Args:
        reference: What is right by definition.
        candidate: With the same parameters.
        seed: Of the arrays.
        time_limit_s: Seconds for all executions. What is likely to take longer is not begun.
    """
    return _Trial(reference.executable, candidate.executable, seed, monotonic() + time_limit_s).prove()


def request_of(reference: Entry, candidate: Entry, *, seed: int = 0, time_limit_s: float = 60.0) -> bytes:
    """What :func:`prove_bytes` takes: JSON."""
    entries = [b64encode(entry.to_bytes()).decode() for entry in (reference, candidate)]
    return json.dumps({"entries": entries, "seed": seed, "time_limit_s": time_limit_s}).encode()


def prove_bytes(payload: bytes) -> bytes:
    """:func:`prove` for another process: of what :func:`request_of` gives, the bytes of a :class:`Proof`."""
    fields = json.loads(payload)
    reference, candidate = (Artifact(Entry.from_bytes(b64decode(entry))) for entry in fields["entries"])
    return prove(reference, candidate, seed=fields["seed"], time_limit_s=fields["time_limit_s"]).to_bytes()


class _Against(Exception):  # noqa: N818  # never leaves this file: it becomes a proof
    """What speaks against a candidate."""


class _TooLong(Exception):  # noqa: N818  # never leaves this file: it becomes a proof
    """Why something is not executed."""


class _Trial:
    """A candidate beside its reference.

    Args:
        reference: What is right.
        candidate: What may be wrong.
        seed: Of the arrays.
        ends_at: When nothing is to be executed any more, by the clock of ``time.monotonic``.
    """

    def __init__(self, reference: Executable, candidate: Executable, seed: int, ends_at: float) -> None:
        self.reference = reference
        self.candidate = candidate
        self.seed = seed
        self.ends_at = ends_at
        self.tried: list[dict[str, int]] = []
        self.skipped: list[str] = []
        self.largest: float | None = None

    def prove(self) -> Proof:
        try:
            self._require_same_parameters()
            self.is_same_program = _same_program(self.reference.func, self.candidate.func)
            for sizes in choose_sizes([one.plan.kernel() for one in (self.reference, self.candidate)]):
                self._try(sizes)
        except _TooLong as too_long:
            return self._proof(False, f"not executed{_at(too_long.args[1])}: {too_long.args[0]}")
        except _Against as against:
            return self._proof(False, f"{against.args[0]}")
        if not self.tried:
            return self._proof(False, f"not executed: the reference cannot be; {self.skipped[-1]}")
        how = "the same bits" if not self.largest else f"results whose largest difference is {self.largest:.3g}"
        return self._proof(True, f"both were executed and gave {how}{_at(*self.tried)}")

    def _proof(self, is_equal: bool, reason: str) -> Proof:
        return Proof(is_equal, bool(self.tried), reason, self.largest, tuple(self.tried))

    def _require_same_parameters(self) -> None:
        own, other = ([(p.name, p.dtype, p.shape) for p in one.parameters] for one in (self.reference, self.candidate))
        if own != other:
            raise _Against(f"the candidate takes {other}; expected {own}")

    def _try(self, sizes: dict[str, int]) -> None:
        """Execute and compare; sizes that the reference refuses have no meaning, and are skipped."""
        try:
            expected, arrays = self._execute_reference(sizes)
        except TTError as refused:
            _require_time(refused, sizes)
            self.skipped.append(str(refused))
            return
        try:
            # What another program does to memory that nobody has written is tried with the smallest sizes.
            is_poisoned = not self.is_same_program and not self.tried
            found = self._execute(self.candidate, sizes, arrays, _POISONED if is_poisoned else 1)
        except TTError as refused:
            _require_time(refused, sizes)
            raise _Against(f"the candidate is refused{_at(sizes)}: {refused}") from None
        self.tried.append(sizes)
        if odd := _without_numbers(found.findings) - _without_numbers(expected.findings):
            finding = next(one for one in found.findings if _without_number(one) in odd)
            raise _Against(f"the candidate does what the reference does not{_at(sizes)}: {finding}")
        self._compare(expected, found, sizes)

    def _execute_reference(self, sizes: dict[str, int]) -> tuple[Execution, list[Any]]:
        self._require_small(self.reference, sizes)
        arrays = choose_arguments(self.reference.parameters, sizes, self.seed)
        try:
            return self._execute(self.reference, sizes, arrays), arrays
        except ExecutionError as refused:
            _require_time(refused, sizes)  # else an integer may have been an index outside of a tensor
        arrays = choose_arguments(self.reference.parameters, sizes, self.seed, has_indices=False)
        return self._execute(self.reference, sizes, arrays), arrays

    def _execute(self, kernel: Executable, sizes: dict[str, int], arrays: list[Any], times: int = 1) -> Execution:
        left = self._require_small(kernel, sizes, times)
        return kernel.run(*arrays, poison=times > 1, time_limit_s=left)

    def _require_small(self, kernel: Executable, sizes: dict[str, int], times: int = 1) -> float:
        """The seconds that are left, where some executions are likely to take less."""
        left = max(self.ends_at - monotonic(), 0.0)
        if excess := excess_of(kernel, sizes, left / times):
            raise _TooLong(f"{kernel.plan.kernel().name} is too large: {excess}", sizes)
        return left

    def _compare(self, expected: Execution, found: Execution, sizes: dict[str, int]) -> None:
        if list(expected.outputs) != list(found.outputs):
            raise _Against(f"the candidate writes {list(found.outputs)}; expected {list(expected.outputs)}")
        is_exact = self.is_same_program and _has_fixed_order(expected, found)
        tolerance = 0.0 if is_exact else max(_tolerance(one.kernel) for one in (expected, found))
        for name, right in expected.outputs.items():
            wrong, largest = _differences(right, found.outputs[name], tolerance)
            if largest is not None:
                self.largest = max(largest, self.largest or 0.0)
            if wrong.any():
                element = tuple(int(i) for i in np.argwhere(wrong)[0])
                raise _Against(
                    f"element {element} of {name} is {found.outputs[name][element]}{_at(sizes)}; expected "
                    f"{right[element]}, and {np.count_nonzero(wrong):,} of {wrong.size:,} elements are as wrong"
                )


def _require_time(refused: TTError, sizes: dict[str, int]) -> None:
    if refused.code == "TT945":
        raise _TooLong("the time limit has passed", sizes) from None


def _at(*tried: dict[str, int]) -> str:
    """Sizes for a reason."""
    texts = [", ".join(f"{name}={size}" for name, size in sizes.items()) for sizes in tried]
    return f" with {'; '.join(texts)}" if any(texts) else ""


def _without_number(finding: str) -> str:
    return "".join(letter for letter in finding if not letter.isdigit() and letter not in "(), ")


def _without_numbers(findings: Sequence[str]) -> set[str]:
    return set(map(_without_number, findings))


def _same_program(one: "PrimFunc", other: "PrimFunc") -> bool:
    """Whether two kernels differ at most in what they carry."""
    import tvm_ffi

    return bool(tvm_ffi.structural_equal(_bare(one), _bare(other)))


def _bare(func: "PrimFunc") -> "PrimFunc":
    for key in [str(key) for key, _ in func.attrs.items()]:
        if key.startswith("tt_") or key == "global_symbol":
            func = func.without_attr(key)
    return func


def _has_fixed_order(*executions: Execution) -> bool:
    """Whether nothing is rounded in another way when work tiles are elsewhere, or run in another order."""
    if any(one.has_updates for execution in executions for one in execution.counts):
        return False
    stored = [
        [(one.data_format, one.tile_shape if one.data_format.startswith("Bfp") else None) for one in kernel.buffers]
        for kernel in (execution.kernel for execution in executions)
    ]
    return all(one == stored[0] for one in stored)


def _tolerance(kernel: Kernel) -> float:
    """By how much results that are added in another order differ, relative to the largest of a tensor.

    Every number is rounded to the coarsest dtype that is stored, and the errors of a sum grow as a random walk does.
    """
    stored = [one.dtype for one in kernel.buffers] + [one.data_format for one in kernel.buffers]
    stored += [one.dtype for launch in kernel.launches for one in launch.on_chip.circular_buffers]
    sums = [one.dtypes[2] for launch in kernel.launches for one in launch.traffic.products if one.dtypes]
    length = max([1, *(int(extent) for buffer in kernel.buffers for extent in buffer.shape)])
    return 2 * max(map(_step_of, stored), default=0.0) + 4 * sqrt(length) * max(map(_step_of, [*sums, "float32"]))


def _step_of(name: str) -> float:
    return next((step for prefix, step in _STEPS.items() if name.startswith(prefix)), 0.0)


def _differences(right: Any, found: Any, tolerance: float) -> tuple[Any, float | None]:
    """Which elements are wrong, and the largest difference between finite ones."""
    bits = differ(right, found)
    a, b = right.astype(np.float64), found.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    apart = np.abs(np.where(finite, a, 0) - np.where(finite, b, 0))
    largest = float(apart.max()) if finite.any() else None
    if tolerance == 0.0 or right.dtype.kind in "iub":
        return bits, largest
    allowed = tolerance * float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    return bits & ~(finite & (apart <= allowed)), largest
