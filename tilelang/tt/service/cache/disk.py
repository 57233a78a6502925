"""Bytes by key in a folder that many processes use at once: one file each, which is there whole or not at all.

A file is written without a name, or under a temporary one where the system has no such files, and gets its name by a
link, which fails where the name is taken: no name is ever given to other content. Only removing takes a lock, that of a
sub-folder, so that what is removed is what was looked at. Reading takes none.

Nothing is flushed to the disk: what is stored survives the death of every process. After a power cut a file may be
damaged, as it may be for other reasons, and the checksum tells.
"""

import errno
import fcntl
import os
import re
import secrets
import stat
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from logging import DEBUG, WARNING, getLogger
from pathlib import Path
from typing import NamedTuple

from ..._counters import counters

log = getLogger("tilelang.tt.cache")

# Magic, version of this form, key, bytes of the payload, their SHA-256.
_HEADER = struct.Struct("<8sI32sQ32s")
_MAGIC, _VERSION = b"tt-cache", 1
_SHARD, _KEY, _TEMPORARY = (re.compile(form) for form in ("[0-9a-f]{2}", "[0-9a-f]{64}", r"\.[0-9a-f]{16}\.tmp"))
_MAX_PAYLOAD = 1 << 28
# How far beyond its limit a folder may be expected to be, and down to what of the limit it is brought then.
_SLACK, _FULL = 1 / 32, 15 / 16
# What Linux says of file systems that have no files without names.
_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT)


def is_key(value: object) -> bool:
    """Whether something can be the key of an entry."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


class _DamageError(Exception):
    """A file that is not what this module has written under its name."""


class _File(NamedTuple):
    used: int
    size: int
    path: Path


class Disk:
    """A folder of entries, of which those are removed that were used longest ago.

    Nothing here raises for what the folder is like: what cannot be read is not there, what cannot be written is counted
    and logged, the first time as a warning.

    Attributes:
        folder: Where it is; made when something is stored. Files in it that have other names are left alone.
        limit: Bytes that the entries may have.
    """

    unnamed = hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir()

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._has_failed = False

    def read(self, key: str) -> bytes | None:
        """What is stored under a key; from now on it is the one used last."""
        try:
            return self._verified(key)
        except FileNotFoundError:
            return None
        except _DamageError as damage:
            self._mend(key, str(damage))
        except OSError as error:
            self._failed("read", self._path(key), error)
        return None

    def write(self, key: str, payload: bytes) -> bool:
        """Store what a key stands for, and say whether it is there. What is there already is not written again."""
        try:
            self._write(key, payload)
        except OSError as error:
            counters.count("cache", "failed_stores")
            self._failed("write", self._path(key), error)
            return False
        counters.count("cache", "stores")
        # The keys decide like dice when somebody looks at the whole folder: on average once while the slack is written,
        # by whatever processes, and each time where a few entries are the limit.
        if int(key[:8], 16) / 2**32 * self.limit * _SLACK <= len(payload):
            self.evict()
        return True

    def discard(self, key: str, reason: str) -> None:
        """Remove an entry that is as it was stored, and yet of no use."""
        self._corrupt(key, reason)
        self._remove(key)

    def clear(self) -> None:
        """Remove all entries."""
        for file in self._files():
            self._remove(file.path.name)

    def usage(self) -> tuple[int, int]:
        """How many entries there are, and their bytes."""
        sizes = [file.size for file in self._files()]
        return len(sizes), sum(sizes)

    def keys(self) -> list[str]:
        """Of all entries, those that were used longest ago first."""
        return [file.path.name for file in sorted(self._files())]

    def evict(self) -> None:
        """Bring the folder below its limit, and remove what killed writers have left."""
        try:
            with _locked(self.folder, patience=0):
                self._sweep()
                files = sorted(self._files())
                excess = sum(file.size for file in files)
                if excess <= self.limit:
                    return
                excess -= int(self.limit * _FULL)
                for file in files[:-1]:
                    if excess <= 0:
                        break
                    self._evict(file)
                    excess -= file.size
        except BlockingIOError:
            pass  # somebody does it right now
        except OSError as error:
            self._failed("tidy", self.folder, error)

    def _evict(self, file: _File) -> None:
        def is_used() -> bool:
            return file.path.lstat().st_mtime_ns != file.used

        if self._remove(file.path.name, unless=is_used):
            counters.count("cache", "evictions")
            log.info("evicted %s", file.path.name[:12])

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _verified(self, key: str) -> bytes:
        try:
            fd = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _DamageError("a symbolic link") from None
            raise
        with open(fd, "rb", buffering=0) as file:
            payload = _payload(file.fileno(), key)
            with suppress(OSError):  # somebody else's file
                _touch(fd)
        return payload

    def _write(self, key: str, payload: bytes) -> None:
        if len(payload) > min(self.limit, _MAX_PAYLOAD):
            raise OSError(errno.EFBIG, f"found {len(payload)} bytes; expected at most {self.limit}")
        header = _HEADER.pack(_MAGIC, _VERSION, bytes.fromhex(key), len(payload), sha256(payload).digest())
        shard = self._path(key).parent
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(3):  # others may clear the folder, or damage what is in it, at the same time
            shard.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileExistsError):
                self._link(shard, key, header + payload)
                return
            try:
                self._verified(key)
                return
            except FileNotFoundError:
                pass
            except _DamageError as damage:
                self._mend(key, str(damage))
        raise OSError(errno.EEXIST, "found something that is no entry, and cannot be removed")

    def _link(self, shard: Path, key: str, data: bytes) -> None:
        """Make a file with that content, whole from the moment when it has its name.

        Raises:
            FileExistsError: The name is taken.
        """
        if self.unnamed:
            try:
                fd = os.open(shard, os.O_TMPFILE | os.O_WRONLY, 0o600)
            except OSError as error:
                if error.errno not in _NO_UNNAMED:
                    raise
                self.unnamed = False
        if not self.unnamed:
            self._link_named(shard, key, data)
            return
        with open(fd, "wb") as file, _opened(shard) as directory:
            file.write(data)
            file.flush()
            _touch(fd)
            os.link(f"/proc/self/fd/{fd}", key, dst_dir_fd=directory, follow_symlinks=True)

    def _link_named(self, shard: Path, key: str, data: bytes) -> None:
        temporary = shard / f".{secrets.token_hex(8)}.tmp"
        fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(fd, "wb") as file:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)  # for as long as this process writes it, and lives
                file.write(data)
                file.flush()
                _touch(fd)
                os.link(temporary, shard / key)
            finally:
                temporary.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove temporary files whose writers are gone."""
        for path in self._paths(_TEMPORARY):
            with suppress(OSError), _locked(path, patience=0):
                path.unlink()

    def _remove(self, key: str, unless: Callable[[], bool] = lambda: False) -> bool:
        """Remove a file, unless it turns out to be another one than was meant."""
        path = self._path(key)
        try:
            with _locked(path.parent):
                if unless():
                    return False
                path.unlink()
                return True
        except FileNotFoundError:
            return False
        except OSError as error:
            self._failed("remove", path, error)
            return False

    def _files(self) -> Iterator[_File]:
        for path in self._paths(_KEY):
            with suppress(OSError):
                status = path.lstat()
                yield _File(status.st_mtime_ns, status.st_size, path)

    def _paths(self, form: re.Pattern[str]) -> Iterator[Path]:
        """The files whose names have a form; others are none of ours."""
        with suppress(OSError):
            for shard in sorted(os.listdir(self.folder)):
                if not _SHARD.fullmatch(shard):
                    continue
                with suppress(OSError):
                    names = sorted(os.listdir(self.folder / shard))
                    yield from (
                        self.folder / shard / name
                        for name in names
                        if form.fullmatch(name) and (form is _TEMPORARY or name.startswith(shard))
                    )

    def _mend(self, key: str, reason: str) -> None:
        """Remove a damaged entry, unless a good one has taken its place."""

        def is_good() -> bool:
            with suppress(_DamageError):
                self._verified(key)
                return True
            return False

        self._corrupt(key, reason)
        self._remove(key, unless=is_good)

    def _corrupt(self, key: str, reason: str) -> None:
        counters.count("cache", "corrupt")
        log.warning("dropped a corrupt entry, which will be compiled again: %s: %s", self._path(key), reason)

    def _failed(self, verb: str, what: Path, error: OSError) -> None:
        log.log(DEBUG if self._has_failed else WARNING, "cannot %s %s: %s", verb, what, error)
        self._has_failed = True


