"""Which tests a text names, in the files that people write."""

import re
from functools import cache


@cache
def pattern(text: str) -> re.Pattern[str]:
    """What matches the node ids that a text names as a whole.

    The text is a folder, a file, a class, a test, or a test with its parameters, as pytest takes them, and names all
    that is in it. ``*`` stands for any characters but ``::``; every other character stands for itself, also brackets.
    """
    parts = (re.escape(part) for part in text.rstrip("/").split("*"))
    return re.compile(f"{'(?:(?!::).)*'.join(parts)}(?:(?:/|::|\\[).*)?", re.DOTALL)


def names(text: str, test: str) -> bool:
    """Whether a text names a test, or a file as a whole."""
    return pattern(text).fullmatch(test) is not None
