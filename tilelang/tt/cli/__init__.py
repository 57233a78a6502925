"""The command line ``tilelang-tt``, with click and rich: the extra ``cli``."""

import signal
import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line on the arguments of this process, and end the process."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        print(f"tilelang-tt needs {' and '.join(missing)}: pip install 'tilelang-tt[cli]'", file=sys.stderr)
        sys.exit(2)
    from .run import run

    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that has seen enough ends the process
    sys.exit(run(sys.argv[1:]))
