"""How long commands take to start that need no TVM: the whole process, against Python's own start and numpy's.

With TileLang installed, all of TileLang starts first; run this beside apache-tvm.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from tilelang.tt.plan import make_plan

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from gemm import gemm

ROUNDS = 15
CLI = [sys.executable, "-P", "-m", "tilelang.tt.cli"]


def milliseconds(*command: str) -> float:
    """The fastest of several runs: what else the machine does only makes it slower."""
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(perf_counter() - start)
    return min(times) * 1e3


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "gemm.plan.json")
        make_plan(gemm()).save(path)
        runs = {
            "python -c pass": (sys.executable, "-c", "pass"),
            "import numpy": (sys.executable, "-c", "import numpy"),
            "import tilelang.tt": (sys.executable, "-P", "-c", "import tilelang.tt"),
            "show PLAN": (*CLI, "show", path),
            "devices": (*CLI, "devices"),
            "explain TT202": (*CLI, "explain", "TT202"),
            "schema": (*CLI, "schema"),
        }
        times = {name: milliseconds(*command) for name, command in runs.items()}
    print("from start to end             ms   python -c pass   import numpy")
    for name, time in times.items():
        print(f"{name:24}{time:8.0f}{time / times['python -c pass']:16.1f}x{time / times['import numpy']:13.2f}x")


if __name__ == "__main__":
    main()