def _payload(fd: int, key: str) -> bytes:
    """The payload of a file.

    Raises:
        _DamageError: It is not as it was written under this key.
    """
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise _DamageError("no regular file")
    if status.st_size > _HEADER.size + _MAX_PAYLOAD:
        raise _DamageError(f"found {status.st_size} bytes")
    with open(fd, "rb", buffering=0, closefd=False) as file:
        data = file.readall()
    if len(data) < _HEADER.size:
        raise _DamageError(f"found {len(data)} bytes")
    magic, version, of_key, size, digest = _HEADER.unpack_from(data)
    payload = data[_HEADER.size :]
    for what, found, expected in (
        ("magic", magic, _MAGIC),
        ("version", version, _VERSION),
        ("key", of_key.hex(), key),
        ("bytes", len(payload), size),
        ("checksum", sha256(payload).hexdigest(), digest.hex()),
    ):
        if found != expected:
            raise _DamageError(f"{what}: found {found!r}; expected {expected!r}")
    return payload


def _touch(fd: int) -> None:
    """Say when the entry was used last, more precisely than the clock of file systems does."""
    now = time.time_ns()
    os.utime(fd, ns=(now, now))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _locked(path: Path, patience: float = 5.0) -> Iterator[None]:
    """Hold the lock of a file or a folder, which nobody holds for long, unless it was stopped meanwhile.

    Raises:
        BlockingIOError: Somebody else holds it for more than these seconds.
    """
    until = time.monotonic() + patience
    with _opened(path) as fd:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.001)
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # closing does not do it while a child that was forked has a copy
