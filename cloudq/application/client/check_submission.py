"""Check a submission: its words, its files, and what only the store can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from attrs import evolve, frozen

from cloudq.application.client.find_systems import Choice, FindSystems, RememberedSystems
from cloudq.application.shared.end_job import load_or_none
from cloudq.domain.errors import CloudqError, InvalidInput, NoTargetSystem
from cloudq.domain.jobs.arguments import (
    MAX_LINES_BYTES,
    Words,
    checked_arguments,
    checked_lines,
    read_lines,
    tasks_of_lines,
)
from cloudq.domain.jobs.dependency import Holds, job_ids
from cloudq.domain.jobs.environment import checked_environment
from cloudq.domain.jobs.job_request import JobRequest, JobSpec
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.labels import checked_labels
from cloudq.domain.jobs.outputs import checked_patterns
from cloudq.domain.names import file_name_problem, on_one_line
from cloudq.domain.problems import Problems
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.command import SCRIPT_NAME, Command
from cloudq.domain.scripts.directive import directives_in, is_meta
from cloudq.domain.scripts.jobscript import MAX_SCRIPT_BYTES, Jobscript, script_problems
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.submit_options import split_options
from cloudq.domain.scripts.target import Pinned, Target, case_warnings, read_target
from cloudq.ports.archives import Archives
from cloudq.ports.job_repository import JobRepository

Source = Path | str | Jobscript | Command

_NO_FILE = Path("/dev/null/script")
"""A path that no file can have."""

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
    ask_state: Callable[[str], JobState | None] | None = None
    """Returns the state of a job, instead of reading its record."""
    reads_once: Callable[[Source, bool], Jobscript] | None = None
    """Returns a script that several jobs have, instead of reading it for each."""

    def once(self) -> CheckSubmission:
        """Return a check for many submissions, which asks about each system, job and script once."""
        find_systems = evolve(self.find_systems, registry=RememberedSystems(self.find_systems.registry))
        return evolve(
            self, find_systems=find_systems, ask_state=cache(self._state_of), reads_once=cache(script_of)
        )

    def read(self, spec: JobSpec) -> JobRequest:
        """Return the request for the job that its owner wants; its inputs are not packed yet.

        Sends no request to the store unless something is wrong. Raises `InvalidInput` with all problems, also
        those in the store.
        """
        problems = Problems()
        holds = Holds(job_ids(spec.hold_jid), job_ids(spec.hold_ok_jid))
        script = problems.collect(self.reads_once or script_of, spec.script, bool(spec.submit_to))
        problems.extend(holds.bad_ids())
        task_arguments = problems.collect(_lines_of, spec.each_line)
        array = problems.collect(parse_array, spec.array_tid)
        if task_arguments and not problems:
            array = problems.collect(tasks_of_lines, len(task_arguments), array)
        target = problems.collect(read_target, script, spec.submit_to, spec.only, spec.without)
        problems.collect(split_options, spec.submit_opt)
        inputs = tuple(map(Path, spec.inputs))
        problems.collect(self._check_inputs, inputs, spec.script)
        name = spec.name or (spec.script.name if isinstance(spec.script, Command) else "")
        if name and (problem := file_name_problem(name)):
            problems.add(f"job name {problem}")
        labels = problems.collect(checked_labels, texts_of(spec.labels))
        arguments = problems.collect(checked_arguments, spec.args)
        environment = problems.collect(checked_environment, texts_of(spec.env))
        outputs = problems.collect(checked_patterns, spec.outputs)
        if problems or script is None or target is None:
            self._add_what_the_store_shows(problems, holds.usable(), None if spec.force else target)
            raise problems.error()
        return JobRequest(
            script=script,
            target=target,
            submit_opt=spec.submit_opt,
            holds=holds,
            array_tid=array,
            inputs=inputs,
            name=name,
            labels=labels or (),
            arguments=arguments or (),
            task_arguments=task_arguments or (),
            environment=environment or (),
            outputs=outputs or (),
            force=spec.force,
            warnings=notes_for_owner(script, (spec.submit_to, *spec.only, *spec.without)),
        )

    def _check_inputs(self, inputs: Sequence[Path], source: Source) -> None:
        """Raise `InvalidInput` for inputs that cannot be packed, or that a script without a file replaces."""
        if isinstance(source, Path | str):
            self.archives.check(inputs, Path(source))
            return
        self.archives.check(inputs, _NO_FILE)
        name = SCRIPT_NAME if isinstance(source, Command) else source.name
        if any(path.name == name for path in inputs):
            raise InvalidInput(f"input {name}: the script has the same name in the work directory")

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
        if self.ask_state is not None:
            return self.ask_state(job_id)
        stored = load_or_none(self.jobs, job_id)
        return None if stored is None else stored.job.state


def script_of(source: Source, is_pinned: bool) -> Jobscript:
    """Return the script in a file, of a command, or *source* itself, as a `MetaScript` if it is one.

    A script that *is_pinned* to a system need not be a meta jobscript. Raises `InvalidInput`.
    """
    script = _script_in(source)
    if is_pinned and not is_meta(script.body):
        return Jobscript.checked(script.name, script.body)
    if not any(directives_in(script.body)):
        raise InvalidInput([_NO_SYSTEM, *script_problems(script.name, script.body)])
    return MetaScript.parse(script.name, script.body)


def _script_in(source: Source) -> Jobscript:
    if isinstance(source, Command):
        return source.script()
    return source if isinstance(source, Jobscript) else read_script(Path(source))


def texts_of(pairs: Mapping[str, str] | Sequence[str]) -> tuple[str, ...]:
    """Return *pairs*, a mapping or texts ``key=value``, as texts."""
    return (
        tuple(f"{key}={value}" for key, value in pairs.items())
        if isinstance(pairs, Mapping)
        else tuple(pairs)
    )


def jobs_of_lines(spec: JobSpec) -> list[JobSpec]:
    """Return a job for each line of arguments, in place of one array. Raises `InvalidInput`."""
    lines = _lines_of(spec.each_line)
    return [evolve(spec, args=(*spec.args, *words), each_line=()) for words in lines]


def read_text(path: Path, most_bytes: int) -> str:
    """Return the text of a file of at most *most_bytes*. Raises `InvalidInput`."""
    body = _beginning(path, most_bytes + 1)
    if len(body) > most_bytes:
        raise InvalidInput(f"{on_one_line(path)}: larger than {most_bytes >> 20} MiB")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{on_one_line(path)}: is not UTF-8 text: {error}") from error


def read_script(path: Path) -> Jobscript:
    """Return the script in a file. Raises `InvalidInput` if it cannot be read."""
    return Jobscript(path.name, _beginning(path, MAX_SCRIPT_BYTES + 1))


def _beginning(path: Path, most_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most_bytes)  # reading a device may never end
    except OSError as error:
        raise InvalidInput(f"{on_one_line(path)}: cannot be read: {error.strerror or error}") from error


def _lines_of(source: Path | str | Sequence[Sequence[str]]) -> tuple[Words, ...]:
    """Return the arguments of each task, from a file or as they are. Raises `InvalidInput`."""
    if isinstance(source, Path | str):
        path = Path(source)
        text = read_text(path, MAX_LINES_BYTES)
        return checked_lines(read_lines(text, on_one_line(path)))
    return checked_lines(source)


def parse_array(text: str | None) -> ArrayRange | None:
    """Return the requested tasks, or None. Raises `InvalidInput`."""
    return None if text is None else ArrayRange.parse(text)


def notes_for_owner(script: Jobscript, systems: Iterable[str]) -> tuple[str, ...]:
    """Return the warnings about a script, and about the names of *systems* as the user wrote them."""
    warnings = script.warnings if isinstance(script, MetaScript) else ()
    return (*warnings, *case_warnings(systems))
