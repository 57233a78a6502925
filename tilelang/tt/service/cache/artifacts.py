"""Moving a cache to another machine, in one file that holds data only.

The file is a line of JSON that says what it is and what has compiled it, and for each entry a line of JSON with its
key, length and SHA-256, and its bytes; a last line says how many entries there are. Nothing in it is compressed, is a
path, or is run.
"""

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike
from typing import Any, BinaryIO

from ..._whole_file import whole_file
from ...errors import TTError, refusal
from ..artifact import Artifact
from ..entry import Entry
from ..origin import origin
from . import cache
from .disk import is_key

_FORMAT, _VERSION = "tilelang-tt cache artifacts", 1
_MAX_LINE = 4096


@dataclass(frozen=True)
class CacheArtifacts:
    """What a file of cache artifacts holds.

    Attributes:
        entries: Results of compilations.
        bytes: Of them, in the file.
    """

    entries: int
    bytes: int


def save_cache_artifacts(path: "str | PathLike[str]", *, used_only: bool = False) -> CacheArtifacts:
    """Write what is cached into one file, for :func:`load_cache_artifacts` on another machine.

    Only entries are written that this host and this code have made, as nobody else could use them. A file that is there
    already stays as it is until the new one is complete.

    Args:
        path: The file to write.
        used_only: Only those entries that this process has compiled or found, and not all that are on disk.

    Returns:
        What has been written.

    Raises:
        OSError: The file cannot be written.
        OptionError: ``TILELANG_TT_CACHE_SIZE`` is no size.
    """
    with whole_file(path) as file:
        saved = _write(file, cache.entries(used_only=used_only))
        file.flush()
        os.fsync(file.fileno())
    return saved


def load_cache_artifacts(path: "str | PathLike[str]") -> CacheArtifacts:
    """Put the entries of a file into the cache on disk, after all of it has been validated.

    Loading runs nothing of what the file says, but whoever has written it decides about results: take it from people
    whom you trust.

    Args:
        path: A file of :func:`save_cache_artifacts`, of the same host, version and code.

    Returns:
        What has been loaded; what the cache had already is counted too.

    Raises:
        CacheError: The file is none, or is damaged, or belongs to another host, version or code, or the cache cannot
            hold it. Nothing is loaded, unless it is only the disk that fails.
        OSError: The file cannot be read.
        OptionError: ``TILELANG_TT_CACHE_SIZE`` is no size.
    """
    name = os.fspath(path)
    disk = cache.disk
    if disk is None:
        raise refusal("TT964", f"found no folder to load {name} into; expected a cache on disk")
    with open(path, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _foreign(name, "no regular file")
        sizes = [len(data) for _, data in _read(file, name, _validated)]
        if sum(sizes) > disk.limit:
            raise refusal(
                "TT965", f"{name} has entries of {sum(sizes)} bytes; expected at most the {disk.limit} of the cache"
            )
        file.seek(0)
        for index, (entry, data) in enumerate(_read(file, name, Entry.from_bytes)):
            if not disk.write(entry.key, data):
                raise refusal("TT965", f"{disk.folder} cannot be written; {index} of {len(sizes)} entries were loaded")
    return CacheArtifacts(len(sizes), sum(sizes))


def _write(file: BinaryIO, entries: Iterable[Entry]) -> CacheArtifacts:
    count = size = 0
    _write_line(file, format=_FORMAT, version=_VERSION, origin=origin())
    for entry in entries:
        data = entry.to_bytes()
        _write_line(file, key=entry.key, bytes=len(data), sha256=sha256(data).hexdigest())
        file.write(data)
        count += 1
        size += len(data)
    _write_line(file, entries=count)
    return CacheArtifacts(count, size)


def _write_line(file: BinaryIO, **fields: Any) -> None:
    file.write(json.dumps(fields).encode() + b"\n")


def _read(file: BinaryIO, name: str, decode: Callable[[bytes], Entry]) -> Iterator[tuple[Entry, bytes]]:
    """The entries of a file, of which nothing is believed.

    Raises:
        CacheError: It is not as it should be, from that entry on.
    """
    size = os.fstat(file.fileno()).st_size
    _check_header(_read_line(file), name)
    keys: set[str] = set()
    while (line := _read_line(file)) != {"entries": len(keys)}:
        place = f"{name}: entry {len(keys)}"
        if line is None or line.keys() != {"key", "bytes", "sha256"}:
            raise _damaged(place, "found neither an entry nor the end")
        key, length = line["key"], line["bytes"]
        if not is_key(key) or key in keys:
            raise _damaged(place, "its key is none, or that of another entry")
        if type(length) is not int or not 0 <= length <= size - file.tell():
            raise _damaged(f"{place} ({key})", f"found {size - file.tell()} bytes; expected {length}")
        data = file.read(length)
        found = sha256(data).hexdigest()
        if found != line["sha256"]:
            raise _damaged(f"{place} ({key})", f"found checksum {found}; expected {line['sha256']}")
        try:
            entry = decode(data)
        except (TTError, ValueError) as error:
            raise _damaged(f"{place} ({key})", str(error)) from error
        if entry.key != key or entry.origin != origin():
            raise _damaged(f"{place} ({key})", "the entry is of another key or origin")
        keys.add(key)
        yield entry, data
    if file.tell() != size:
        raise _damaged(name, f"found {size - file.tell()} bytes after the end")


def _read_line(file: BinaryIO) -> dict[str, Any] | None:
    """The JSON object of the next line; None where there is none."""
    with suppress(ValueError, RecursionError):
        line = file.readline(_MAX_LINE)
        value = json.loads(line)
        if isinstance(value, dict) and line.endswith(b"\n"):
            return value
    return None


def _check_header(line: dict[str, Any] | None, name: str) -> None:
    if line is None or line.get("format") != _FORMAT:
        raise _foreign(name, "another kind of file")
    if line.get("version") != _VERSION:
        raise _foreign(name, f"version {line.get('version')!r}")
    found, expected = line.get("origin"), origin()
    if not isinstance(found, dict):
        raise _foreign(name, "no origin")
    wrong = [key for key in expected if found.get(key) != expected[key]]
    if wrong:
        pairs = "; ".join(f"{key}: found {found.get(key)!r}, expected {expected[key]!r}" for key in wrong)
        raise refusal("TT963", f"{name} was written by another host, version or code: {pairs}")


def _validated(data: bytes) -> Entry:
    """An entry all of which can be used."""
    entry = Entry.from_bytes(data)
    artifact = Artifact(entry)
    if artifact.plan.kernel().name != entry.name:
        raise ValueError("the plan is of another kernel")
    assert artifact.func is not None
    assert artifact.program is not None
    return entry


def _foreign(name: str, found: str) -> TTError:
    return refusal("TT961", f'{name}: found {found}; expected "format": "{_FORMAT}", "version": {_VERSION}')


def _damaged(place: str, what: str) -> TTError:
    return refusal("TT962", f"{place}: {what}; nothing was loaded")
