"""Files of any bytes: a device is read from them, or they are refused.

Run it as ``python testing/fuzz/fuzz_device_toml.py -max_total_time=60``; arguments are libFuzzer's.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tilelang.tt.device"]):
    from tilelang.tt import Device, errors

FILE = Path(tempfile.mkdtemp()) / "device.toml"
COMPLETE = Device.from_name("blackhole_p150").to_toml()


@atheris.instrument_func
def run_one(raw: bytes) -> None:
    data = atheris.FuzzedDataProvider(raw)
    # A file of noise is refused by its first line: most of them start from one that is right.
    if data.ConsumeIntInRange(0, 3):
        lines = COMPLETE.splitlines()
        position = data.ConsumeIntInRange(0, len(lines) - 1)
        lines[position] = data.ConsumeUnicodeNoSurrogates(60)
        FILE.write_text("\n".join(lines), encoding="utf-8")
    else:
        FILE.write_bytes(data.ConsumeBytes(400))
    with contextlib.suppress(errors.TTError):
        device = Device.from_toml(FILE)
        FILE.write_text(device.to_toml(), encoding="utf-8")
        if Device.from_toml(FILE) != device:
            raise AssertionError(f"{device} does not come back from its own text")


if __name__ == "__main__":
    atheris.Setup(sys.argv, run_one)
    atheris.Fuzz()
