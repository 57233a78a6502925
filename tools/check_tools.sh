#!/bin/sh
# What cannot come from PyPI: names the one line that installs whatever is missing, and fails.
python=$1
missing=
command -v g++ >/dev/null || missing="$missing g++"
command -v git >/dev/null || missing="$missing git"
if command -v "$python" >/dev/null; then
  "$python" -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
  "$python" -c 'import os, sysconfig
raise SystemExit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    missing="$missing python3-dev"
  "$python" -c 'import sys; raise SystemExit(sys.version_info < (3, 10))' || {
    echo "$python is too old: $("$python" --version); expected 3.10 or newer, for example make PYTHON=python3.11" >&2
    exit 1
  }
else
  missing="$missing python3 python3-venv python3-dev"
fi
[ -z "$missing" ] && exit 0
echo "Missing on this machine. Install it with:" >&2
echo "    sudo apt-get install$missing" >&2
exit 1
