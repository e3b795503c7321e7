"""Leases, summaries and agent logs over any object store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from cloudq.adapters.codec import (
    MAX_SMALL_RECORD_BYTES,
    decode_lease,
    decode_summary,
    encode_lease,
    encode_summary,
)
from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.records import read
from cloudq.domain.errors import (
    LeaseLost,
    NoAgentLog,
    ObjectNotFound,
    PreconditionFailed,
    StoreUnavailable,
    WriteConflict,
)
from cloudq.domain.jobs.lease import Lease
from cloudq.domain.jobs.summary import ActiveSummary
from cloudq.ports.clock import IdSource
from cloudq.ports.object_store import MAX_CONTROL_BYTES, ListPage, ObjectStore, pages
from cloudq.ports.system_registry import SeenLease, StoreProbe, SystemSign
from cloudq.ports.workers import Workers

PROBE_WRITERS = 8
MAX_SYSTEMS = 10_000
"""Systems that are reported; any beyond this number are ignored."""
MAX_TURNS = 5
"""The number of times that old agents of a system may succeed each other while its lease is read."""
NOT_FOR_OLD_AGENTS = "2.0"
"""A format that agents older than `lease.json` refuse to read."""


@frozen
class BucketSystemRegistry:
    """The port `SystemRegistry` over any `ObjectStore`."""

    store: ObjectStore
    ids: IdSource

    def systems(self) -> Mapping[str, SystemSign]:
        """Find all systems with one LIST."""
        signs: dict[str, SystemSign] = {}
        for page in pages(self.store, keys.SYSTEMS):
            _note_signs(page, signs)
        return signs

    def newest_lease(self, system: str) -> SeenLease | None:
        """Read the lease with one GET; until an agent has written `lease.json`, one LIST and one GET more."""
        try:
            record = read(self.store, keys.lease(system), MAX_SMALL_RECORD_BYTES)
        except ObjectNotFound:
            return self._old_lease(system)
        return SeenLease(decode_lease(record.body, record.key), record.age_s, record.etag)

    def lease(self, sign: SystemSign) -> SeenLease | None:
        """Read the lease with one GET."""
        return self.newest_lease(sign.system) if sign.has_lease else None

    def take_lease(self, system: str, lease: Lease, predecessor: SeenLease | None) -> str:
        """Take the lease with one PUT; the first time on a system, with one PUT and one LIST more."""
        if predecessor is not None and predecessor.etag:
            return self.send_heartbeat(system, lease, predecessor.etag)
        self._shut_out_old_agents(system, lease, 0 if predecessor is None else predecessor.lease.epoch)
        try:
            return self.store.put_if_absent(keys.lease(system), encode_lease(lease))
        except PreconditionFailed as error:
            raise _taken(system) from error

    def send_heartbeat(self, system: str, lease: Lease, etag: str) -> str:
        """Renew the lease with one PUT."""
        try:
            return self.store.put_if_match(keys.lease(system), encode_lease(lease), etag)
        except (PreconditionFailed, ObjectNotFound) as error:
            raise _taken(system) from error

    # Agents of cloudq 2.0, which had a lease per epoch -------------------------------------------

    def _old_lease(self, system: str) -> SeenLease | None:
        for _ in range(MAX_TURNS):
            epoch = self._newest_old_epoch(system)
            if not epoch:
                return None
            try:
                record = read(self.store, keys.old_lease(system, epoch), MAX_SMALL_RECORD_BYTES)
            except ObjectNotFound:
                continue
            return SeenLease(decode_lease(record.body, record.key, epoch), record.age_s)
        raise StoreUnavailable(
            f"the agents of {system} take over the lease faster than it can be read: try again"
        )

    def _newest_old_epoch(self, system: str) -> int:
        return max(self._epochs(keys.old_leases(system), below=keys.LAST_EPOCH), default=0)

    def _shut_out_old_agents(self, system: str, lease: Lease, last: int) -> None:
        """Stop agents that do not support `lease.json`, before that object exists.

        Such an agent takes the lease of the highest epoch for the newest, and cannot read this one. An
        agent that created its epoch before it could see this one is found here, and is waited for.
        """
        barrier = evolve(lease, epoch=keys.LAST_EPOCH, format=NOT_FOR_OLD_AGENTS)
        self.store.put(keys.old_lease(system, keys.LAST_EPOCH), encode_lease(barrier))
        if self._newest_old_epoch(system) != last:
            raise _taken(system)

    def publish_summary(self, system: str, summary: ActiveSummary) -> None:
        """Write the summary with one PUT; jobs that do not fit are left out, and are read one by one."""
        body = encode_summary(summary)
        while len(body) > MAX_CONTROL_BYTES:
            summary = evolve(summary, jobs=summary.jobs[: len(summary.jobs) // 2])
            body = encode_summary(summary)
        self.store.put(keys.summary(system, summary.epoch), body)

    def summary_epochs(self, system: str, below: int) -> Sequence[int]:
        """Find the epochs of summaries with one LIST."""
        return self._epochs(keys.summaries(system), below)

    def drop_summaries(self, system: str, epochs: Sequence[int]) -> None:
        """Delete summaries with at most one deletion per thousand."""
        self.store.delete([keys.summary(system, epoch) for epoch in epochs])

    def summary(self, sign: SystemSign) -> ActiveSummary | None:
        """Read the summary with one GET."""
        if not sign.summary_epoch:
            return None
        key = keys.summary(sign.system, sign.summary_epoch)
        try:
            record = read(self.store, key, MAX_CONTROL_BYTES)
        except ObjectNotFound:
            return None
        return decode_summary(record.body, key, sign.summary_epoch)

    def probe(self, system: str, workers: Workers) -> StoreProbe:
        """Test conditional writes with nine PUT and one DELETE."""
        key = keys.probe(system, self.ids.nonce())
        try:
            won = workers.map(lambda nonce: self._creates(key, nonce), self._nonces(PROBE_WRITERS))
            if not any(won) and None in won:
                raise WriteConflict(
                    f"the store left every creation of {key} undecided and may still carry one out"
                )
            return StoreProbe(won.count(True), self._guards(key))
        finally:
            self.store.delete([key])

    def _nonces(self, count: int) -> list[str]:
        return [self.ids.nonce() for _ in range(count)]

    def _creates(self, key: str, nonce: str) -> bool | None:
        """Return whether the store created the key, None if it did not decide. Raises if that is unknown."""
        try:
            self.store.put_if_absent(key, nonce.encode())
        except PreconditionFailed:
            return False
        except WriteConflict:
            return None
        return True

    def _guards(self, key: str) -> bool:
        try:
            self.store.put_if_match(key, self.ids.nonce().encode(), "0" * 32)
        except (PreconditionFailed, ObjectNotFound):
            return True
        return False

    def begin_listing_probe(self, system: str) -> str:
        """Write a probe with one PUT."""
        name = self.ids.nonce()
        self.store.put(keys.probe(system, name), b"")
        return name

    def lists_probe(self, system: str, name: str) -> bool:
        """Look for the probe with one LIST."""
        key = keys.probe(system, name)
        return any(listed.key == key for listed in self.store.list_page(key, limit=1).objects)

    def end_listing_probe(self, system: str, name: str) -> None:
        """Delete the probe with one DELETE."""
        self.store.delete([keys.probe(system, name)])

    def publish_agent_log(self, system: str, log: Path) -> None:
        """Upload the agent's log."""
        self.store.upload(keys.agent_log(system), log)

    def agent_log(self, system: str) -> Iterator[bytes]:
        """Yield the agent's log in pieces, from one download."""
        try:
            yield from self.store.read(keys.agent_log(system))
        except ObjectNotFound as error:
            raise NoAgentLog(system) from error

    def delete_agent_log(self, system: str) -> bool:
        """Delete the agent's log with one LIST and at most one deletion."""
        key = keys.agent_log(system)
        page = self.store.list_page(key, limit=1)
        if not any(listed.key == key for listed in page.objects):
            return False
        self.store.delete([key])
        return True

    def _epochs(self, prefix: str, below: int) -> list[int]:
        return [
            key.epoch
            for page in pages(self.store, prefix)
            for listed in page.objects
            if (key := keys.split_system_key(listed.key)) is not None and key.epoch < below
        ]


def _taken(system: str) -> LeaseLost:
    return LeaseLost(f"Another agent has taken the lease of {system}.")


def _note_signs(page: ListPage, signs: dict[str, SystemSign]) -> None:
    for listed in page.objects:
        key = keys.split_system_key(listed.key)
        if key is None or (key.system not in signs and len(signs) >= MAX_SYSTEMS):
            continue
        if key.kind != "active" and key.epoch == keys.LAST_EPOCH:
            continue  # the object that shuts out old agents; it exists before the first lease
        sign = signs.get(key.system) or SystemSign(key.system, has_lease=False, heartbeat_age_s=0.0)
        age_s = max(0.0, (page.date - listed.last_modified).total_seconds())
        if key.kind == "active":
            sign = evolve(sign, summary_epoch=max(sign.summary_epoch, key.epoch))
        elif not (sign.has_lease and age_s > sign.heartbeat_age_s):
            sign = evolve(sign, has_lease=True, heartbeat_age_s=age_s)
        signs[key.system] = sign
