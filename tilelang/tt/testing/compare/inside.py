"""What runs inside of a leg: a program by its path, which needs pytest and nothing of this package.

It gets the path of a request, as JSON, and writes what it finds out to the file that the request names, as lines of
JSON: a process that crashes leaves those that it had written.
"""

from __future__ import annotations

import sys

if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # the folder of this file, whose modules are none that a test should find

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import urllib.parse
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Any

_OUTCOMES = ("", "passed", "skipped", "failed", "error")  # the worst last
_INSTALLED = ("site-packages", "dist-packages", "lib-dynload")
_MODULE = re.compile(r"(?!test_|\.).*(?<!_test)\.(py|so|dylib)")
_MOST_MODULES = 100_000  # of a folder: who has all of a disk on sys.path is not to wait for it


class Journal:
    """A file that is complete up to the moment in which the process ends, whatever ends it."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)

    def note(self, **what: Any) -> None:
        os.write(self._descriptor, (json.dumps(what) + "\n").encode())


def probe(request: dict[str, Any], journal: Journal) -> int:
    """Say what the interpreter is, what is installed, and where modules are."""
    distributions, states = {}, []
    for each in importlib.metadata.distributions():
        name = (each.metadata["Name"] or "").lower().replace("_", "-")
        if name and name not in distributions:  # the first is the one that is imported
            distributions[name] = each.version
            states.append((name, each.version, *_installed(each)))
    journal.note(
        python=platform.python_version(),
        prefix=sys.prefix,
        distributions=distributions,
        state=_digest([sorted(states), sys.path, *map(_sources, sys.path)]),
        modules={name: _place(name) for name in request["modules"]},
    )
    return 0


def _installed(distribution: importlib.metadata.Distribution) -> tuple[str, ...]:
    """What stands for the files of a distribution: what it states of them, and what was changed since by hand."""
    record = distribution.read_text("RECORD") or ""
    files = (distribution.locate_file(line.rsplit(",", 2)[0]) for line in record.splitlines())
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    path = urllib.parse.urlparse(direct.get("url", "")).path if direct.get("dir_info", {}).get("editable") else ""
    return _digest(record), _stamps(map(str, files)), _sources(urllib.parse.unquote(path))


def _sources(folder: str) -> str:
    """What stands for the modules in a folder that somebody may work on; nothing of folders that others install to."""
    is_installed = os.path.basename(folder) in _INSTALLED or folder == os.path.dirname(os.__file__)
    return "" if is_installed or not folder else _stamps(islice(_modules(folder), _MOST_MODULES))


def _modules(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        # Files of tests are looked at one by one.
        yield from (os.path.join(place, name) for name in sorted(files) if _MODULE.fullmatch(name))


def _stamps(files: Iterable[str]) -> str:
    return _digest([_stamp(file) for file in files if not file.endswith(".pyc")])


def _stamp(file: str) -> tuple[str, int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return file, 0, 0
    return file, found.st_size, found.st_mtime_ns


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()


def _place(name: str) -> str | None:
    """Where a module is that can be imported."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if spec is None:
        return None
    return spec.origin or ", ".join(spec.submodule_search_locations or ()) or "built-in"


def run(request: dict[str, Any], journal: Journal) -> int:
    """Run pytest on one file, and say which tests it has, which is running, and which modules are loaded at the end."""
    import pytest

    class Recorder:
        outcome = ""  # of the test that is running, as far as it is known

        @pytest.hookimpl(wrapper=True)  # which is before all others
        def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
            if hasattr(config.option, "numprocesses"):
                config.option.numprocesses = 0  # of pytest-xdist: a crash is to be one of this process
            return (yield)

        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            items[:] = [item for item in items if _is_asked(request, item.nodeid.partition("::")[2])]

        def pytest_collection_finish(self, session: pytest.Session) -> None:
            for item in session.items:
                item.user_properties.append((request["property"], json.dumps(item.nodeid)))
            journal.note(collected=[item.nodeid for item in session.items], errors=session.testsfailed)

        def pytest_runtest_logstart(self, nodeid: str) -> None:
            self.outcome = ""
            journal.note(running=nodeid)

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            outcome = "error" if report.failed and report.when != "call" else report.outcome
            if report.when == "call" or outcome != "passed":
                self.outcome = max(self.outcome, outcome, key=_OUTCOMES.index) if outcome in _OUTCOMES else ""

        def pytest_runtest_logfinish(self, nodeid: str) -> None:
            journal.note(running="", reported={nodeid: self.outcome} if self.outcome else {})

    code = int(pytest.main(request["arguments"], plugins=[Recorder()]))
    loaded = {name: _origin(name) for name in request["modules"]}
    journal.note(code=code, loaded=loaded)
    return code


def _is_asked(request: dict[str, Any], test: str) -> bool:
    """Whether a test runs, by its node id without the file, whose path depends on pytest's root folder."""
    if (request["only"] is not None and test not in request["only"]) or test in request["without"]:
        return False
    if (asked := request["priorities"]) is None:
        return True
    name = f"{request['file']}::{test}"
    found = (priority for pattern, priority in asked["rules"] if re.fullmatch(pattern, name))
    return next(found, asked["rest"]) in asked["chosen"]


def _origin(name: str) -> str | None:
    module = sys.modules.get(name)
    return None if module is None else getattr(module, "__file__", None) or "built-in"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        asked = json.load(file)
    sys.exit({"probe": probe, "run": run}[asked["action"]](asked, Journal(asked["journal"])))
