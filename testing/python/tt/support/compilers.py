"""Compilers that do what a test tells them, and when."""

import json
import threading
from concurrent.futures import CancelledError
from dataclasses import replace

from tilelang.tt.service.proof import prove_bytes
from tilelang.tt.service.stages import compile_request

# Seconds until a test that waits for another thread gives up.
PATIENCE = 60.0


class Here:
    """A pool that compiles and proves in this process."""

    def compile(self, request, *, timeout=None, cancelled=None):
        return compile_request(request)

    def call(self, task, payload, *, timeout=None, cancelled=None):
        assert task == "prove"
        return prove_bytes(payload)


class Gate(Here):
    """A pool that begins when it is let, and can be told to fail."""

    def __init__(self, error=None):
        self.begun = threading.Event()
        self._let = threading.Event()
        self._error = error

    def open(self):
        self._let.set()

    def compile(self, request, *, timeout=None, cancelled=None):
        self.begun.set()
        self.pass_through(cancelled)
        if self._error is not None:
            raise self._error
        return super().compile(request)

    def pass_through(self, cancelled):
        while not self._let.wait(0.01):
            if cancelled is not None and cancelled.is_set():
                raise CancelledError


class Planted(Here):
    """A pool that does something special for requests with some option.

    Args:
        special: By a text in the request's options, what to do instead: a function of the request and the entry that
            it should have.
    """

    def __init__(self, special):
        self._special = special

    def compile(self, request, *, timeout=None, cancelled=None):
        entry = super().compile(request)
        for text, change in self._special.items():
            if text in request.options:
                return change(request, entry)
        return entry


def with_plan(entry, change):
    """An entry whose plan has been changed, as JSON."""
    plan = json.loads(entry.plan)
    change(plan)
    return replace(entry, plan=json.dumps(plan))


def as_if_cheap(plan):
    """Let a plan's kernel read nothing, so that its estimate is better than every other."""
    for launch in plan["kernels"][0]["launches"]:
        launch["traffic"]["transfers"] = [one for one in launch["traffic"]["transfers"] if one["access"] == "write"]
