"""The systems that may run a job, as named in the script, with ``--submit_to``, ``--only`` and ``--not``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import checked_system
from cloudq.domain.scripts.meta_script import MetaScript


@frozen
class Place:
    """The systems for a job: the one in *systems* or, if it is empty, any that *only* and *without* allow."""

    systems: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def place_job(
    script: MetaScript | None, submit_to: str, only: Sequence[str] = (), without: Sequence[str] = ()
) -> Place:
    """Combine the script and the options; *script* is None if it is not a meta jobscript or is unreadable.

    Raises `InvalidInput` for invalid names and for options that contradict each other.
    """
    problems: list[str] = []
    warnings = list(script.warnings) if script else []
    named = list(_systems([submit_to], warnings, problems))
    allowed = tuple(_systems(only, warnings, problems))
    excluded = tuple(_systems(without, warnings, problems))
    if script is not None and script.run_on and script.run_on not in named:
        if named:
            problems.append(f"run_on is {script.run_on}, but --submit_to is {named[0]}")
        named.append(script.run_on)
    if named and (allowed or excluded):
        problems.append(f"--only and --not apply to jobs that any system may run; this one is for {named[0]}")
    if problems:
        raise InvalidInput(problems)
    if len(allowed) == 1 and not excluded:
        named, allowed = list(allowed), ()
    return Place(tuple(named), allowed, excluded, tuple(warnings))


def named_systems(given: Sequence[str]) -> tuple[str, ...]:
    """Return the systems that *given* names, one by one or with commas. Raises `InvalidInput`."""
    problems: list[str] = []
    named = tuple(dict.fromkeys(_systems(given, [], problems)))
    if problems:
        raise InvalidInput(problems)
    return named


def _systems(given: Sequence[str], warnings: list[str], problems: list[str]) -> Iterator[str]:
    for name in (part.strip() for text in given for part in text.split(",")):
        lowered = name.lower()
        try:
            if name:
                yield checked_system(lowered)
        except InvalidInput as error:
            problems.extend(error.problems)
            continue
        if name != lowered:
            warnings.append(f"{name} is taken as {lowered}: names of systems are lower case.")
