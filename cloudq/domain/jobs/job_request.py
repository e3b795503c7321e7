"""The request for a job, from the words of its owner to its record."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.dependency import NO_HOLDS, Holds
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.target import Target


@frozen
class JobRequest:
    """A job that its owner wants to run. Its values are valid; the store has not been asked about it yet."""

    script: Jobscript
    """The script; if it is a `MetaScript`, it is converted where it runs."""
    target: Target
    submit_opt: str = ""
    holds: Holds = NO_HOLDS
    array_tid: ArrayRange | None = None
    inputs: tuple[Path, ...] = ()
    """The files and directories that *input_archive* will contain."""
    input_archive: Path | None = None
    input_contents: Contents | None = None
    """What the archive contains; the agent that extracts it relies on this."""
    force: bool = False
    """Submit even to a system as which no agent ever reported."""
    warnings: tuple[str, ...] = ()
    """Notes for the owner; none of them keeps the job from running."""

    @property
    def meta(self) -> MetaScript | None:
        """The script if it is a meta jobscript, else None."""
        return self.script if isinstance(self.script, MetaScript) else None
