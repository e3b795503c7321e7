"""Read and check a submission, and report all its problems at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from attrs import define, field, frozen

from cloudq.application.client.submit_job import SubmitJob, SubmitRequest
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.dependency import parse_hold_jid, usable_ids
from cloudq.domain.names import on_one_line
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.directive import directives_in, is_meta
from cloudq.domain.scripts.jobscript import MAX_SCRIPT_BYTES, Jobscript, script_problems
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.place import Place, place_job
from cloudq.domain.scripts.submit_options import split_options
from cloudq.ports.archives import Archives

T = TypeVar("T")

_NO_SYSTEM = (
    "no target system: pass --submit_to. Only a meta jobscript does not need it: its first lines are "
    "'#$ project: …', '#$ resource: …' and '#$ n_resource: …'"
)


@define
class Problems:
    """A collection of problems, for one report of all of them."""

    found: list[str] = field(factory=list)

    def collect(self, check: Callable[[], T]) -> T | None:
        """Return the result of *check*; None if it raised `InvalidInput`, whose problems are kept."""
        try:
            return check()
        except InvalidInput as error:
            self.found.extend(error.problems)
            return None


@frozen
class Draft:
    """A submission as the user typed it, before any check."""

    script: Path
    submit_to: str = ""
    submit_opt: str = ""
    hold_jid: str = ""
    """Job ids separated by commas, as in *hold_ok_jid*."""
    hold_ok_jid: str = ""
    array_tid: str | None = None
    inputs: tuple[Path, ...] = ()
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    force: bool = False


@frozen
class Checked:
    """A submission that passed the checks; its inputs are not packed yet."""

    request: SubmitRequest
    warnings: tuple[str, ...]


@frozen
class CheckSubmission:
    """Check everything that can be checked before anything is written."""

    archives: Archives
    submit: SubmitJob

    def __call__(self, draft: Draft) -> Checked:
        """Return the checked submission. Raises `InvalidInput` with all problems, also those in the store."""
        problems = Problems()
        body = problems.collect(lambda: read_script(draft.script))
        meta = None
        if body is not None:
            meta = problems.collect(lambda: _read_directives(body, is_pinned=bool(draft.submit_to)))
        hold = problems.collect(lambda: parse_hold_jid(draft.hold_jid))
        hold_ok = problems.collect(lambda: parse_hold_jid(draft.hold_ok_jid, "hold_ok_jid"))
        array = problems.collect(lambda: parse_array(draft.array_tid))
        place = problems.collect(lambda: place_job(meta, draft.submit_to, draft.only, draft.without))
        problems.collect(lambda: split_options(draft.submit_opt))
        problems.collect(lambda: self.archives.check(draft.inputs, draft.script))
        if problems.found or body is None or place is None:
            raise InvalidInput([*problems.found, *self._problems_in_the_store(draft, place)])
        request = SubmitRequest(
            script=body,
            submit_to=place.systems,
            submit_opt=draft.submit_opt,
            hold_jid=hold or (),
            hold_ok_jid=hold_ok or (),
            array_tid=array,
            force=draft.force,
            meta=meta,
            only=place.only,
            without=place.without,
        )
        return Checked(request, place.warnings)

    def _problems_in_the_store(self, draft: Draft, place: Place | None) -> tuple[str, ...]:
        return self.submit.problems_in_the_store(
            usable_ids(draft.hold_jid),
            usable_ids(draft.hold_ok_jid),
            () if place is None else place.systems,
            force=draft.force,
        )


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


def _read_directives(script: Jobscript, *, is_pinned: bool) -> MetaScript | None:
    """Return the script's directives if it is a meta jobscript, else None. Raises `InvalidInput`."""
    if is_pinned and not is_meta(script.body):
        Jobscript.checked(script.name, script.body)
        return None
    if not any(directives_in(script.body)):
        raise InvalidInput([_NO_SYSTEM, *script_problems(script.name, script.body)])
    return MetaScript.parse(script.name, script.body)
