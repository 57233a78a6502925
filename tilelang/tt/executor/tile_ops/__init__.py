"""TileLang's operations on whole tiles, as they are executed: what each of them means on arrays."""

from .calls import REFUSED, TILE_OPS

__all__ = ["REFUSED", "TILE_OPS"]
