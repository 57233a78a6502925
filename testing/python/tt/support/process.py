"""Python in a process of its own."""

import os
import subprocess
import sys
import textwrap


def run_python(code, folder, **environment):
    """What a program prints, away from the checkout."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(code)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
