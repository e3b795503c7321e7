"""Test whether the store does what cloudq relies on (protocol sections 1 and 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from attrs import frozen

from cloudq.application.doctor.examine import Check
from cloudq.application.shared.seconds_until import seconds_until
from cloudq.domain.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
)
from cloudq.domain.finding import Finding, Level
from cloudq.domain.stores.store_check import LIST_LAG_TOLERATED_S
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.object_store import ObjectStore, pages
from cloudq.ports.workers import Workers

STORE, RIGHTS = "store", "rights"

LEFT_AFTER_S = 3600.0
"""Older probes count as left over by an interrupted examination."""

WRITERS = 8
ROUNDS, DEEP_ROUNDS = 3, 25
FEW, PAGE_OF_FEW = 5, 2
MANY, PAGE_OF_MANY = 1_001, 1_000
KEYS_PER_REQUEST = 1_000

LIST_LAG_REPORTED_S = 2.0
SKEW_WORTH_A_WARNING_S = 60.0
SKEW_THAT_S3_REFUSES_S = 900.0

_UNREACHED = (
    "check [store] endpoint_url; set HTTPS_PROXY if the network has a proxy; ask the site whether it "
    "allows connections to port 443 from here"
)
_RIGHTS_TO_GIVE = (
    "allow these keys to list, read, write and delete in the store; docs/doctor.md has "
    "the names of the rights"
)
_LOCKS = (
    "mount the file system so that its locks hold on every machine, or move the store; "
    "docs/configuration.md lists suitable file systems, and what [agent] accept_weak_store costs"
)
_CONDITIONS = (
    "use a store that enforces conditional writes; docs/configuration.md lists such stores, and what "
    "[agent] accept_weak_store costs"
)


@frozen
class ExamineStore:
    """Check the store; each check writes only below its own prefix and removes what it wrote."""

    store: ObjectStore
    probes: str
    """The prefix of all keys that examinations use."""
    clock: Clock
    ids: IdSource
    workers: Workers
    where: str
    """The store, described in words."""
    deep: bool = False
    doubts: str = ""
    """Why rewrites there may undo one another, as far as this machine shows; empty if unknown."""

    def checks(self) -> tuple[Check, ...]:
        """Return all checks, each after those that it depends on."""
        return (
            Check(STORE, self._answers),
            *((Check("file locks", self._locks),) if self.doubts else ()),
            Check(RIGHTS, self._rights, needs=STORE),
            Check("clock", self._clock, needs=RIGHTS),
            Check("paging", lambda: self._below_own_prefix(self._paging), needs=RIGHTS),
            Check("listing", lambda: self._below_own_prefix(self._listing), needs=RIGHTS),
            Check("create if absent", lambda: self._below_own_prefix(self._creation), needs=RIGHTS),
            Check("rewrite if unchanged", lambda: self._below_own_prefix(self._rewriting), needs=RIGHTS),
        )

    def _below_own_prefix(self, ask: Callable[[str], Finding]) -> Iterator[Finding]:
        prefix = self._own_prefix()
        try:
            yield ask(prefix)
        finally:
            self._delete(self._listed(prefix, KEYS_PER_REQUEST))

    def _answers(self) -> Iterator[Finding]:
        try:
            self._store_time()
        except StoreUnavailable as error:
            yield Finding(Level.PROBLEM, STORE, str(error), _UNREACHED)
            return
        except StoreRefused:
            pass  # an answer too; the next check reports which rights are missing
        yield Finding(Level.OK, STORE, f"{self.where} answers")

    def _locks(self) -> Iterator[Finding]:
        yield Finding(Level.PROBLEM, "file locks", self.doubts, _LOCKS)

    def _rights(self) -> Iterator[Finding]:
        prefix = self._own_prefix()
        key = f"{prefix}right"
        asked: dict[str, Callable[[], object]] = {
            "write": lambda: self.store.put(key, b"word"),
            "read": lambda: self._read_back(key),
            "list": lambda: self._listed(prefix, PAGE_OF_FEW),
            "delete": lambda: self.store.delete([key]),
        }
        refused = {right: error for right, ask in asked.items() if (error := _refusal(ask))}
        if "write" in refused:
            refused.pop("read", None)  # there was nothing to read
        yield from _rights_findings(refused)
        if not refused and (left := self._remove_leftovers()):
            yield Finding(Level.OK, RIGHTS, f"removed {left} objects of an interrupted examination")

    def _clock(self) -> Iterator[Finding]:
        before = self.clock.now()
        ahead_s = (before - self._store_time()).total_seconds()
        place = "ahead of" if ahead_s > 0 else "behind"
        what = f"this machine's clock is {abs(ahead_s):.0f} s {place} the store's"
        to_do = "synchronize this machine's clock over the network (NTP)"
        if abs(ahead_s) >= SKEW_THAT_S3_REFUSES_S:
            yield Finding(Level.PROBLEM, "clock", f"{what}: S3 refuses such requests", to_do)
        elif abs(ahead_s) >= SKEW_WORTH_A_WARNING_S:
            yield Finding(Level.WARNING, "clock", f"{what}: the times of jobs are wrong by as much", to_do)
        else:
            yield Finding(Level.OK, "clock", "this machine's clock and the store's agree")

    def _paging(self, prefix: str) -> Finding:
        count, page = (MANY, PAGE_OF_MANY) if self.deep else (FEW, PAGE_OF_FEW)
        keys = [f"{prefix}{number:05}" for number in range(count)]
        self.workers.map(lambda key: self.store.put(key, b""), keys)
        listed = self._listed(prefix, page)
        what = f"the store listed {len(listed)} of {count} keys, {page} at a time"
        if listed == keys:
            return Finding(Level.OK, "paging", what)
        addition = "" if len(listed) == count else " or incompletely"
        return Finding(
            Level.PROBLEM,
            "paging",
            f"{what}, in the wrong order{addition}",
            "use another store: agents would miss jobs",
        )

    def _listing(self, prefix: str) -> Finding:
        """Measure how late a LIST shows a new key and drops a deleted one; a minute is tolerated."""
        key = f"{prefix}listed"
        self.store.put(key, b"")
        shown_s = seconds_until(
            lambda: key in self._listed(prefix, PAGE_OF_FEW), self.clock, LIST_LAG_TOLERATED_S
        )
        self.store.delete([key])
        gone_s = seconds_until(
            lambda: key not in self._listed(prefix, PAGE_OF_FEW), self.clock, LIST_LAG_TOLERATED_S
        )
        if shown_s is None or gone_s is None:
            what = "a new key was not listed" if shown_s is None else "a deleted key was still listed"
            return Finding(
                Level.PROBLEM,
                "listing",
                f"{what} after {LIST_LAG_TOLERATED_S:.0f} s: jobs would start late, or appear after deletion",
                "use another store, or ask its operator how outdated a listing may be",
            )
        if max(shown_s, gone_s) >= LIST_LAG_REPORTED_S:
            return Finding(
                Level.WARNING,
                "listing",
                f"a LIST shows a new key after {shown_s:.0f} s and a deleted one for {gone_s:.0f} s: jobs "
                "start that much later",
                "no data is lost; ask the store's operator whether listings can be more current",
            )
        return Finding(Level.OK, "listing", "a LIST shows writes and deletions immediately")

    def _creation(self, prefix: str) -> Finding:
        rounds = DEEP_ROUNDS if self.deep else ROUNDS
        winners = [self._race(f"{prefix}{number}") for number in range(rounds)]
        broken = sorted({won for won in winners if won != 1})
        if not broken:
            return Finding(
                Level.OK, "create if absent", f"one winner in each of {rounds} rounds of {WRITERS} writers"
            )
        return Finding(
            Level.PROBLEM,
            "create if absent",
            f"of {WRITERS} writers that created one key at once, {' or '.join(map(str, broken))} succeeded: "
            "two systems could run one job",
            _CONDITIONS,
        )

    def _race(self, key: str) -> int:
        bodies = [self.ids.nonce().encode() for _ in range(WRITERS)]
        return sum(self.workers.map(lambda body: self._create(key, body), bodies))

    def _rewriting(self, prefix: str) -> Finding:
        check = "rewrite if unchanged"
        key = f"{prefix}record"
        first = self.store.put(key, self.ids.nonce().encode())
        if not self._rewrite(key, first):
            return Finding(Level.PROBLEM, check, "a rewrite with the right ETag was refused", _CONDITIONS)
        if self._rewrite(key, first):
            return Finding(
                Level.PROBLEM,
                check,
                "a rewrite with an outdated ETag was accepted: one writer could undo what another wrote",
                _CONDITIONS,
            )
        return Finding(Level.OK, check, "a rewrite with an outdated ETag is refused")

    # Single requests ------------------------------------------------------------------------------

    def _own_prefix(self) -> str:
        return f"{self.probes}{self.ids.nonce()}/"

    def _store_time(self) -> datetime:
        return self.store.list_page(self.probes, limit=1).date

    def _read_back(self, key: str) -> bytes:
        try:
            return self.store.get(key).body
        except ObjectNotFound as error:
            raise StoreRefused(f"{key} was written but cannot be found") from error

    def _create(self, key: str, body: bytes) -> bool:
        """Write *body* if *key* is absent; return whether the store answers that this call created it."""
        try:
            self.store.put_if_absent(key, body)
        except PreconditionFailed:
            return False
        except (OutcomeUnknown, WriteConflict) as error:
            try:
                return self.store.get(key).body == body
            except ObjectNotFound:
                raise StoreUnavailable(str(error)) from error
        return True

    def _rewrite(self, key: str, etag: str) -> bool:
        """Rewrite the object with *etag*; return False if the store reports another one."""
        try:
            self.store.put_if_match(key, self.ids.nonce().encode(), etag)
        except PreconditionFailed:
            return False
        except WriteConflict as error:
            raise StoreUnavailable(str(error)) from error
        return True

    def _listed(self, prefix: str, limit: int) -> list[str]:
        """Return the keys below *prefix*, listed *limit* at a time."""
        return [listed.key for page in pages(self.store, prefix, limit=limit) for listed in page.objects]

    def _delete(self, keys: list[str]) -> None:
        if keys:
            self.store.delete(keys)

    def _remove_leftovers(self) -> int:
        """Delete the leftovers of interrupted examinations; return the number of objects."""
        old = [
            listed.key
            for page in pages(self.store, self.probes)
            for listed in page.objects
            if (page.date - listed.last_modified).total_seconds() > LEFT_AFTER_S
        ]
        self._delete(old)
        return len(old)


def _refusal(ask: Callable[[], object]) -> StoreRefused | None:
    try:
        ask()
    except StoreRefused as error:
        return error
    return None


def _rights_findings(refused: dict[str, StoreRefused]) -> Iterable[Finding]:
    if not refused:
        return [Finding(Level.OK, RIGHTS, "may list, read, write and delete")]
    alike: dict[tuple[str, str], list[str]] = {}
    for right, error in refused.items():
        alike.setdefault((error.refusal, error.advice), []).append(right)
    return [
        Finding(Level.PROBLEM, RIGHTS, f"may not {', '.join(rights)}: {refusal}", advice or _RIGHTS_TO_GIVE)
        for (refusal, advice), rights in alike.items()
    ]
