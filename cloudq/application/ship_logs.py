"""Bring growing logs into the bucket, soon when somebody follows them (protocol 7.5)."""

from __future__ import annotations

from attrs import define

from cloudq.application.held_job import HeldJob, Holdings
from cloudq.application.job_trouble import JobTrouble
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobFiles
from cloudq.ports.workers import Workers

STREAMS = ("stdout", "stderr")
MAX_PIECE_BYTES = 4 * 1024 * 1024
MIN_FOLLOW_INTERVAL_S = 2.0
LONGEST_INTERVAL_S = 1800.0


@define
class ShipLogs:
    """Puts pieces of new bytes: at once while followed, else after 1, 2, 4 … 30 minutes."""

    files: JobFiles
    clock: Clock
    workers: Workers
    holdings: Holdings
    trouble: JobTrouble

    def __call__(self) -> None:
        """Ship what is due."""
        now = self.clock.elapsed()
        self.workers.map(self._ship, [held for held in self.holdings.unfinished() if self._is_due(held, now)])

    def _is_due(self, held: HeldJob, now: float) -> bool:
        if not held.has_started or held.is_elsewhere or held.retry_at > now:
            return False
        if not held.logs_shipped_at:
            held.logs_shipped_at = now
        waited = now - held.logs_shipped_at
        if held.followed_until > now:
            return waited >= MIN_FOLLOW_INTERVAL_S or not held.log_offsets
        if held.job.array_tid is not None:
            return False
        return waited >= min(LONGEST_INTERVAL_S, 60.0 * 2.0 ** min(held.logs_shipped, 10))

    def _ship(self, held: HeldJob) -> None:
        with self.trouble.of(held):
            for task in held.job.task_ids:
                for stream in STREAMS:
                    self._ship_stream(held, stream, task)
            held.logs_shipped_at = self.clock.elapsed()
            held.logs_shipped += 1

    def _ship_stream(self, held: HeldJob, stream: str, task: int | None) -> None:
        offset = held.log_offsets.get((stream, task), 0)
        while piece := held.space.read_log(stream, task, offset, MAX_PIECE_BYTES):
            held.may_have_log_pieces = True
            self.files.put_log_piece(held.tag, stream, task, offset, piece)
            offset += len(piece)
            held.log_offsets[stream, task] = offset
