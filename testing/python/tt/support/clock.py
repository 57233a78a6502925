"""A clock for limits of time: tests of them depend on what happens, and not on how fast."""

import time
from types import SimpleNamespace

from tilelang.tt.testing import process


def jump_when_written(monkeypatch, path):
    """Have an hour pass for processes with a limit whenever a character is written to a file."""

    def monotonic():
        return time.monotonic() + 3600 * (path.stat().st_size if path.exists() else 0)

    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=monotonic, sleep=time.sleep))
