"""Doing something as soon as a module has been imported."""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def when_imported(name: str, action: Callable[[], None]) -> None:
    """Run ``action`` now if the module is there, else when somebody imports it; it is never imported for that."""
    if name in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _Follower(name, action))


class _Follower:
    """A finder that leaves finding to the others, and has a module's own code followed by an action."""

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self._name = name
        self._action = action

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, others), None)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = self._followed(spec.loader.exec_module)  # type: ignore[method-assign, assignment]
        return spec

    def _followed(self, exec_module: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
        def exec_and_act(module: ModuleType) -> None:
            exec_module(module)
            self._action()

        return exec_and_act
