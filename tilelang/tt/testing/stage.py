"""Stages: which part of a pipeline a test exercises."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A part of a pipeline that tests exercise and that can be run alone.

    Attributes:
        name: What ``pytest.mark.stage`` and ``--stage`` call it.
        does: What it does, in one sentence.
        sits: Where in the pipeline: after what, and before what.
        passes: Names of the PassInfo of its passes in TVM; their IR is shown where a test of the stage fails.
        channel: The logger of :mod:`logging` that it writes to; it is on while the stage is tested alone.
        sources: Where its mistakes are mended: files, folders, or patterns of files, relative to the project.
        snippet: A short Python file that shows the stage at work, relative to the project.
    """

    name: str
    does: str
    sits: str
    passes: tuple[str, ...] = ()
    channel: str = ""
    sources: tuple[str, ...] = ()
    snippet: str = ""
