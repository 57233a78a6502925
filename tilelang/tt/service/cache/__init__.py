"""What has been compiled, in memory and on disk, for this process and for others: ``tilelang.tt.cache``."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Lock

from ..._counters import counters
from ...errors import refusal
from ..artifact import Artifact
from ..entry import Entry
from ..origin import origin
from ..request import Request
from ..stages import compile_request
from .disk import Disk, log
from .memory import Call, Memory

_IN_MEMORY = 1024
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class CacheStats:
    """What the cache has done for this process, and what is on disk, by whomever.

    Attributes:
        memory_hits: Results that were in memory.
        disk_hits: Results that were on disk.
        misses: Results that were in neither.
        stores: Entries that were stored on disk, or found there when they were to be.
        evictions: Entries that this process has removed from the disk, as there was too much.
        corrupt: Entries on disk that were not as they had been stored; they were removed.
        failed_stores: Entries that could not be stored on disk.
        entries: How many there are on disk.
        bytes: Of their files.
    """

    memory_hits: int
    disk_hits: int
    misses: int
    stores: int
    evictions: int
    corrupt: int
    failed_stores: int
    entries: int
    bytes: int

    @property
    def hits(self) -> int:
        """Results that need not be compiled."""
        return self.memory_hits + self.disk_hits

    def to_dict(self) -> dict[str, int]:
        """All figures, for JSON."""
        return {"hits": self.hits, **asdict(self)}

    def __str__(self) -> str:
        return (
            f"hits {self.hits} ({self.memory_hits} in memory, {self.disk_hits} on disk), misses {self.misses}\n"
            f"stored {self.stores}, not stored {self.failed_stores}, evicted {self.evictions}, corrupt {self.corrupt}\n"
            f"on disk: entries {self.entries:,}, bytes {self.bytes:,}"
        )


class Cache:
    """The results of compilations. One of them, ``tilelang.tt.cache``, serves a process.

    The environment variables are read at each use of the disk.
    """

    def __init__(self) -> None:
        self._memory = Memory(_IN_MEMORY)
        self._disks: dict[tuple[Path, int], Disk] = {}
        self._used: dict[str, None] = {}  # in the order in which they were first
        self._renew_locks()
        os.register_at_fork(after_in_child=self._renew_locks)

    @property
    def directory(self) -> Path | None:
        """The folder on disk, by ``TILELANG_TT_CACHE_DIR``, else one in the user's folder of caches; None for none."""
        given = os.environ.get("TILELANG_TT_CACHE_DIR")
        if given is not None:
            return Path(given).expanduser().absolute() if given else None
        return _default_directory()

    @property
    def limit(self) -> int:
        """Bytes that the entries on disk may have, by ``TILELANG_TT_CACHE_SIZE``, else 1 GiB.

        Raises:
            OptionError: The variable is no number of bytes.
        """
        text = os.environ.get("TILELANG_TT_CACHE_SIZE", "1G")
        match = re.fullmatch(r"([1-9][0-9]{0,17})([KMG]?)", text)
        if not match:
            raise refusal(
                "TT960", f'found TILELANG_TT_CACHE_SIZE="{text}"; expected bytes, such as 4096, 512K, 64M or 2G'
            )
        return int(match[1]) * _UNITS[match[2]]

    @property
    def disk(self) -> Disk | None:
        """The entries on disk; None where it is switched off.

        Raises:
            OptionError: A size that is none.
        """
        folder = self.directory
        if folder is None:
            return None
        place = folder, self.limit
        return self._disks.setdefault(place, Disk(*place))

    def recall(self, call: Call) -> tuple[Request, Artifact] | None:
        """What the same call has given before, in this process."""
        found = self._memory.recall(call)
        if found:
            counters.count("cache", "memory_hits")
            log.info("hit %s %s in memory", found[0].key[:12], found[0].name)
        return found

    def remember(self, call: Call, request: Request, artifact: Artifact) -> None:
        """Let :meth:`recall` find what a call has given."""
        self._memory.remember(call, request, artifact)

    def lookup(
        self, request: Request, compiler: Callable[[Request], Entry] = compile_request
    ) -> tuple[Artifact, str] | None:
        """A result that is there, and whether it was in ``"memory"`` or on ``"disk"``.

        Args:
            request: What is to be compiled.
            compiler: What compiles an entry again that turns out to be of no use.

        Raises:
            OptionError: ``TILELANG_TT_CACHE_SIZE`` is no size.
        """
        where = "memory"
        artifact = self._memory.get(request.key)
        if artifact is None:
            where = "disk"
            artifact = self._read(request, compiler)
        if artifact is None:
            counters.count("cache", "misses")
            log.info("missed %s %s", request.key[:12], request.name)
            return None
        counters.count("cache", f"{where}_hits")
        self._used[request.key] = None
        log.info("hit %s %s in %s", request.key[:12], request.name, where)
        return artifact, where

    def store(self, entry: Entry) -> Artifact:
        """Keep a result, in memory and, where that can be, on disk.

        Raises:
            OptionError: ``TILELANG_TT_CACHE_SIZE`` is no size.
        """
        artifact = Artifact(entry)
        self._memory.put(artifact)
        self._used[entry.key] = None
        disk = self.disk
        if disk and disk.write(entry.key, entry.to_bytes()):
            log.info("stored %s %s", entry.key[:12], entry.name)
        return artifact

    def fetch(self, request: Request, compiler: Callable[[Request], Entry]) -> tuple[Artifact, str | None]:
        """A result, and where it was found; None where it had to be compiled.

        Threads that want the same result at the same time wait for the first of them.

        Raises:
            TTError: Whatever compiling refuses. Nothing is kept of it.
            OptionError: ``TILELANG_TT_CACHE_SIZE`` is no size.
        """
        with self._alone(request.key):
            return self.lookup(request, compiler) or (self.store(compiler(request)), None)

    def entries(self, *, used_only: bool = False) -> Iterator[Entry]:
        """The results that this host and this code have made, those that were used longest ago first.

        Args:
            used_only: Only those that this process has compiled or found.

        Raises:
            OptionError: ``TILELANG_TT_CACHE_SIZE`` is no size.
        """
        here, disk = origin(), self.disk
        used = list(self._used)
        for key in used if used_only or disk is None else dict.fromkeys([*disk.keys(), *used]):
            artifact = self._memory.get(key)
            entry = artifact.entry if artifact else self._entry(disk, key)
            if entry and entry.origin == here:
                yield entry

    def stats(self) -> CacheStats:
        """What has happened in this process since it began, or since ``counters.clear()``, and what is on disk.

        Raises:
            OptionError: ``TILELANG_TT_CACHE_SIZE`` is no size.
        """
        counts = counters["cache"]
        entries, size = self.disk.usage() if self.disk else (0, 0)
        return CacheStats(**{name: counts[name] for name in _COUNTED}, entries=entries, bytes=size)

    def clear(self) -> None:
        """Forget all results of this process, and remove all entries from the disk, also those of other processes.

        Raises:
            OptionError: ``TILELANG_TT_CACHE_SIZE`` is no size.
        """
        disk = self.disk
        self._memory.clear()
        self._used.clear()
        if disk:
            disk.clear()

    def _read(self, request: Request, compiler: Callable[[Request], Entry]) -> Artifact | None:
        disk = self.disk
        entry = self._entry(disk, request.key)
        if disk is None or entry is None:
            return None

        def again(error: Exception) -> Entry:
            disk.discard(request.key, str(error))
            return self.store(compiler(request)).entry

        artifact = Artifact(entry, again)
        self._memory.put(artifact)
        return artifact

    def _entry(self, disk: Disk | None, key: str) -> Entry | None:
        payload = disk.read(key) if disk else None
        if disk is None or payload is None:
            return None
        try:
            entry = Entry.from_bytes(payload)
            if entry.key != key:
                raise ValueError("the entry of another key")
        except ValueError as error:
            disk.discard(key, str(error))
            return None
        return entry

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Let one thread at a time ask for a key. The first that is through lets others in, as it is in memory then."""
        with self._in_flight.setdefault(key, Lock()):
            try:
                yield
            finally:
                self._in_flight.pop(key, None)

    def _renew_locks(self) -> None:
        """In a child process, the threads that hold locks are not there."""
        self._in_flight: dict[str, Lock] = {}


_COUNTED = [field.name for field in fields(CacheStats) if field.name not in ("entries", "bytes")]


def _default_directory() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:
        return None  # a process without a user
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "tilelang-tt"
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (caches if caches.is_absolute() else home / ".cache") / "tilelang-tt"


cache = Cache()
