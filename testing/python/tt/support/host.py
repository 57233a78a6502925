"""The host under test: TileLang's own TVM or apache-tvm. Import this before tvm."""

from importlib import metadata

try:  # TileLang's TVM is found only after TileLang; an overlay without it is a namespace with no __file__
    import tilelang
except ImportError:
    tilelang = None
ON_TILELANG = getattr(tilelang, "__file__", None) is not None

import tvm  # noqa: F401
from tvm.script import tirx as T

HOST = "tilelang" if ON_TILELANG else "apache-tvm"
VERSION = metadata.version(HOST)
FFI_VERSION = metadata.version("apache-tvm-ffi")

# What the hosts differ in.
HAS_DEVICE_SCOPES = hasattr(T, "cta_id")
HAS_BUFFER_MAP = ON_TILELANG or VERSION.startswith("0.25.")  # later hosts type the parameter itself
HAS_SPANS = not (ON_TILELANG or VERSION.startswith("0.25."))  # with columns, on statements
