"""Workers without a host, which start in a tenth of the time: for tests of what happens to processes."""

from pathlib import Path

import tilelang.tt
from tilelang.tt import _host
from tilelang.tt.service import process

# TileLang's own package imports torch.
BOOT = """
import sys
sys.path[:] = sys.argv[2:]
from types import ModuleType
sys.modules["tilelang"] = ModuleType("tilelang")
sys.modules["tilelang"].__path__ = [{folder!r}]
from tilelang.tt import _host
_host.require_host = lambda: {host!r}
from tilelang.tt.service.worker import main
main(int(sys.argv[1]))
"""


def use(monkeypatch):
    folder = str(Path(tilelang.tt.__file__).parents[1])
    monkeypatch.setattr(process, "_BOOT", BOOT.format(folder=folder, host=str(_host.require_host())))
