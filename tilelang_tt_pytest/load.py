"""A pytest plugin that loads ``tilelang.tt`` into a host at start-up: ``pytest -p tilelang_tt_pytest.load``.

Run with and without it, tests that know nothing of this package show whether it changes the TVM that they test. pytest
imports it before the tests and their conftest files, and with it the host: what follows imports has happened by then.
"""

import pytest

import tilelang.tt
from tilelang.tt.errors import TTError


def _load() -> str:
    """The host that has the passes and the target from here on.

    Raises:
        UsageError: There is no such host; without one the tests would show nothing.
    """
    from tilelang.tt._host import require_host

    try:
        host = require_host()
    except TTError as error:
        raise pytest.UsageError(f"-p {__name__}: {error}") from error
    from tvm.target import list_tags

    if "tenstorrent" not in list_tags():
        raise pytest.UsageError(f'-p {__name__}: {host} does not know the target "tenstorrent"; tilelang.tt is idle')
    return str(host)


_HOST = _load()


def pytest_report_header() -> str:
    """What is loaded, where pytest says what it runs with."""
    return f"tilelang.tt {tilelang.tt.__version__} is loaded into {_HOST}"
