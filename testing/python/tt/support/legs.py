"""Legs of this interpreter: pytest starts in a fifth of the time there, and the interpreter is looked at once."""

from functools import cache

from tilelang.tt.testing.compare import environment
from tilelang.tt.testing.compare.model import Leg

QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
_probe = environment._probe


@cache
def _probe_of(python):
    return _probe(Leg("any", python))


def look_at_once(monkeypatch):
    """Have what an interpreter has installed, whatever the variables of a leg, hold for all tests."""

    def probe(leg):
        return _probe(leg) if leg.absent or leg.present else _probe_of(leg.python)

    monkeypatch.setattr(environment, "_probe", probe)
