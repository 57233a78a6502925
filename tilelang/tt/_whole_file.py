"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: "str | PathLike[str]", mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to be written, whoever else writes it. What is there already stays as it is until the new one is complete.

    Args:
        path: The file; one that is linked to is replaced, and not the link.
        mode: Who may use a new file, before the umask.

    Raises:
        OSError: The file cannot be written.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        with open(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
            yield file
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
