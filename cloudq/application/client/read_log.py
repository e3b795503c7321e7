"""Read the log of a job or of an agent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from cloudq.domain.errors import InvalidInput, NoTaskNamed
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.log_tail import Lines, last_lines
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobFiles, JobQueue, JobRepository
from cloudq.ports.system_registry import SystemRegistry

STDOUT = "stdout"
STDERR = "stderr"
ASK_AGAIN_AFTER_S = 300.0


@frozen
class TaskLine:
    """One line of the log of a task of an array, with its line feed."""

    task: int
    line: bytes


@frozen
class ReadLog:
    """Stream logs from the bucket; ask the agent to upload those that still grow."""

    jobs: JobRepository
    queue: JobQueue
    files: JobFiles
    registry: SystemRegistry
    clock: Clock

    def of_job(self, job: Job, stream: str, task: int | None) -> Iterator[bytes]:
        """Return what the bucket has of one log stream: the whole stream once the job is final.

        Raises `InvalidInput` for a task that the job does not have.
        """
        self.check_task(job, task)
        if not job.claim:
            return iter(())
        if job.is_final:
            return self.files.read_log(job.tag, stream, task)
        return self.files.log_pieces(job.tag, stream, task)

    def so_far(
        self,
        job: Job,
        stream: str,
        task: int | None,
        *,
        wait_s: float,
        tail: int | None = None,
        poll_s: float = 1.0,
    ) -> Iterator[bytes]:
        """Yield what there is now, or its last *tail* lines.

        If a running job has no output yet, wait up to *wait_s* for it.
        """
        began = self.clock.elapsed()
        while True:
            is_empty = True
            pieces = self.of_job(job, stream, task)
            for piece in pieces if tail is None else _tail_of(pieces, tail):
                is_empty = False
                yield piece
            waited = self.clock.elapsed() - began
            if not is_empty or job.is_final or not job.claim or waited >= wait_s:
                return
            self.clock.sleep(poll_s)
            job = self.jobs.load(job.uuid).job

    def follow(
        self, job_id: str, stream: str, task: int | None, *, poll_s: float, tail: int | None = None
    ) -> Iterator[bytes]:
        """Yield the log stream as it grows, until the job is final and the whole stream was yielded.

        With *tail*, begin with the last lines of what there is at first.
        """
        job = self.jobs.load(job_id).job
        self.check_task(job, task)
        offset, asked_at = 0, None
        while True:
            asked_at = self._ask_again(job, asked_at)
            new = _Counted(self._from(job, stream, task, offset))
            yield from new if tail is None else _tail_of(new, tail)
            if job.is_final:
                return
            offset, tail = offset + new.count, None
            self.clock.sleep(poll_s)
            job = self.jobs.load(job_id).job

    def of_tasks(
        self, job: Job, stream: str, *, wait_s: float, tail: int | None = None, poll_s: float = 1.0
    ) -> Iterator[TaskLine]:
        """Yield the lines that the bucket has of every task of an array, or the last *tail* of each.

        If a running job has no output yet, wait up to *wait_s* for it. Costs one LIST, and one GET per task
        with output.
        """
        began = self.clock.elapsed()
        while not (sizes := self.files.log_sizes(job, stream)):
            if job.is_final or not job.claim or self.clock.elapsed() - began >= wait_s:
                return
            self.clock.sleep(poll_s)
            job = self.jobs.load(job.uuid).job
        for task in _in_order(sizes):
            pieces = self.of_job(job, stream, task)
            lines = Lines()
            for piece in pieces if tail is None else _tail_of(pieces, tail):
                yield from _of_task(task, lines.feed(piece))
            yield from _of_task(task, lines.finish())

    def follow_tasks(
        self, job_id: str, stream: str, *, poll_s: float, tail: int | None = None
    ) -> Iterator[TaskLine]:
        """Yield the lines of every task of an array as they are completed, until the job is final.

        With *tail*, begin with the last lines of what each task has at first. Each look costs one LIST, and
        one or two requests per task whose log has grown.
        """
        job = self.jobs.load(job_id).job
        asked_at = None
        offsets: dict[int, int] = {}
        lines: dict[int, Lines] = {}
        while True:
            asked_at = self._ask_again(job, asked_at)
            sizes = self.files.log_sizes(job, stream)
            for task in _in_order(sizes):
                offset = offsets.get(task, 0)
                if sizes[task] <= offset:
                    continue
                new = _Counted(self._from(job, stream, task, offset))
                for piece in new if tail is None else _tail_of(new, tail):
                    yield from _of_task(task, lines.setdefault(task, Lines()).feed(piece))
                offsets[task] = offset + new.count
            if job.is_final:
                break
            tail = None
            self.clock.sleep(poll_s)
            job = self.jobs.load(job_id).job
        for task, waiting in sorted(lines.items()):
            yield from _of_task(task, waiting.finish())

    def _ask_again(self, job: Job, asked_at: float | None) -> float | None:
        """Ask for uploads if the last request is getting old; return the time of the last request."""
        now = self.clock.elapsed()
        if job.is_final or not job.claim or (asked_at is not None and now - asked_at < ASK_AGAIN_AFTER_S):
            return asked_at
        self.ask_for(job)
        return now

    def _from(self, job: Job, stream: str, task: int | None, offset: int) -> Iterator[bytes]:
        """Return what the bucket has of a stream from *offset* on."""
        if job.is_final:
            return _skip(self.of_job(job, stream, task), offset)
        return self.files.log_pieces(job.tag, stream, task, offset) if job.claim else iter(())

    def ask_for(self, job: Job) -> None:
        """Ask the holder to upload the logs of a running job; repeat the request within 10 minutes."""
        if job.claim and not job.is_final:
            self.queue.request_follow(job.run_system, job.tag)
            self.queue.ring(job.run_system)

    def of_agent(self, system: str) -> Iterator[bytes]:
        """Yield the recent log of an agent. Raises `NoAgentLog`."""
        return self.registry.agent_log(system)

    @staticmethod
    def check_task(job: Job, task: int | None) -> None:
        """Raise `InvalidInput` unless *job* has this task."""
        if task in job.task_ids:
            return
        if task is None:
            raise NoTaskNamed(job.uuid, str(job.array_tid))
        has = f"tasks {job.array_tid}" if job.array_tid else "no tasks: it is not an array job"
        raise InvalidInput(f"Job ({job.uuid}) has {has}.")


class _Counted:
    """Pieces of a log, and how many bytes have been taken so far."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.count += len(piece)
            yield piece


def _tail_of(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    tail = last_lines(pieces, count)
    if tail:
        yield tail


def _in_order(sizes: Mapping[int | None, int]) -> list[int]:
    return sorted(task for task in sizes if task is not None)


def _of_task(task: int, lines: Iterator[bytes]) -> Iterator[TaskLine]:
    return (TaskLine(task, line) for line in lines)


def _skip(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    for piece in pieces:
        tail = piece[count:]
        count -= len(piece) - len(tail)
        if tail:
            yield tail
