"""Upload growing logs to the bucket, and more often while a client follows them (protocol 7.5)."""

from __future__ import annotations

from contextlib import suppress

from attrs import define, field

from cloudq.application.agent.held_job import HeldJob, LogTurn
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.permit import Permits
from cloudq.domain.errors import LeaseLost, WorkAbandoned
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobFiles
from cloudq.ports.workers import Lane, Workers

STREAMS = ("stdout", "stderr")
MAX_PIECE_BYTES = 4 * 1024 * 1024
MIN_PIECE_BYTES = 128 * 1024
SLOW_S, QUICK_S = 2.0, 0.5
"""Limits for adapting the size of pieces.

A piece that takes longer than `SLOW_S` is followed by one of half its size, a piece that takes less
than `QUICK_S` by a bigger one.
"""
MAX_TURN_BYTES = 64 * 1024 * 1024
MAX_TURN_S = 15.0
"""The limit of a turn, after which another job's logs have their turn."""
MIN_FOLLOW_INTERVAL_S = 2.0
LONGEST_INTERVAL_S = 1800.0


@define
class ShipLogs:
    """Upload new bytes in pieces: at once while followed, otherwise after 1, 2, 4 … 30 minutes.

    A job's turn runs in the background and is limited in bytes and time, and few jobs have their turn
    at the same time. Nothing is skipped: a log that grows faster than the connection can carry arrives
    late, and complete once the job has ended.
    """

    files: JobFiles
    clock: Clock
    workers: Workers
    permits: Permits
    holdings: Holdings
    trouble: JobTrouble
    _piece_bytes: int = field(default=MAX_PIECE_BYTES, init=False)

    def __call__(self) -> None:
        """Collect the turns that are over and begin those that are due."""
        now = self.clock.elapsed()
        held_jobs = list(self.holdings.unfinished())
        for held in held_jobs:
            self.has_ended(held)
        for held in held_jobs:
            if self._is_due(held, now):
                self._begin(held)
                self.has_ended(held)

    def has_ended(self, held: HeldJob) -> bool:
        """Collect the turn of *held* if it is over; return whether none is under way."""
        logs, turn = held.logs, held.logs.turn
        if turn is None:
            return True
        if not turn.started.is_done():
            return False
        logs.turn = None
        logs.offsets.update(turn.offsets)
        logs.may_have_pieces |= turn.has_put
        logs.is_behind = turn.is_behind
        logs.last_turn_at = self.clock.elapsed()
        with self.trouble.of_logs(held), suppress(LeaseLost, WorkAbandoned):
            turn.started.result()
            logs.turns += 1
            logs.recovered()
        return True

    def _is_due(self, held: HeldJob, now: float) -> bool:
        logs = held.logs
        if not held.has_started or held.is_elsewhere or logs.turn is not None or logs.retry_at > now:
            return False
        if not logs.last_turn_at:
            logs.last_turn_at = now
        waited = now - logs.last_turn_at
        if logs.followed_until > now:
            return waited >= MIN_FOLLOW_INTERVAL_S or not logs.offsets or logs.is_behind
        if held.job.array_tid is not None:
            return False
        return waited >= min(LONGEST_INTERVAL_S, 60.0 * 2.0 ** min(logs.turns, 10))

    def _begin(self, held: HeldJob) -> None:
        turn = LogTurn(self.permits.issue(), dict(held.logs.offsets))
        held.logs.turn = turn
        turn.started = self.workers.start(lambda: self._ship(held, turn), Lane.SHIP)

    # In the background -----------------------------------------------------------------------

    def _ship(self, held: HeldJob, turn: LogTurn) -> None:
        limit = _Limit(self.clock.elapsed() + MAX_TURN_S)
        for task in held.job.task_ids:
            for stream in STREAMS:
                self._ship_stream(held, turn, limit, stream, task)

    def _ship_stream(
        self, held: HeldJob, turn: LogTurn, limit: _Limit, stream: str, task: int | None
    ) -> None:
        offset = turn.offsets.get((stream, task), 0)
        while piece := held.space.read_log(stream, task, offset, self._piece_bytes):
            if limit.is_reached(self.clock.elapsed()):
                turn.is_behind = True
                return
            turn.permit.require()
            turn.has_put = True
            self._put(held, stream, task, offset, piece)
            limit.left_bytes -= len(piece)
            offset += len(piece)
            turn.offsets[stream, task] = offset

    def _put(self, held: HeldJob, stream: str, task: int | None, offset: int, piece: bytes) -> None:
        began = self.clock.elapsed()
        try:
            self.files.put_log_piece(held.tag, stream, task, offset, piece)
        finally:  # a piece that is too big for the connection may get no answer in time
            self._adapt(len(piece), self.clock.elapsed() - began)

    def _adapt(self, size: int, took_s: float) -> None:
        if took_s > SLOW_S:
            self._piece_bytes = max(MIN_PIECE_BYTES, min(self._piece_bytes, size // 2))
        elif took_s < QUICK_S:
            self._piece_bytes = min(MAX_PIECE_BYTES, self._piece_bytes * 2)


@define
class _Limit:
    """The limit of a turn."""

    ends_at: float
    left_bytes: int = MAX_TURN_BYTES

    def is_reached(self, now: float) -> bool:
        return self.left_bytes <= 0 or now >= self.ends_at
