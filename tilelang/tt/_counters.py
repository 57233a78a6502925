"""How often something has happened in this process, by stage: ``counters["cache"]["disk_hits"]``."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from threading import Lock


class Counters(Mapping[str, Counter[str]]):
    """Counts by stage and event. What has not happened counts 0."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._renew_lock()
        os.register_at_fork(after_in_child=self._renew_lock)

    def __getitem__(self, stage: str) -> Counter[str]:
        """A copy of the counts of a stage."""
        with self._lock:
            return Counter(self._counts.get(stage, ()))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._counts))

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"Counters({dict(self)})"

    def count(self, stage: str, event: str, times: int = 1) -> None:
        """Something has happened, once or several times."""
        with self._lock:
            self._counts.setdefault(stage, Counter())[event] += times

    def clear(self) -> None:
        """Begin again at 0."""
        with self._lock:
            self._counts.clear()

    def _renew_lock(self) -> None:
        """In a child process, a thread that holds the lock is not there."""
        self._lock = Lock()


counters = Counters()
