"""Look up PBS jobs by id, one server at a time, so that a failing server hides no job of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, field

from cloudq.adapters.process import AnswerTooLong, Finished
from cloudq.adapters.schedulers.commands import SchedulerCommands, in_chunks, words_of
from cloudq.adapters.schedulers.pbs.parse import JobRows, parse_qstat, sequence_number, server_of
from cloudq.adapters.schedulers.pbs.states import keeps_no_history, numbers_not_known
from cloudq.domain.errors import SchedulerUnavailable

JSON = ("-F", "json")
WIDE = ("-w",)
"""Prints one line per attribute, so that no value can look like another attribute."""

_MOST_PASSED_OVER = 8


@define
class Answers:
    """The jobs that PBS answered for; jobs in neither field are unknown to PBS."""

    jobs: dict[str, JobRows] = field(factory=dict)
    unanswered: dict[str, str] = field(factory=dict)
    """By id, why nothing is known about a job that PBS neither showed nor reported as unknown."""

    def add(self, other: Answers) -> None:
        """Merge the answer to another query into this one."""
        self.jobs |= other.jobs
        self.unanswered |= other.unanswered


@define
class _Silence:
    """A server that did not answer; with each further failure, more polls pass before it is asked again."""

    words: str
    length: int = 1
    left: int = 1


@define(eq=False)
class PbsLookup:
    """Finds jobs that have left the queue, as long as PBS keeps their history."""

    commands: SchedulerCommands
    owner: str
    _silent: dict[str, _Silence] = field(factory=dict, init=False)

    def __call__(self, scheduler_job_ids: Sequence[str]) -> Answers:
        """Send one query per server and 50 ids."""
        answers = Answers()
        for server, of_server in _by_server(scheduler_job_ids).items():
            answers.add(self._of_server(server, of_server))
        return answers

    def _of_server(self, server: str, scheduler_job_ids: Sequence[str]) -> Answers:
        silence = self._silent.get(server)
        if silence is not None and silence.left > 0:
            silence.left -= 1
            return _none_of(scheduler_job_ids, silence.words)
        answers = Answers()
        try:
            for some in in_chunks(scheduler_job_ids):
                answers.add(self._of_some(some))
        except SchedulerUnavailable as error:
            length = min(silence.length * 2, _MOST_PASSED_OVER) if silence else 1
            self._silent[server] = _Silence(str(error), length, length)
            answers.add(
                _none_of(
                    [
                        scheduler_job_id
                        for scheduler_job_id in scheduler_job_ids
                        if scheduler_job_id not in answers.jobs
                    ],
                    str(error),
                )
            )
            return answers
        self._silent.pop(server, None)
        return answers

    def _of_some(self, scheduler_job_ids: Sequence[str]) -> Answers:
        try:
            return self._shown("-t", scheduler_job_ids)
        except AnswerTooLong:
            answers = Answers()
            for scheduler_job_id in scheduler_job_ids:
                answers.add(self._of_one(scheduler_job_id))
            return answers

    def _of_one(self, scheduler_job_id: str) -> Answers:
        try:
            return self._shown("-t", [scheduler_job_id])
        except AnswerTooLong:  # an array with too many tasks
            return self._shown("-f", [scheduler_job_id])

    def _shown(self, tasks: str, scheduler_job_ids: Sequence[str]) -> Answers:
        rows: dict[str, JobRows] = {}
        pending, words = list(scheduler_job_ids), ""
        for way in (WIDE, JSON, ()):  # JSON shows only the first of several ids
            if pending:
                done = self.commands.ask("qstat", "-x", "-f", tasks, *way, *pending)
                jobs = parse_qstat(done.stdout, self.owner) or {}
                rows |= {
                    scheduler_job_id: jobs[scheduler_job_id]
                    for scheduler_job_id in pending
                    if scheduler_job_id in jobs
                }
                pending = [
                    scheduler_job_id
                    for scheduler_job_id in pending
                    if scheduler_job_id not in jobs and not _is_unknown(scheduler_job_id, done)
                ]
                words = words_of("qstat", done)
        return Answers(rows, _none_of(pending, words).unanswered)


def _none_of(scheduler_job_ids: Sequence[str], words: str) -> Answers:
    return Answers(
        {},
        {
            scheduler_job_id: f"PBS does not report the state of job {scheduler_job_id}: {words}"
            for scheduler_job_id in scheduler_job_ids
        },
    )


def _by_server(scheduler_job_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
    servers: dict[str, list[str]] = {}
    for scheduler_job_id in scheduler_job_ids:
        servers.setdefault(server_of(scheduler_job_id), []).append(scheduler_job_id)
    return servers


def _is_unknown(scheduler_job_id: str, done: Finished) -> bool:
    return keeps_no_history(done.stderr) or sequence_number(scheduler_job_id) in numbers_not_known(
        done.stderr
    )
