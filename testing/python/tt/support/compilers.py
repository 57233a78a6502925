"""Compilers that do what a test tells them, and when."""

import threading

from tilelang.tt.service.stages import compile_request

# Seconds until a test that waits for another thread gives up.
PATIENCE = 60.0


class Gate:
    """A pool that compiles when it is let, and can be told to fail."""

    def __init__(self, error=None):
        self.begun = threading.Event()
        self._let = threading.Event()
        self._error = error

    def open(self):
        self._let.set()

    def compile(self, request, **how):
        self.begun.set()
        cancelled = how.get("cancelled") or threading.Event()
        while not self._let.wait(0.01):
            if cancelled.is_set():
                raise InterruptedError("cancelled")
        if self._error is not None:
            raise self._error
        return compile_request(request)
