"""The systems that may run a job, as named in the script, with ``--submit_to``, ``--only`` and ``--not``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from cloudq.domain.names import checked_system
from cloudq.domain.problems import Problems
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.meta_script import MetaScript


@frozen
class Pinned:
    """The one system that may run a job, or several of which the first to claim it does."""

    systems: tuple[str, ...]

    @property
    def submit_to(self) -> str:
        """The one system that the job is for, as its record names it; empty if there are several."""
        return self.systems[0] if len(self.systems) == 1 else ""


@frozen
class AnySystem:
    """Any system that can run a job; the job must be a meta jobscript."""

    only: tuple[str, ...] = ()
    """The only systems that may run it; empty for no restriction."""
    without: tuple[str, ...] = ()

    @property
    def submit_to(self) -> str:
        """Empty: the job is not for one system."""
        return ""

    def allows(self, system: str) -> bool:
        """Return whether the owner of the job lets *system* run it."""
        return system not in self.without and (not self.only or system in self.only)


Target = Pinned | AnySystem


def read_target(
    script: Jobscript | None, submit_to: str, only: Sequence[str] = (), without: Sequence[str] = ()
) -> Target:
    """Combine the script and the options; *script* is None if it cannot be read.

    Raises `InvalidInput` for invalid names and for options that contradict each other.
    """
    problems = Problems()
    pinned = _systems([submit_to], problems)
    allowed = _systems(only, problems)
    excluded = _systems(without, problems)
    run_on = script.run_on if isinstance(script, MetaScript) else ""
    if run_on and run_on not in pinned:
        if pinned:
            problems.add(f"run_on is {run_on}, but submit_to is {pinned[0]}")
        pinned = (*pinned, run_on)
    if pinned and (allowed or excluded):
        problems.add(
            f"systems are allowed or excluded for jobs that any may run; this one is for {pinned[0]}"
        )
    problems.raise_if_any()
    if len(allowed) == 1 and not excluded:
        pinned = allowed
    return Pinned(pinned) if pinned else AnySystem(allowed, excluded)


def case_warnings(given: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each system in *given* whose name is not in lower case."""
    for name in _names(given):
        if name != name.lower():
            yield f"{name} is taken as {name.lower()}: names of systems are lower case."


def named_systems(given: Sequence[str]) -> tuple[str, ...]:
    """Return the systems that *given* names, one by one or with commas. Raises `InvalidInput`."""
    problems = Problems()
    named = tuple(dict.fromkeys(_systems(given, problems)))
    problems.raise_if_any()
    return named


def _systems(given: Iterable[str], problems: Problems) -> tuple[str, ...]:
    """Return the valid names in *given*; add what is wrong with the others to *problems*."""
    systems = [problems.collect(checked_system, name.lower()) for name in _names(given)]
    return tuple(system for system in systems if system is not None)


def _names(given: Iterable[str]) -> list[str]:
    return [name for text in given for part in text.split(",") if (name := part.strip())]
