"""Doing something as soon as a module has been imported."""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader


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
        self._done = False

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if self._done or name != self._name:
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, others), None)
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: "Loader") -> None:
        exec_module = loader.exec_module

        def exec_and_act(module: ModuleType) -> None:
            exec_module(module)
            if module.__name__ == self._name and not self._done:  # a loader of archives has others too
                self._done = True
                # The module has its loader for good, which is to be as it was.
                vars(loader).pop("exec_module", None)
                self._action()

        loader.exec_module = exec_and_act  # type: ignore[method-assign]
