"""``python -m tilelang.tt.cli`` is ``tilelang-tt``."""

from . import main

main()
