"""A worker that preloads this is not of its parent's version."""

from tilelang.tt.service import origin

origin.__version__ = "0.0.1"
