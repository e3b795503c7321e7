"""The jobs for which a job waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import asdict, frozen

from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import is_job_id, job_id_problem


@frozen
class Holds:
    """The dependencies of a job. The fields are named as in its record and as the options of ``submit``."""

    hold_jid: tuple[str, ...] = ()
    """The jobs that must have ended, in any state, before the job starts."""
    hold_ok_jid: tuple[str, ...] = ()
    """The jobs that must be DONE before the job starts; it never starts if one ended in another state."""

    @property
    def must_be_done(self) -> tuple[str, ...]:
        """The jobs that must be DONE."""
        return self.hold_ok_jid

    @property
    def all_ids(self) -> tuple[str, ...]:
        """All jobs that must have ended, each once."""
        return tuple(dict.fromkeys((*self.hold_jid, *self.hold_ok_jid)))

    def bad_ids(self) -> Iterator[str]:
        """Yield a problem for everything that is not a job id."""
        for option, ids in asdict(self, recurse=False).items():
            for text in ids:
                if problem := job_id_problem(text):
                    yield f"{option}: {problem}"

    def usable(self) -> Holds:
        """Return the dependencies without the bad ids."""
        return Holds(tuple(filter(is_job_id, self.hold_jid)), tuple(filter(is_job_id, self.hold_ok_jid)))

    def problems_in(self, state_of: Callable[[str], JobState | None]) -> Iterator[str]:
        """Yield a problem for each job that does not exist, or that is not DONE and never will be.

        *state_of* returns the state of a job, None if there is no such job.
        """
        for job_id in self.hold_jid:
            if state_of(job_id) is None:
                yield f"hold_jid: job {job_id} does not exist"
        for job_id in self.hold_ok_jid:
            state = state_of(job_id)
            if state is None:
                yield f"hold_ok_jid: job {job_id} does not exist"
            elif state.is_final and state is not JobState.DONE:
                yield f"hold_ok_jid: job {job_id} ended as {state.value}: this job would never run"


NO_HOLDS = Holds()


def job_ids(given: Sequence[str] | str) -> tuple[str, ...]:
    """Return the ids that *given* names, one by one or with commas; they are not checked.

    Blanks around ids are ignored, a repeated id counts once, and an empty text means no job.
    """
    if not given:
        return ()
    texts = [given] if isinstance(given, str) else given
    ids = [part.strip() for text in texts for part in text.split(",")]
    return () if ids == [""] else tuple(dict.fromkeys(ids))
