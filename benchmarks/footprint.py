"""What the package costs whoever has it: seconds at import, bytes in the wheel."""

import io
import statistics
import subprocess
import sys
import time
import zipfile
from importlib.metadata import files
from pathlib import Path


def import_seconds(*statements: str, runs: int = 15) -> list[float]:
    """The median time of a fresh interpreter that executes each, taken in turn."""
    times: list[list[float]] = [[] for _ in statements]
    for _ in range(runs):
        for statement, samples in zip(statements, times, strict=True):
            start = time.perf_counter()
            # Somewhere else: in the checkout Python would find the sources instead of the package.
            subprocess.run([sys.executable, "-c", statement], check=True, cwd=Path(sys.prefix))
            samples.append(time.perf_counter() - start)
    return [statistics.median(samples) for samples in times]


def packed_bytes(distribution: str) -> int:
    """The size of a distribution's installed files, packed as a wheel packs them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files(distribution) or []:
            path = Path(str(file.locate()))
            if path.suffix != ".pyc":
                archive.write(path, str(file))
    return buffer.tell()


def main() -> None:
    host, both = import_seconds("import tilelang, tvm", "import tilelang, tvm, tilelang.tt")
    print(f"{'import tilelang.tt after import tvm':66} {(both - host) * 1e3:8.1f} ms   (at most 50)")
    print(f"{'the wheel':66} {packed_bytes('tilelang-tt') / 1e6:8.3f} MB   (at most 1)")


if __name__ == "__main__":
    main()
