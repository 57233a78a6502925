"""Sixteen processes on one cache, which die, and damage, evict and clear what they share: nothing wrong, lost or left.

Three seconds of it, or as many as ``TILELANG_TT_STRESS_SECONDS`` says.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stage("cache")

STRESS = Path(__file__).parent / "support" / "cache_stress.py"
SECONDS = float(os.environ.get("TILELANG_TT_STRESS_SECONDS", "3"))


def test_many_processes_on_one_cache(tmp_path):
    seed = str(random.SystemRandom().randrange(2**32))
    stress = [sys.executable, "-P", str(STRESS), str(tmp_path), str(SECONDS), seed]
    done = subprocess.run(stress, capture_output=True, text=True, check=False, timeout=SECONDS + 300)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    found = json.loads(done.stdout.splitlines()[-1])
    wrong = {name: found[name] for name in ("failed", "lost", "left", "over") if found[name]}
    assert not wrong, f"seed {seed}: {done.stderr}"
    assert min(found[name] for name in ("kills", "stores")) > 0
