"""Device files of any bytes: whatever stands in them, the reader gives a device or refuses, and never crashes.

Run it as ``python testing/fuzz/fuzz_device_file.py -max_total_time=60``; arguments are libFuzzer's.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tomllib", "tilelang.tt.device"]):
    from tilelang.tt import Device, devices, errors

FILES = [device.to_toml() for device in devices()]
LINES = sorted({line for file in FILES for line in file.splitlines()} | {'base = "wormhole_n150"', 'base = "n150"'})
PATH = Path(tempfile.mkdtemp()) / "device.toml"


@atheris.instrument_func
def draw(data: atheris.FuzzedDataProvider) -> bytes:
    """Any bytes, or a device whose file was cut up, joined with others and spoilt in places."""
    kind = data.ConsumeIntInRange(0, 3)
    if kind == 0:
        return data.ConsumeBytes(400)
    lines = data.PickValueInList(FILES).splitlines() if kind == 1 else []
    for _ in range(data.ConsumeIntInRange(0, 6)):
        line = data.PickValueInList(LINES)
        cut = data.ConsumeIntInRange(0, len(line))
        lines.insert(data.ConsumeIntInRange(0, len(lines)), line[:cut] + data.ConsumeUnicodeNoSurrogates(8))
    return "\n".join(lines).encode()


@atheris.instrument_func
def run_one(raw: bytes) -> None:
    PATH.write_bytes(draw(atheris.FuzzedDataProvider(raw)))
    with contextlib.suppress(errors.DeviceError):
        device = Device.from_toml(PATH)
        PATH.write_text(device.to_toml())
        if Device.from_toml(PATH) != device:
            raise AssertionError(f"{device} does not survive a file")


if __name__ == "__main__":
    atheris.Setup(sys.argv, run_one)
    atheris.Fuzz()
