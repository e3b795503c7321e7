"""Read the log of a job or of an agent."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from cloudq.domain.errors import InvalidInput, NoTaskNamed
from cloudq.domain.jobs.job import Job
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobFiles, JobQueue, JobRepository
from cloudq.ports.system_registry import SystemRegistry

STDOUT = "stdout"
STDERR = "stderr"
ASK_AGAIN_AFTER_S = 300.0


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
        self, job: Job, stream: str, task: int | None, *, wait_s: float, poll_s: float = 1.0
    ) -> Iterator[bytes]:
        """Yield what there is now; if a running job has no output yet, wait up to *wait_s* for it."""
        began = self.clock.elapsed()
        while True:
            is_empty = True
            for piece in self.of_job(job, stream, task):
                is_empty = False
                yield piece
            waited = self.clock.elapsed() - began
            if not is_empty or job.is_final or not job.claim or waited >= wait_s:
                return
            self.clock.sleep(poll_s)
            job = self.jobs.load(job.uuid).job

    def follow(self, job_id: str, stream: str, task: int | None, *, poll_s: float) -> Iterator[bytes]:
        """Yield the log stream as it grows, until the job is final and the whole stream was yielded."""
        job = self.jobs.load(job_id).job
        self.check_task(job, task)
        offset, asked_at = 0, None
        while not job.is_final:
            now = self.clock.elapsed()
            if job.claim and (asked_at is None or now - asked_at >= ASK_AGAIN_AFTER_S):
                self.ask_for(job)
                asked_at = now
            for piece in self._pieces(job, stream, task, offset):
                offset += len(piece)
                yield piece
            self.clock.sleep(poll_s)
            job = self.jobs.load(job_id).job
        yield from _skip(self.of_job(job, stream, task), offset)

    def _pieces(self, job: Job, stream: str, task: int | None, offset: int) -> Iterator[bytes]:
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


def _skip(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    for piece in pieces:
        tail = piece[count:]
        count -= len(piece) - len(tail)
        if tail:
            yield tail
