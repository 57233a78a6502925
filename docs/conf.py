"""Sphinx configuration. Build with ``sphinx-build -W -n --keep-going docs docs/_build/html``, the package installed."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

sys.path.insert(0, str(ROOT / "docs"))  # planned.py

project = "tilelang.tt"
author = "the tilelang.tt authors"
copyright = author
version = release = re.search(r'"(.+)"', (ROOT / "tilelang" / "tt" / "_version.py").read_text().split("=")[1])[1]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "planned"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    # Classes of the hosts and the type variable over them, of NumPy and of Python, for which there is no inventory to
    # link to; those of this package that are no part of its face; and what Sphinx takes for a class in signatures
    # with a default that it cannot read.
    (
        r"py:.*",
        r"tvm\..*|IRModule|PrimFunc|Target|Var|(os\.)?PathLike|_pytest\..*|numpy\..*|np\..*|npt\..*|IntArray|tilelang\.tt\.plan\.text\..*"
        r"|(.*\.)?ModuleOrFunc|collections\.(abc\..*|Counter)|concurrent\.futures|Executor|CancelledError|threading\.Event"
        r"|AtLeast|tuple\[str|hypothesis\..*|SearchStrategy|Given|Errors|pathlib\.Path|_thread\..*|tilelang\.tt\.service\.(request\.Request|compiled\.Work)",
    ),
    (r"py:class", r"tilelang\.tt\.errors\._Coded"),
]

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True

html_theme = "furo"
html_static_path = ["_static"]
html_extra_path = ["plan-schema.json"]  # at an address that stays
html_css_files = ["custom.css"]
html_title = f"tilelang.tt {release}"
html_show_copyright = False
html_show_sphinx = False
pygments_style = "default"
