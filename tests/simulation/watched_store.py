"""Provide a bucket that judges every write at the moment that it takes effect."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import frozen

from cloudq.adapters.codec import decode_lease
from cloudq.domain.jobs.lease import Lease
from cloudq.ports.object_store import ListPage
from cloudq.testing.memory_store import MemoryStore, _Held

Record = dict[str, Any]
Judge = Callable[[str, "Record | None", Record], None]

_JOB_ID = re.compile(rb'"([0-9a-f]{8})"')
_MANIFEST = re.compile(r"jobs/([0-9a-f]{8})/manifest\.json")
_CLAIM = re.compile(r"jobs/([0-9a-f]{8})/claims/(\d+)\.json")
_LEASE = re.compile(r"systems/([^/]+)/lease\.json")
_QUEUE_ENTRY = re.compile(r"queue/[^/]+/([0-9a-f]{8})\.\d+")


@frozen
class Backup:
    """The state of a bucket at one time."""

    held: dict[str, _Held]
    jobs: dict[str, Record]
    claims: dict[str, dict[int, Record]]
    final: dict[str, Record]
    invited: set[str]


class WatchedStore(MemoryStore):
    """A store that passes every written manifest to *judge*: the job's id, the old record, the new one."""

    def __init__(self, now: Callable[[], datetime], page_size: int = 1000) -> None:
        super().__init__(now)
        self._page_size = page_size
        self.list_lag_s = 0.0
        """The seconds by which a LIST shows writes and deletions later than a GET."""
        self._changes: deque[tuple[datetime, str, _Held | None]] = deque()
        self._listed: dict[str, _Held] = {}
        """The objects that a lagging LIST shows."""
        self.late_lists = 0
        """The number of LISTs that did not show the current objects."""
        self.short_pages = 0
        """The number of LISTs with more pages than necessary."""
        self.judge: Judge = lambda _job_id, _old, _new: None
        self.judge_history: Callable[[str], None] = lambda _key: None
        self.note_lease: Callable[[str, Lease], None] = lambda _system, _lease: None
        self.jobs: dict[str, Record] = {}
        """The manifests by job id."""
        self.claims: dict[str, dict[int, Record]] = {}
        self.final: dict[str, Record] = {}
        """The final records by job id, including those of deleted jobs."""
        self.invited: set[str] = set()
        """The jobs that ever had a queue entry."""
        self.expired: set[str] = set()
        """The objects that a rule deleted and no process has put again."""
        self.ever_expired: set[str] = set()
        self.summarized: set[bytes] = set()
        """Jobs that any summary has ever shown."""
        self.unannounced: dict[str, set[str]] = {}
        """The queue entries of each system since its doorbell last rang."""

    def backup(self) -> Backup:
        """Return the current state of the bucket."""
        claims = {job_id: dict(each) for job_id, each in self.claims.items()}
        return Backup(dict(self._held), dict(self.jobs), claims, dict(self.final), set(self.invited))

    def restore(self, backup: Backup) -> None:
        """Restore the bucket: all later changes are undone."""
        self._held, self.jobs, self.final = dict(backup.held), dict(backup.jobs), dict(backup.final)
        self.claims = {job_id: dict(each) for job_id, each in backup.claims.items()}
        self.invited = set(backup.invited)
        self._changes.clear()
        self._listed = dict(self._held)

    def older_than(self, until: datetime) -> list[str]:
        """Return the keys of the objects that were written before *until*."""
        return [key for key, held in self._held.items() if held.last_modified < until]

    def expire(self, key: str) -> None:
        """Delete an object as a rule of the bucket does."""
        self.expired.add(key)
        self.ever_expired.add(key)
        self.delete([key])

    def keys(self, prefix: str) -> list[str]:
        return [key for key in self._held if key.startswith(prefix)]

    def announced(self) -> set[str]:
        """Return the keys in queues for which the system's doorbell has rung since."""
        return set(self.keys("queue/")).difference(*self.unannounced.values())

    def has(self, key: str) -> bool:
        return key in self._held

    def body(self, key: str) -> bytes:
        return self._held[key].body

    def is_summarized(self, job_id: str) -> bool:
        """Whether a summary of any agent has ever shown the job."""
        return job_id.encode() in self.summarized

    def is_offered(self, job_id: str) -> bool:
        """Return whether a queue entry of the job exists; a request alone offers nothing."""
        entries = map(_QUEUE_ENTRY.fullmatch, self.keys("queue/"))
        return any(entry is not None and entry[1] == job_id for entry in entries)

    def lease_of(self, system: str) -> Lease | None:
        """Return the current lease."""
        key = f"systems/{system}/lease.json"
        return decode_lease(self.body(key), key) if self.has(key) else None

    def newest_claim(self, job_id: str) -> Record | None:
        claims = self.claims.get(job_id)
        return claims[max(claims)] if claims else None

    def is_canceled_by_force(self, job_id: str) -> bool:
        """Return whether a user ended the job without its holder."""
        claims = self.claims.get(job_id, {})
        newest = max(claims, default=0)
        last_two = [claims[n]["kind"] for n in (newest - 1, newest) if n in claims]  # a backup may lack one
        return last_two == ["run", "cancel"]

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        held, self._held = self._held, self._shown(prefix)
        try:
            page = super().list_page(
                prefix, start_after=start_after, delimiter=delimiter, limit=min(limit, self._page_size)
            )
        finally:
            self._held = held
        self.short_pages += page.is_full and self._page_size < limit
        return page

    def _shown(self, prefix: str) -> dict[str, _Held]:
        """Return the objects that a LIST shows now."""
        if not self.list_lag_s:
            return self._held
        until = self._now() - timedelta(seconds=self.list_lag_s)
        while self._changes and self._changes[0][0] <= until:
            _, key, held = self._changes.popleft()
            if held is None:
                self._listed.pop(key, None)
            else:
                self._listed[key] = held
        self.late_lists += any(key.startswith(prefix) for _, key, _ in self._changes)
        return self._listed

    def _note_change(self, key: str) -> None:
        if self.list_lag_s:
            self._changes.append((self._now(), key, self._held.get(key)))

    def delete(self, keys: Sequence[str]) -> None:
        super().delete(keys)
        for key in keys:
            self._note_change(key)
            if match := _MANIFEST.fullmatch(key):
                self.jobs.pop(match[1], None)
            elif match := _CLAIM.fullmatch(key):
                self.claims.get(match[1], {}).pop(int(match[2]), None)

    def _hold(self, key: str, body: bytes) -> str:
        self.expired.discard(key)
        if match := _MANIFEST.fullmatch(key):
            new = json.loads(body)
            self.judge(match[1], self.jobs.get(match[1]), new)
            self.jobs[match[1]] = new
        elif match := _CLAIM.fullmatch(key):
            self.claims.setdefault(match[1], {})[int(match[2])] = json.loads(body)
        elif match := _QUEUE_ENTRY.fullmatch(key):
            self.invited.add(match[1])
            self.unannounced.setdefault(key.split("/")[1], set()).add(key)
        elif match := _LEASE.fullmatch(key):
            self.note_lease(match[1], decode_lease(body, key))
        elif key.startswith("systems/"):
            self.summarized.update(_JOB_ID.findall(body))
        elif key.startswith("history/"):
            self.judge_history(key)
        elif key.startswith("doorbell/"):
            self.unannounced.pop(key.removeprefix("doorbell/"), None)
        etag = super()._hold(key, body)
        self._note_change(key)
        return etag
