"""What the host's executables have beyond what the host gives them."""

from collections.abc import Callable
from typing import Any


class Attribute:
    """An attribute of executables for our targets.

    Others look as if nobody had added anything, and may be given one of that name, which a property would refuse.
    """

    def __init__(self, name: str, value: Callable[[Any], Any], is_ours: Callable[[Any], bool]) -> None:
        self._name = name
        self._value = value
        self._is_ours = is_ours
        self.__doc__ = value.__doc__

    def __get__(self, executable: Any, owner: type) -> Any:
        if executable is None:
            return self
        if not self._is_ours(executable):
            described = f"'{type(executable).__name__}' object has no attribute '{self._name}'"
            raise AttributeError(described, name=self._name, obj=executable)
        return self._value(executable)
