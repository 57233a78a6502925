"""The packages of the extra ``testing``, which not everybody has installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import refusal

# As they are imported.
_PACKAGES = {"click", "hypothesis", "junitparser", "packaging", "psutil", "pytest", "pytest_split", "rich"}


@contextmanager
def extra() -> Iterator[None]:
    """Refuse an import within it that lacks a package of the extra ``testing``, with the line that installs it.

    Raises:
        HostError: There is no such package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _PACKAGES:
            raise
        raise refusal(
            "TT947",
            f"{error.name} is not installed, and this part of tilelang.tt.testing needs it; expected the extra testing"
            '\nhelp: pip install "tilelang-tt[testing]"',
        ) from None
