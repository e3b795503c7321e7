"""The request for a job, from the words of its owner to its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from cloudq.domain.jobs.arguments import Words
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.dependency import NO_HOLDS, Holds
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.command import Command
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.target import Target


@frozen
class JobSpec:
    """What the owner of a job wants, in the owner's words; nothing is checked yet."""

    script: Path | str | Jobscript | Command
    """The file of the script, a script that has no file, or a command in place of one."""
    args: Sequence[str] = ()
    """The arguments of the script."""
    name: str = ""
    """The name of the job; empty for the file name of the script."""
    env: Mapping[str, str] | Sequence[str] = ()
    """Environment variables for the script: a mapping, or texts ``NAME=value``."""
    labels: Mapping[str, str] | Sequence[str] = ()
    """Labels: a mapping, or texts ``key=value``."""
    outputs: Sequence[str] = ()
    """Patterns of the files to stage out; empty for everything new or changed."""
    each_line: Path | str | Sequence[Sequence[str]] = ()
    """A file with the arguments of one task of an array per line, or these arguments."""
    submit_to: str = ""
    submit_opt: str = ""
    hold_jid: Sequence[str] | str = ()
    hold_ok_jid: Sequence[str] | str = ()
    array_tid: str | None = None
    inputs: Sequence[Path | str] = ()
    only: Sequence[str] = ()
    without: Sequence[str] = ()
    force: bool = False


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
    name: str = ""
    """The name of the job; empty for that of the script."""
    labels: tuple[str, ...] = ()
    arguments: Words = ()
    task_arguments: tuple[Words, ...] = ()
    """The further arguments of each task, those of task 1 first; empty if there are none."""
    environment: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    force: bool = False
    """Submit even to a system as which no agent ever reported."""
    warnings: tuple[str, ...] = ()
    """Notes for the owner; none of them keeps the job from running."""

    @property
    def meta(self) -> MetaScript | None:
        """The script if it is a meta jobscript, else None."""
        return self.script if isinstance(self.script, MetaScript) else None

    @property
    def gives_arguments(self) -> bool:
        """Return whether the job has arguments, variables or outputs, which older agents ignore."""
        return bool(self.arguments or self.task_arguments or self.environment or self.outputs)
