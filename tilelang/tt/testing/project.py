"""What a project says of its tests: the table ``[tool.tilelang-tt]`` of its pyproject.toml, and the files it names.

::

    [tool.tilelang-tt]
    suites = "testing/suites.py"
    stages = "testing/stages.py"
"""

import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar

from .._toml import read_toml
from ..errors import refusal

_KEYS = ("suites", "stages")
T = TypeVar("T")


@dataclass(frozen=True)
class Project:
    """A folder with a pyproject.toml that speaks of this package.

    Attributes:
        root: The folder.
        files: The file for each key of the table, relative to the folder.
        testpaths: What pytest runs there by itself, files or folders or patterns of them; empty: the folder.
    """

    root: Path
    files: Mapping[str, str]
    testpaths: tuple[str, ...] = ()


def find_project(code: str, start: Path | None = None) -> Project | None:
    """The nearest project, from a folder upwards; None where no pyproject.toml speaks of this package.

    Args:
        code: Of the error where the table is wrong.
        start: The folder; None: the current one.

    Raises:
        SuiteError: A pyproject.toml is no TOML, or its table has another key, or a value that is no path.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            tool = read_toml(file, code)[1].get("tool", {})
            if "tilelang-tt" in tool:
                testpaths = tool.get("pytest", {}).get("ini_options", {}).get("testpaths", ())
                return Project(folder, _files(file, tool["tilelang-tt"], code), tuple(_words(testpaths)))
    return None


def read_objects(project: Project, key: str, kind: type[T], code: str) -> tuple[T, ...]:
    """What the file of a key holds under the name of the key in upper case.

    Args:
        project: Whose file is run.
        key: ``"stages"``, whose file holds ``STAGES``, or ``"suites"``.
        kind: Of what it holds a tuple or a list.
        code: Of the error where it does not.

    Raises:
        SuiteError: The file is not there, or fails, or holds something else, or two of one name.
    """
    path = project.root / project.files[key]
    name = key.upper()
    try:
        found = runpy.run_path(str(path)).get(name)
    except (Exception, SystemExit) as error:  # exit(0) would be success
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f"{path}:{lines[-1]}" if lines else path
        raise refusal(code, f"{where} of [tool.tilelang-tt] cannot be run: {type(error).__name__}: {error}") from error
    if not isinstance(found, (list, tuple)) or not all(isinstance(one, kind) for one in found):
        raise refusal(code, f"{path} has {name} = {found!r:.80}; expected a tuple of {kind.__name__}")
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise refusal(code, f"{path} describes {', '.join(twice)} twice; expected a name of its own for each")
    return tuple(found)


def _files(file: Path, table: Any, code: str) -> dict[str, str]:
    expected = f'expected paths, as in {_KEYS[0]} = "testing/{_KEYS[0]}.py", under {" or ".join(_KEYS)}'
    if not isinstance(table, dict):
        raise refusal(code, f"{file} has tilelang-tt = {table!r} under [tool]; {expected}")
    for key, value in table.items():
        if key not in _KEYS or not isinstance(value, str):
            raise refusal(code, f"{file} has {key} = {value!r} under [tool.tilelang-tt]; {expected}")
    return table


def _words(setting: Any) -> list[str]:
    """Of a setting of pytest, which may be a text or a list."""
    return setting.split() if isinstance(setting, str) else list(setting)
