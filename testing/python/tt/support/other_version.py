"""A worker that preloads this is not of its parent's version."""

from tilelang.tt.service import worker

worker.__version__ = "0.0.1"
