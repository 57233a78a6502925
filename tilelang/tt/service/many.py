"""Many kernels for many devices, by workers of this machine or of any executor: ``compile_many``."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import product
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias

from ..device import Device
from ..errors import CompilerKilledError, TTError, refusal
from .artifact import Artifact
from .cache import cache as results
from .compiled import CompiledKernel, Work
from .entry import Entry
from .origin import in_words, origin
from .pool import WorkerPool, shared_pool
from .progress import open_bar
from .request import Request
from .stages import compile_request
from .worker import described, pack, revived, unpack

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

Progress: TypeAlias = "bool | Callable[[int, int], None] | None"
_Done: TypeAlias = "tuple[Artifact, str | None]"
_Outcome: TypeAlias = "_Done | Exception"
_Sender: TypeAlias = "Callable[[Request], Future[Any]]"

_log = logging.getLogger("tilelang.tt.many")


def compile_many(
    kernels: "Iterable[IRModule | PrimFunc]",
    devices: "Iterable[str | Device | None] | str | Device | None" = None,
    options: Mapping[str, Any] | None = None,
    *,
    executor: "Executor | WorkerPool | None" = None,
    workers: int | None = None,
    timeout: float | None = None,
    progress: Progress = None,
    errors: str = "raise",
    cache: bool = True,
) -> list[Any]:
    """Compile every kernel for every device.

    What the cache has is not compiled, equal kernels are compiled once, and every result is stored as soon as it is
    there: a batch that was interrupted goes on where it was.

    Args:
        kernels: PrimFuncs, or IRModules with one kernel each.
        devices: As of :func:`tilelang.tt.apply_tt_defaults`; default the one that a kernel carries, else the default.
        options: Its other keyword arguments, for all kernels.
        executor: What compiles: any executor of :mod:`concurrent.futures`, such as a ``ProcessPoolExecutor`` or
            ``distributed.Client.get_executor()`` of Dask; or a :class:`WorkerPool`, whose workers may crash. Default
            the pool of ``compile(mode="subprocess")``.
        workers: A pool of so many workers, for this call.
        timeout: Seconds that a worker of a pool may take for a kernel; default those of the pool.
        progress: Whether to draw a bar on the standard error stream, which needs ``rich``; None: on a terminal, where
            it is installed. Or a function that is called with the number of kernels that are done and of all,
            whenever one more is.
        errors: ``"raise"``: when all others are done and stored, raise the first error. ``"return"``: put errors in the
            place of kernels.
        cache: Whether to take results from ``tilelang.tt.cache`` where they are there, and to store them where they
            are not, here and on the machines of the executor.

    Returns:
        A :class:`tilelang.tt.CompiledKernel` for each pair, or with ``errors="return"`` an error in its place, in the
        order of ``itertools.product(kernels, devices)``.

    Raises:
        TTError: Whatever a kernel is refused with.
        WorkerError: The executor has broken, its workers are of another version, or a worker was lost with a kernel.
        OptionError: An option has a value that does not exist.
        ArgumentError: ``kernels`` are none, or ``executor`` is none.
        HostError: A bar is wanted and ``rich`` is not installed.
    """
    _refuse_bad_options(executor, workers, timeout, errors)
    places = [_ask(kernel, device, options) for kernel, device in product(_all(kernels), _each(devices))]
    wanted = {place.key: place for place in places if isinstance(place, Request)}
    outcomes: dict[str, _Outcome] = {}
    with _told(progress, len(wanted)) as tell:
        if cache:
            for key, request in wanted.items():
                if found := results.lookup(request):
                    outcomes[key] = found
                    tell(len(outcomes))
        missing = [request for key, request in wanted.items() if key not in outcomes]
        _log.info("%d kernels, %d of them different, %d in the cache", len(places), len(wanted), len(outcomes))
        if missing:
            with _sender(executor, workers, timeout, cache) as send:
                for request, outcome in _gather(send, missing, cache):
                    outcomes[request.key] = outcome
                    tell(len(outcomes))
    return _in_order(places, outcomes, errors)


def compile_bytes(frame: bytes) -> bytes:
    """What an executor runs: a kernel to its result, both as bytes, so that its pickle sees nothing of a stranger's.

    The cache of the machine that it runs on is asked first, and keeps the result: where a worker is lost before its
    result has arrived, nobody has to compile it again.
    """
    try:
        header, payload = _frame(frame)
        ours = origin()
        if header["origin"] != ours:
            found, expected = in_words(ours), in_words(header["origin"])
            raise refusal("TT988", f"a worker has {found}; expected {expected}, as the caller has")
        request = Request.from_bytes(payload)
        if request.key != header["key"]:
            raise refusal(
                "TT988",
                f"a worker has the key {request.key[:12]} for kernel {request.name}; expected {header['key'][:12]}, as "
                "the caller has",
            )
        found_in = None
        if header["cache"]:
            artifact, found_in = results.fetch(request, compile_request)
            entry = artifact.entry
        else:
            entry = compile_request(request)
    except Exception as error:
        return pack(described(error))
    return pack({"found_in": found_in}, entry.to_bytes())


def _refuse_bad_options(executor: Any, workers: Any, timeout: Any, errors: Any) -> None:
    if errors not in ("raise", "return"):
        raise refusal("TT990", f'errors is {errors!r}; expected "raise" or "return"')
    if not (executor is None or isinstance(executor, (Executor, WorkerPool))):
        raise refusal(
            "TT991", f"executor is a {type(executor).__name__}; expected one of concurrent.futures, or a pool"
        )
    if executor is not None and workers is not None:
        raise refusal("TT990", f"workers is {workers!r} beside an executor, which has its own; expected None")
    if isinstance(executor, Executor) and timeout is not None:
        raise refusal("TT990", f"timeout is {timeout!r} for an executor that has no time-outs; expected None")


def _all(kernels: Any) -> Iterable[Any]:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    if isinstance(kernels, (IRModule, PrimFunc)) or not isinstance(kernels, Iterable):
        raise refusal("TT991", f"kernels is one {type(kernels).__name__}; expected several, as in [kernel]")
    return kernels


def _each(devices: Any) -> Iterable[Any]:
    return (devices,) if devices is None or isinstance(devices, (str, Device)) else devices


def _ask(kernel: Any, device: Any, options: Mapping[str, Any] | None) -> Request | TTError:
    try:
        request = Request.of(kernel, device, options, None)
        request.key  # noqa: B018  # or what is in the kernel has none
    except TTError as error:
        return error
    return request


@contextmanager
def _sender(
    executor: "Executor | WorkerPool | None", workers: int | None, timeout: float | None, cache: bool
) -> Iterator[_Sender]:
    """What sends a request to where it is compiled."""
    if isinstance(executor, Executor):
        header = {"origin": origin(), "cache": cache}
        yield lambda request: executor.submit(compile_bytes, pack({**header, "key": request.key}, request.to_bytes()))
    elif workers is None:
        with _waiting(executor or shared_pool(), timeout) as send:
            yield send
    else:
        with WorkerPool(workers) as pool, _waiting(pool, timeout) as send:
            yield send


@contextmanager
def _waiting(pool: WorkerPool, timeout: float | None) -> Iterator[_Sender]:
    """Threads that wait, one for each worker of a pool."""
    stopped = Event()
    threads = ThreadPoolExecutor(pool.workers, "tilelang.tt.many")

    def compile_in_pool(request: Request) -> Entry:
        try:
            return pool.compile(request, timeout=timeout, cancelled=stopped)
        except CompilerKilledError:  # whoever has done that need not have meant this kernel
            return pool.compile(request, timeout=timeout, cancelled=stopped)

    try:
        yield lambda request: threads.submit(compile_in_pool, request)
    finally:
        stopped.set()
        threads.shutdown(cancel_futures=True)


def _gather(send: _Sender, requests: list[Request], cache: bool) -> Iterator[tuple[Request, _Outcome]]:
    """Send all requests, and give what becomes of each as it arrives.

    Raises:
        WorkerError: The executor has broken; what had arrived was given before.
    """
    sent: dict[Future[Any], Request] = {}
    broken: BaseException | None = None
    done = 0
    try:
        for request in requests:
            try:
                sent[send(request)] = request
            except TTError as error:
                yield request, error
            except (BrokenExecutor, RuntimeError) as error:  # RuntimeError: it has been shut down
                broken = error
                break
        for future in as_completed(sent):
            request = sent[future]
            try:
                outcome = _outcome(future, request, cache)
            except (BrokenExecutor, CancelledError) as error:
                broken = error
                continue
            done += 1
            yield request, outcome
    finally:
        for future in sent:
            future.cancel()
    if broken is not None:
        kept = (
            "what was done is in the cache: run again" if cache else "nothing is kept with cache=False: run all again"
        )
        raise refusal(
            "TT987",
            f"the executor has broken when {done} of {len(requests)} kernels were compiled: "
            f"{f'{type(broken).__name__}: {broken}'.rstrip(': ')}\nhelp: with another executor, {kept}",
        ) from broken


def _outcome(future: "Future[Any]", request: Request, cache: bool) -> _Outcome:
    try:
        answer = future.result()
        header, entry = _read(answer) if isinstance(answer, bytes) else ({}, answer)
    except (BrokenExecutor, CancelledError):
        raise
    except TTError as error:
        return error
    except Exception as error:
        # What a compilation raises comes as data; this is the executor's own.
        lost = refusal("TT989", f"kernel {request.name} was lost by the executor: {type(error).__name__}: {error}")
        lost.__cause__ = error
        return lost
    _log.debug("%s %s has come", entry.key[:12], entry.name)
    return (results.store(entry) if cache else Artifact(entry)), header.get("found_in")


def _read(answer: bytes) -> tuple[dict[str, Any], Entry]:
    header, payload = _frame(answer)
    if "error" in header:
        raise revived(header)
    return header, Entry.from_bytes(payload)


def _frame(data: bytes) -> tuple[dict[str, Any], bytes]:
    found = unpack(bytearray(data))
    if found is None:
        raise ValueError(f"found {len(data)} bytes of a frame that has more")
    return found


def _in_order(places: list[Request | TTError], outcomes: dict[str, _Outcome], errors: str) -> list[Any]:
    found: list[Any] = []
    for place in places:
        outcome = place if isinstance(place, TTError) else outcomes[place.key]
        if isinstance(outcome, Exception) or isinstance(place, TTError):
            found.append(outcome)
        else:
            found.append(CompiledKernel(place, "many", Work(*outcome)))
    failed = [one for one in found if isinstance(one, Exception)]
    if failed and errors == "raise":
        if len(failed) > 1 and hasattr(failed[0], "add_note"):  # Python 3.11
            failed[0].add_note(f"{len(failed)} of {len(found)} kernels failed; all others are done")
        raise failed[0]
    return found


@contextmanager
def _told(progress: Progress, total: int) -> Iterator[Callable[[int], None]]:
    """What is to be called with the number of kernels that are done."""
    if callable(progress):
        yield lambda done: progress(done, total)
        return
    bar = open_bar("compiling", progress)
    try:
        yield lambda done: bar.update(done, total)
    finally:
        bar.close()
