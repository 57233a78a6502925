"""Running a command line: what goes wrong becomes a message and an exit code."""

import click

from .. import errors
from . import output
from .commands import FINDINGS, cli

USAGE = 2
INTERNAL = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # as shells report SIGINT

# Mistakes in what was asked for; all other refusals are of a kernel or a plan.
_USAGE_ERRORS = (
    errors.ArgumentError,
    errors.OptionError,
    errors.BufferLookupError,
    errors.HostError,
    errors.SuiteError,
    errors.ComparisonError,
)


def run(arguments: list[str]) -> int:
    """The exit code of a command line."""
    output.show_warnings()
    try:
        return cli.main(arguments, prog_name="tilelang-tt", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except errors.TTError as error:
        return _refused(error)
    except OSError as error:
        if error.filename is None:
            return _broken(error)
        output.error(f"{error.filename}: {error.strerror}")
        return USAGE
    except Exception as error:
        return _broken(error)


def _refused(error: errors.TTError) -> int:
    if isinstance(error, errors.InternalError):
        return _broken(error)
    output.error(str(error))
    if error.code:
        output.note(f"more about it: tilelang-tt explain {' '.join(dict.fromkeys(error.codes))}")
    return USAGE if isinstance(error, _USAGE_ERRORS) else FINDINGS


def _broken(error: Exception) -> int:
    import traceback

    traceback.print_exception(error)
    output.error("this is a bug of tilelang-tt; please report it, with the lines above and the kernel")
    return INTERNAL
