"""A worker that preloads this does not start."""

import os

print("about to preload")
os._exit(9)
