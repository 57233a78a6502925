"""TileLang's operations on whole tiles, as they are executed: what each of them means on arrays."""

from .calls import REFUSED, TILE_OPS
from .reduce import REDUCTIONS

__all__ = ["REDUCTIONS", "REFUSED", "TILE_OPS"]
