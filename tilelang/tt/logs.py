"""What the library says of its work, by channel: ``TILELANG_TT_LOGS="+schedule,shard,-cache"``.

Channels are loggers of :mod:`logging` with the names ``tilelang.tt.<channel>``. This module gives them levels, and one
handler where they are to be heard, and reads the environment variables when it is imported, which is no later than
:mod:`logging`. Whoever configures loggers by hand gets their records too.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import TTError, refusal

CHANNELS = {
    "defaults": "The inputs of each kernel: its device, policy, order and layout.",
    "schedule": "The grid of each launch, the cores that run it, and how many work tiles each of them has.",
    "shard": "The pages of each tensor, and where they lie.",
    "verify": "Kernels whose results have been compared with what inference gives for them.",
    "plan": "What has been planned, and at WARNING what the plan warns of.",
    "program": "The runtime arguments of the loop that each core runs.",
    "compile": "Each compilation in this process: its key, its kernel, and the seconds of its stages and passes.",
    "cache": "What was found, stored, evicted or dropped.",
    "worker": "Worker processes that begin, end, or are ended.",
    "search": "Candidates of a search, and why one was taken.",
    "many": "Batches: what was found, sent, and came back.",
    "execute": "Kernels that were executed on the CPU.",
    "target": "Kernels that were compiled for the target and run.",
}
_ALL = "all"
_ROOT = "tilelang.tt"
# Unless told otherwise; TileLang hears all of INFO below its own name, and a plan has its warnings in it.
_QUIET = {_ROOT: logging.WARNING, f"{_ROOT}.plan": logging.ERROR}
_DESCRIPTORS = "/dev/fd/"
_LEVELS = {"": logging.INFO, "+": logging.DEBUG, "-": logging.ERROR}
_SIGNS = {level: sign for sign, level in _LEVELS.items()}
_heard: dict[str, int] = {}


def set_logs(setting: str) -> None:
    """Say which channels are to be heard, in place of what was said before.

    Lines go to the standard error stream, or to the end of the file that ``TILELANG_TT_LOGS_OUT`` names, which many
    processes may share.

    Args:
        setting: Names of channels with commas between them, of which later ones win: a name alone gives a line for
            each decision (INFO), with a ``+`` details too (DEBUG), with a ``-`` only errors; ``all`` is every channel.
            Nothing is as if this had not been called.

    Raises:
        OptionError: There is no channel of that name, or the file cannot be written; nothing has changed.
    """
    levels, wrong = _parse(setting)
    if wrong:
        raise refusal("TT985", wrong[0])
    out = os.environ.get("TILELANG_TT_LOGS_OUT")
    _apply(levels, _open(out) if out and levels else None)


def _read_environment() -> None:
    """As :func:`set_logs` with ``TILELANG_TT_LOGS``; what is wrong there is logged, as an import must not fail."""
    for name, level in _QUIET.items():
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(level)
    setting, out = os.environ.get("TILELANG_TT_LOGS"), os.environ.get("TILELANG_TT_LOGS_OUT")
    if not setting:
        return
    levels, unknown = _parse(setting)
    wrong, file = [f"TT985: TILELANG_TT_LOGS: {message}" for message in unknown], None
    try:
        file = _open(out) if out and levels else None
    except TTError as error:
        wrong.append(str(error))
    _apply(levels, file)
    for message in wrong:
        logging.getLogger(_ROOT).warning("%s", message)


@contextmanager
def for_child() -> Iterator[tuple[dict[str, str], list[int]]]:
    """What a new process needs to be heard where this one is: variables, and descriptors that it is to inherit."""
    setting = ",".join(f"{_SIGNS[level]}{channel}" for channel, level in _heard.items())
    if not setting or os.environ.get("TILELANG_TT_LOGS_OUT"):
        yield {"TILELANG_TT_LOGS": setting}, []
        return
    try:
        stream = os.dup(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # no file, as in a notebook
        yield {"TILELANG_TT_LOGS": setting}, []
        return
    try:
        yield {"TILELANG_TT_LOGS": setting, "TILELANG_TT_LOGS_OUT": f"{_DESCRIPTORS}{stream}"}, [stream]
    finally:
        os.close(stream)


def _parse(setting: str) -> tuple[dict[str, int], list[str]]:
    """The level of each channel that is named, and what is wrong."""
    levels: dict[str, int] = {}
    wrong = []
    for part in filter(None, map(str.strip, setting.split(","))):
        name = part.lstrip("+-")
        sign = part.removesuffix(name)
        if sign in _LEVELS and name in (_ALL, *CHANNELS):
            levels |= dict.fromkeys(CHANNELS if name == _ALL else [name], _LEVELS[sign])
        else:
            wrong.append(_describe_unknown(part, name))
    return levels, wrong


def _describe_unknown(part: str, name: str) -> str:
    from difflib import get_close_matches

    known = ", ".join([*CHANNELS, _ALL])
    nearest = "".join(f"\nhelp: the nearest is {near}" for near in get_close_matches(name, [*CHANNELS, _ALL], 1))
    return f'found "{part}"; expected one of: {known}, with + or - or neither before it{nearest}'


def _open(path: str) -> int:
    """A descriptor that is shared by nobody; what is written to it goes to the end of the file."""
    try:
        if path.startswith(_DESCRIPTORS):  # also of what cannot be opened again
            return os.dup(int(path.removeprefix(_DESCRIPTORS)))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except (OSError, ValueError) as error:
        raise refusal("TT986", f"TILELANG_TT_LOGS_OUT is {path}, which cannot be written: {error}") from error


def _apply(levels: dict[str, int], file: int | None) -> None:
    _heard.clear()
    _heard.update(levels)
    root = logging.getLogger(_ROOT)
    for handler in [handler for handler in root.handlers if isinstance(handler, _Lines)]:
        root.removeHandler(handler)
        handler.close()
    for channel in CHANNELS:
        name = f"{_ROOT}.{channel}"
        logging.getLogger(name).setLevel(levels.get(channel, _QUIET.get(name, logging.NOTSET)))
    # TileLang keeps what is below its name from all others, and would write each line once more.
    root.propagate = not levels or logging.getLogger("tilelang").propagate
    if levels:
        root.addHandler(_Lines(file))


class _Lines(logging.Handler):
    """Writes records whole, whoever else writes to the same file."""

    def __init__(self, file: int | None) -> None:
        super().__init__()
        self._file = file
        self.setFormatter(logging.Formatter("%(asctime)s %(process)d %(channel)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        record.channel = record.name.removeprefix(_ROOT).lstrip(".") or "tt"
        try:
            line = f"{self.format(record)}\n"
            if self._file is None:
                sys.stderr.write(line)
                sys.stderr.flush()
            else:
                os.write(self._file, line.encode(errors="backslashreplace"))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        super().close()
        if self._file is not None:
            os.close(self._file)
            self._file = None


_read_environment()
