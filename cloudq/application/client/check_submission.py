"""Check a submission: its words, its files, and what only the store can answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from cloudq.application.client.find_systems import Choice, FindSystems
from cloudq.application.shared.end_job import load_or_none
from cloudq.domain.errors import CloudqError, InvalidInput, NoTargetSystem
from cloudq.domain.jobs.dependency import Holds
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import on_one_line
from cloudq.domain.problems import Problems
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.directive import directives_in, is_meta
from cloudq.domain.scripts.jobscript import MAX_SCRIPT_BYTES, Jobscript, script_problems
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.submit_options import split_options
from cloudq.domain.scripts.target import Pinned, Target, case_warnings, read_target
from cloudq.ports.archives import Archives
from cloudq.ports.job_repository import JobRepository

_NO_SYSTEM = NoTargetSystem(
    "no target system. Only a meta jobscript does not need one: its first lines are "
    "'#$ project: …', '#$ resource: …' and '#$ n_resource: …'"
)


@frozen
class CheckSubmission:
    """Make every check of a submission, before anything is written."""

    jobs: JobRepository
    archives: Archives
    find_systems: FindSystems

    def read(
        self,
        path: Path,
        *,
        submit_to: str,
        submit_opt: str,
        holds: Holds,
        array_tid: str | None,
        inputs: Sequence[Path],
        only: Sequence[str],
        without: Sequence[str],
        force: bool,
    ) -> JobRequest:
        """Return the request for a job that runs the script at *path*; its inputs are not packed yet.

        Sends no request to the store unless something is wrong. Raises `InvalidInput` with all problems, also
        those in the store.
        """
        problems = Problems()
        script = problems.collect(_script_at, path, is_pinned=bool(submit_to))
        problems.extend(holds.bad_ids())
        array = problems.collect(parse_array, array_tid)
        target = problems.collect(read_target, script, submit_to, only, without)
        problems.collect(split_options, submit_opt)
        problems.collect(self.archives.check, inputs, path)
        if problems or script is None or target is None:
            self._add_what_the_store_shows(problems, holds.usable(), None if force else target)
            raise problems.error()
        return JobRequest(
            script=script,
            target=target,
            submit_opt=submit_opt,
            holds=holds,
            array_tid=array,
            inputs=tuple(inputs),
            force=force,
            warnings=notes_for_owner(script, (submit_to, *only, *without)),
        )

    def choose_systems(self, request: JobRequest) -> Choice:
        """Return the systems to invite, after the checks that need the store.

        Raises `InvalidInput` or `UnknownSystem` with all problems.
        """
        problems = Problems()
        problems.extend(request.holds.problems_in(self._state_of))
        choice = problems.collect(self.find_systems, request, problems)
        if not problems and not (choice and choice.systems):
            problems.add(
                NoTargetSystem("no target system: neither the request nor run_on in the script names one")
            )
        if problems or choice is None:
            raise problems.error()
        return choice

    def _add_what_the_store_shows(self, problems: Problems, holds: Holds, target: Target | None) -> None:
        """Complete the report of a submission with other *problems*, as far as the store answers."""
        with suppress(CloudqError):
            problems.extend(holds.problems_in(self._state_of))
            if isinstance(target, Pinned):
                problems.extend(self.find_systems.unknown(target.systems))

    def _state_of(self, job_id: str) -> JobState | None:
        stored = load_or_none(self.jobs, job_id)
        return None if stored is None else stored.job.state


def read_script(path: Path) -> Jobscript:
    """Return the script in a file. Raises `InvalidInput` if it cannot be read."""
    try:
        with path.open("rb") as file:
            body = file.read(MAX_SCRIPT_BYTES + 1)  # reading a device may never end
    except OSError as error:
        raise InvalidInput(f"{on_one_line(path)}: cannot be read: {error.strerror or error}") from error
    return Jobscript(path.name, body)


def parse_array(text: str | None) -> ArrayRange | None:
    """Return the requested tasks, or None. Raises `InvalidInput`."""
    return None if text is None else ArrayRange.parse(text)


def notes_for_owner(script: Jobscript, systems: Iterable[str]) -> tuple[str, ...]:
    """Return the warnings about a script, and about the names of *systems* as the user wrote them."""
    warnings = script.warnings if isinstance(script, MetaScript) else ()
    return (*warnings, *case_warnings(systems))


def _script_at(path: Path, *, is_pinned: bool) -> Jobscript:
    """Return the script in a file, as a `MetaScript` if it is one. Raises `InvalidInput`."""
    script = read_script(path)
    if is_pinned and not is_meta(script.body):
        return Jobscript.checked(script.name, script.body)
    if not any(directives_in(script.body)):
        raise InvalidInput([_NO_SYSTEM, *script_problems(script.name, script.body)])
    return MetaScript.parse(script.name, script.body)
