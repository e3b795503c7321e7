"""Test `JobRepository`: manifests, claims, history, deletion, and their costs (protocol section 10)."""

from __future__ import annotations

import json
from collections import deque

import pytest
from attrs import evolve

from cloudq.adapters.codec import encode_claim, encode_job
from cloudq.adapters.job_repository import BucketJobRepository, keys
from cloudq.domain.errors import (
    ClaimMissing,
    InvalidInput,
    JobIdTaken,
    JobNotFound,
    JobStateConflict,
    NewerFormat,
    OutcomeUnknown,
    RecordChanged,
    RecordRejected,
    StoreUnavailable,
)
from cloudq.domain.jobs.claim import ClaimKind
from cloudq.domain.jobs.job import Job
from cloudq.domain.names import ClaimTag
from cloudq.ports.job_repository import JobRepository
from tests.builders import JOB_ID, a_claim, a_finished_job, a_job, at
from tests.contracts.conftest import StoreTime, put_foreign
from tests.parts.counting_store import CountingStore
from tests.parts.faulty_store import (
    Fault,
    FaultyStore,
    conflict,
    lost_answer,
    lost_answer_then_412,
    lost_request,
)
from tests.parts.serial_ids import SerialIds

MANIFEST = keys.manifest(JOB_ID)


@pytest.fixture
def jobs(store: CountingStore, ids: SerialIds) -> JobRepository:
    return BucketJobRepository(store, ids)


class TestManifests:
    def test_a_reserved_job_can_be_loaded_for_one_request_each(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        reserved = jobs.reserve(a_job())
        assert store.counts == {"PUT": 1}

        store.reset()

        assert jobs.load(JOB_ID) == reserved
        assert store.counts == {"GET": 1}
        assert reserved.job.revision == 1
        assert reserved.job.nonce

    def test_age_of_a_record_is_by_the_clock_of_the_store(
        self, jobs: JobRepository, store_time: StoreTime
    ) -> None:
        jobs.reserve(a_job())
        store_time.pass_by(42)

        assert jobs.load(JOB_ID).age_s == 42

    def test_an_id_is_reserved_once(self, jobs: JobRepository) -> None:
        first = jobs.reserve(a_job())

        with pytest.raises(JobIdTaken):
            jobs.reserve(a_job(name="other.sh"))
        assert jobs.load(JOB_ID) == first

    def test_the_same_job_may_be_reserved_again_if_it_brings_its_nonce(self, jobs: JobRepository) -> None:
        first = jobs.reserve(a_job(nonce="mine"))

        assert jobs.reserve(a_job(nonce="mine")) == first

    def test_an_id_whose_manifest_is_garbage_is_taken(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        store.put(MANIFEST, b"garbage")

        with pytest.raises(JobIdTaken):
            jobs.reserve(a_job())

    def test_an_unknown_job_is_not_found(self, jobs: JobRepository) -> None:
        with pytest.raises(JobNotFound, match=JOB_ID):
            jobs.load(JOB_ID)

    @pytest.mark.parametrize("job_id", ["", "..", "a/b", "3F7E7681", "3f7e7681\n"])
    def test_what_is_no_id_never_reaches_the_store(
        self, jobs: JobRepository, store: CountingStore, job_id: str
    ) -> None:
        with pytest.raises(InvalidInput):
            jobs.load(job_id)
        assert store.counts == {}

    def test_a_record_of_another_job_is_rejected(self, jobs: JobRepository, store: CountingStore) -> None:
        store.put(keys.manifest("00000001"), encode_job(a_job()))

        with pytest.raises(RecordRejected, match="00000001"):
            jobs.load("00000001")

    def test_a_newer_format_is_refused(self, jobs: JobRepository, store: CountingStore) -> None:
        store.put(MANIFEST, b'{"format": "2.0"}')

        with pytest.raises(NewerFormat):
            jobs.load(JOB_ID)

    def test_a_record_of_many_megabytes_is_refused_unread(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        store.put(MANIFEST, b" " * 5_000_000)

        with pytest.raises(RecordRejected, match="larger"):
            jobs.load(JOB_ID)

    @pytest.mark.parametrize(
        "history_key", ["systems/alpha/lease/1.json", "history/x", "history/000~00000001~DONE~~-~a"]
    )
    def test_a_manifest_with_a_history_key_of_something_else_is_rejected(
        self, jobs: JobRepository, store: CountingStore, history_key: str
    ) -> None:
        """A process that puts the history entry again would overwrite that key."""
        store.put(MANIFEST, encode_job(a_finished_job(history_key=history_key)))

        with pytest.raises(RecordRejected, match="history_key"):
            jobs.load(JOB_ID)

    def test_an_unchanged_job_is_the_known_one(self, jobs: JobRepository, store: CountingStore) -> None:
        known = jobs.reserve(a_job())
        store.reset()

        assert jobs.load_if_changed(known) is known
        assert store.counts == {"GET": 1}

    def test_a_changed_job_is_read(self, jobs: JobRepository) -> None:
        known = jobs.reserve(a_job())
        changed = jobs.replace(known, evolve(known.job, jobid="42"))

        assert jobs.load_if_changed(known) == changed

    def test_a_deleted_job_is_not_found_though_it_was_known(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        known = jobs.reserve(a_job())
        store.delete([MANIFEST])

        with pytest.raises(JobNotFound):
            jobs.load_if_changed(known)


class TestIdsBeginning:
    @pytest.fixture(autouse=True)
    def _reserved(self, jobs: JobRepository) -> None:
        for job_id in ("00000001", "3f000000", "3f7e7681", "3f7e7682", "4a000000"):
            jobs.reserve(a_job(uuid=job_id))

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("3f7e7681", ["3f7e7681"]),
            ("3f7e", ["3f7e7681", "3f7e7682"]),
            ("4", ["4a000000"]),
            ("5", []),
        ],
    )
    def test_ids_that_begin_so_are_returned_in_order(
        self, jobs: JobRepository, text: str, expected: list[str]
    ) -> None:
        assert list(jobs.ids_beginning(text, 10)) == expected

    def test_one_list_answers_however_many_objects_the_jobs_have(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        for n in range(20):
            store.put(f"jobs/3f7e7681/1/log/stdout/{n:020}", b"")
        store.reset()

        assert list(jobs.ids_beginning("3f", 10)) == ["3f000000", "3f7e7681", "3f7e7682"]
        assert store.requests == [("LIST", "jobs/3f")]

    def test_no_more_than_wanted_are_returned(self, jobs: JobRepository, store: CountingStore) -> None:
        store.reset()

        assert list(jobs.ids_beginning("3f", 2)) == ["3f000000", "3f7e7681"]
        assert store.counts == {"LIST": 1}

    def test_keys_of_others_are_no_ids(self, jobs: JobRepository, store: CountingStore) -> None:
        put_foreign(store, "jobs/3f", "jobs/3f/x", "jobs/3fzz0000/x", "jobs/3f7e76811/x", "jobs/3f7e0000")

        assert list(jobs.ids_beginning("3f", 10)) == ["3f000000", "3f7e7681", "3f7e7682"]

    @pytest.mark.parametrize("text", ["", "3F", "../", "3f7e76810", "3f/", "last"])
    def test_nothing_else_is_looked_for(self, jobs: JobRepository, store: CountingStore, text: str) -> None:
        store.reset()

        with pytest.raises(InvalidInput):
            jobs.ids_beginning(text, 10)
        assert store.counts == {}


class TestReplace:
    def test_a_rewrite_is_one_request_and_counts_up(self, jobs: JobRepository, store: CountingStore) -> None:
        known = jobs.reserve(a_job())
        store.reset()

        replaced = jobs.replace(known, evolve(known.job, jobid="42"))

        assert store.counts == {"PUT": 1}
        assert jobs.load(JOB_ID) == replaced
        assert replaced.job.revision == 2
        assert replaced.job.nonce != known.job.nonce

    def test_a_record_that_somebody_rewrote_is_left_alone(self, jobs: JobRepository) -> None:
        known = jobs.reserve(a_job())
        theirs = jobs.replace(known, evolve(known.job, jobid="42"))

        with pytest.raises(RecordChanged):
            jobs.replace(known, evolve(known.job, jobid="43"))
        assert jobs.load(JOB_ID) == theirs

    def test_a_deleted_record_is_not_brought_back(self, jobs: JobRepository, store: CountingStore) -> None:
        known = jobs.reserve(a_job())
        store.delete([MANIFEST])

        with pytest.raises(RecordChanged, match="deleted"):
            jobs.replace(known, known.job)
        with pytest.raises(JobNotFound):
            jobs.load(JOB_ID)

    def test_a_record_never_takes_another_jobs_place(self, jobs: JobRepository) -> None:
        known = jobs.reserve(a_job())

        with pytest.raises(ValueError, match="cannot replace"):
            jobs.replace(known, a_job(uuid="00000001"))

    def test_unknown_fields_are_kept(self, jobs: JobRepository, store: CountingStore) -> None:
        fields = {**json.loads(encode_job(a_job())), "priority": 7}
        store.put(MANIFEST, json.dumps(fields).encode())
        known = jobs.load(JOB_ID)

        jobs.replace(known, evolve(known.job, jobid="42"))

        assert jobs.load(JOB_ID).job.extra == {"priority": 7}


FAULTS: list[list[Fault]] = [
    [lost_request],
    [lost_answer],
    [lost_answer_then_412],
    [conflict],
    [conflict, lost_request, lost_answer],
]


class TestWritesWithoutAPlainAnswer:
    """Test protocol section 1: read back and compare the nonce."""

    @pytest.fixture
    def faulty(self, store: CountingStore) -> FaultyStore:
        return FaultyStore(store)

    @pytest.fixture
    def jobs(self, faulty: FaultyStore, ids: SerialIds) -> JobRepository:
        return BucketJobRepository(faulty, ids)

    @pytest.mark.parametrize("faults", FAULTS)
    def test_a_reservation_is_made_once(
        self, jobs: JobRepository, faulty: FaultyStore, faults: list[Fault]
    ) -> None:
        faulty.faults = deque(faults)

        assert jobs.reserve(a_job()) == jobs.load(JOB_ID)

    @pytest.mark.parametrize("faults", FAULTS)
    def test_a_claim_is_known_to_be_ours(
        self, jobs: JobRepository, faulty: FaultyStore, faults: list[Fault]
    ) -> None:
        faulty.faults = deque(faults)

        assert jobs.create_claim(JOB_ID, a_claim()).is_ours

    @pytest.mark.parametrize("faults", FAULTS)
    def test_a_rewrite_is_made_once(
        self, jobs: JobRepository, faulty: FaultyStore, faults: list[Fault]
    ) -> None:
        known = jobs.reserve(a_job())
        faulty.faults = deque(faults)

        replaced = jobs.replace(known, evolve(known.job, jobid="42"))

        assert jobs.load(JOB_ID) == replaced
        assert replaced.job.revision == 2

    def test_an_outcome_that_cannot_be_read_back_stays_unknown(
        self, jobs: JobRepository, faulty: FaultyStore
    ) -> None:
        faulty.faults = deque([lost_answer])
        faulty.get_fault = StoreUnavailable("down")

        with pytest.raises(OutcomeUnknown):
            jobs.reserve(a_job())

    def test_a_store_that_never_decides_leaves_the_outcome_unknown(
        self, jobs: JobRepository, faulty: FaultyStore
    ) -> None:
        faulty.faults = deque([lost_request] * 100)

        with pytest.raises(OutcomeUnknown):
            jobs.reserve(a_job())

    def test_a_rewrite_that_another_overtook_while_its_answer_was_lost_is_told(
        self, jobs: JobRepository, faulty: FaultyStore, store: CountingStore
    ) -> None:
        known = jobs.reserve(a_job())
        theirs = encode_job(a_job(nonce="theirs", jobid="42"))

        def overtaken(_: object) -> str:
            store.put(MANIFEST, theirs)
            raise OutcomeUnknown("no answer")

        faulty.faults = deque([overtaken])
        with pytest.raises(RecordChanged):
            jobs.replace(known, known.job)


class TestClaims:
    def test_the_first_claim_costs_one_request(self, jobs: JobRepository, store: CountingStore) -> None:
        result = jobs.create_claim(JOB_ID, a_claim())

        assert result.is_ours
        assert store.counts == {"PUT": 1}
        assert jobs.claim(ClaimTag(JOB_ID, 1)) == result.claim

    def test_the_second_loses_and_learns_who_won_for_one_request_more(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        winner = jobs.create_claim(JOB_ID, a_claim(nonce="first")).claim
        store.reset()

        result = jobs.create_claim(JOB_ID, a_claim(nonce="second", system="beta"))

        assert not result.is_ours
        assert result.claim == winner
        assert store.counts == {"PUT": 1, "GET": 1}

    def test_two_claims_without_a_nonce_are_not_taken_for_one(self, jobs: JobRepository) -> None:
        jobs.create_claim(JOB_ID, a_claim(nonce=""))

        assert not jobs.create_claim(JOB_ID, a_claim(nonce="")).is_ours

    def test_the_newest_claim_is_the_highest_number_not_the_last_key(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        for n in range(1, 11):
            jobs.create_claim(JOB_ID, a_claim(n, ClaimKind.RELEASE))
        names = ("x.json", "99", "011.json", "12.json.bak", "0.json", "")
        put_foreign(store, *(keys.claims(JOB_ID) + name for name in names))

        newest = jobs.newest_claim(JOB_ID)

        assert newest is not None
        assert newest.n == 10

    @pytest.mark.parametrize("known", [1, 3])
    def test_the_newest_claim_costs_two_small_reads_where_it_is_known(
        self, jobs: JobRepository, store: CountingStore, known: int
    ) -> None:
        for n in range(1, known + 1):
            jobs.create_claim(JOB_ID, a_claim(n, ClaimKind.RELEASE))
        store.reset()

        newest = jobs.newest_claim(JOB_ID, known)

        assert newest is not None
        assert newest.n == known
        assert store.counts == {"GET": 2}

    def test_a_claim_that_no_listing_shows_yet_is_found(
        self, jobs: JobRepository, store: CountingStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        claim = jobs.create_claim(JOB_ID, a_claim()).claim
        monkeypatch.setattr(CountingStore, "list_page", lambda *_, **__: pytest.fail("a LIST may be old"))

        assert jobs.newest_claim(JOB_ID) == claim

    def test_there_may_be_no_claim(self, jobs: JobRepository) -> None:
        assert jobs.newest_claim(JOB_ID) is None
        assert jobs.claim(ClaimTag(JOB_ID, 1)) is None

    def test_a_missing_claim_that_was_made_is_a_fault_and_not_nobody(self, jobs: JobRepository) -> None:
        with pytest.raises(ClaimMissing, match=f"claim 1 of job .{JOB_ID}. is missing"):
            jobs.newest_claim(JOB_ID, known=1)

    def test_a_missing_first_claim_before_a_second_is_a_fault(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        for n in (1, 2):
            jobs.create_claim(JOB_ID, a_claim(n))
        store.delete([keys.claim(ClaimTag(JOB_ID, 1))])

        with pytest.raises(ClaimMissing):
            jobs.newest_claim(JOB_ID)

    def test_claims_without_end_stop_nobody(
        self, jobs: JobRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(BucketJobRepository, "claim", lambda _, tag: a_claim(tag.n, ClaimKind.RELEASE))

        with pytest.raises(RecordRejected, match="more than 1000 claims"):
            jobs.newest_claim(JOB_ID)

    def test_a_claim_that_cannot_be_read_is_not_won(self, jobs: JobRepository, store: CountingStore) -> None:
        store.put(keys.claim(ClaimTag(JOB_ID, 1)), b"garbage")

        with pytest.raises(RecordRejected):
            jobs.create_claim(JOB_ID, a_claim())


class TestHistory:
    def test_finished_jobs_come_newest_first(self, jobs: JobRepository) -> None:
        _finish(jobs, 3)

        assert [entry.job_id for entry in jobs.history()] == ["00000002", "00000001", "00000000"]

    def test_the_last_fifty_are_one_request_for_fifty(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        _finish(jobs, 60)
        store.reset()

        assert len(list(jobs.history(last=50))) == 50
        assert store.counts == {"LIST": 1}
        assert store.limits == [50]

    def test_a_full_page_is_followed_by_another(self, jobs: JobRepository, store: CountingStore) -> None:
        _finish(jobs, 1000)
        store.reset()

        assert len(list(jobs.history())) == 1000
        assert store.counts == {"LIST": 2}

    def test_pages_are_listed_only_as_they_are_wanted(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        _finish(jobs, 1500)
        store.reset()

        next(iter(jobs.history()))

        assert store.counts == {"LIST": 1}

    def test_foreign_keys_are_skipped_and_made_up_for(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        _finish(jobs, 5)
        put_foreign(store, *(f"history/0-foreign-{n}" for n in range(7)))

        assert len(list(jobs.history(last=5))) == 5

    @pytest.mark.parametrize("last", [0, -1])
    def test_the_last_none_is_no_request(self, jobs: JobRepository, store: CountingStore, last: int) -> None:
        assert list(jobs.history(last)) == []
        assert store.counts == {}

    def test_an_entry_may_be_put_again(self, jobs: JobRepository) -> None:
        history_key = jobs.history_key(a_finished_job())
        jobs.put_history(history_key)
        jobs.put_history(history_key)

        assert [entry.job_id for entry in jobs.history()] == [JOB_ID]

    @pytest.mark.parametrize("key", ["", "history/", "systems/alpha/lease/1.json", "history/../x"])
    def test_nothing_but_an_entry_is_put(self, jobs: JobRepository, store: CountingStore, key: str) -> None:
        with pytest.raises(RecordRejected):
            jobs.put_history(key)
        assert store.counts == {}


class TestDelete:
    def test_a_deleted_job_leaves_nothing(self, jobs: JobRepository, store: CountingStore) -> None:
        job = _finished(jobs, store, JOB_ID)

        jobs.delete(job)

        assert store.inner.list_page("").objects == ()

    def test_it_goes_in_the_order_of_the_protocol(self, jobs: JobRepository, store: CountingStore) -> None:
        job = _finished(jobs, store, JOB_ID)
        store.reset()

        jobs.delete(job)

        parts = [key.split("/")[2] if key.startswith("jobs/") else "history" for key in store.deleted]
        assert parts[-3:] == ["claims", "manifest.json", "history"]
        assert {"script", "1", "input.zip"} == set(parts[:-3])

    def test_it_costs_one_list_and_four_deletions(self, jobs: JobRepository, store: CountingStore) -> None:
        """With the manifest's GET and the queue entries' LIST: 1 GET + 2 LIST + 3 POST + 1 DELETE."""
        job = _finished(jobs, store, JOB_ID)
        store.reset()

        jobs.delete(job)

        counts = store.counts
        assert counts.pop("LIST") == 1
        assert sum(counts.values()) == 4
        assert set(counts) <= {"POST", "DELETE"}

    def test_foreign_keys_below_the_job_go_with_it(self, jobs: JobRepository, store: CountingStore) -> None:
        """A console leaves empty objects that represent folders; they would keep the deleted job visible."""
        job = _finished(jobs, store, JOB_ID)
        put_foreign(store, f"jobs/{JOB_ID}/", f"jobs/{JOB_ID}/1/", f"jobs/{JOB_ID}/a//b", f"jobs/{JOB_ID}/\n")

        jobs.delete(job)

        assert store.inner.list_page("").objects == ()

    def test_other_jobs_stay(self, jobs: JobRepository, store: CountingStore) -> None:
        job = _finished(jobs, store, JOB_ID)
        other = _finished(jobs, store, "3f7e7682")

        jobs.delete(job)

        assert jobs.load(other.uuid).job.uuid == other.uuid
        assert [entry.job_id for entry in jobs.history()] == [other.uuid]

    def test_a_job_that_has_not_ended_is_not_deleted(self, jobs: JobRepository) -> None:
        job = jobs.reserve(a_job()).job

        with pytest.raises(JobStateConflict):
            jobs.delete(job)
        assert jobs.load(JOB_ID).job == job

    def test_thousands_of_pieces_go_a_thousand_at_a_time(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        job = _finished(jobs, store, JOB_ID)
        for offset in range(2500):
            store.put(keys.log_piece(job.tag, "stdout", None, offset), b"x")
        store.reset()

        jobs.delete(job)

        assert store.inner.list_page("").objects == ()
        assert store.counts["LIST"] == 3
        assert store.counts["POST"] == 3
        assert store.deleted[-2:] == [MANIFEST, jobs.history_key(job)]


class TestDeleteFinished:
    def test_all_finished_jobs_go_and_unfinished_ones_stay(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        for n in (1, 3, 5):
            _finished(jobs, store, f"{n:08x}")
        for n in (0, 2, 4, 6):
            jobs.reserve(a_job(uuid=f"{n:08x}"))

        assert sorted(jobs.delete_finished()) == ["00000001", "00000003", "00000005"]

        left = [listed.key for listed in store.inner.list_page("").objects]
        assert left == [keys.manifest(f"{n:08x}") for n in (0, 2, 4, 6)]

    def test_n_jobs_cost_n_thousandths_of_the_history_and_n_hundredths_of_the_jobs(
        self, jobs: JobRepository, store: CountingStore
    ) -> None:
        for n in range(1000):
            _finished(jobs, store, f"{n:08x}", objects=10)
        store.reset()

        assert len(list(jobs.delete_finished())) == 1000

        lists = [prefix for kind, prefix in store.requests if kind == "LIST"]
        assert lists.count("history/") == 2
        assert lists.count("jobs/") <= 11
        assert len(lists) <= 13
        assert store.counts["POST"] <= 13
        assert store.inner.list_page("").objects == ()

    def test_it_leaps_over_unfinished_jobs(self, jobs: JobRepository, store: CountingStore) -> None:
        """Three finished jobs among very many unfinished ones need no walk through all of them."""
        finished = (1, 2000, 3999)
        for n in finished:
            _finished(jobs, store, f"{n:08x}")
        for n in set(range(4000)) - set(finished):
            store.put(keys.manifest(f"{n:08x}"), b"")
        store.reset()

        assert sorted(jobs.delete_finished()) == ["00000001", "000007d0", "00000f9f"]
        assert [prefix for kind, prefix in store.requests if kind == "LIST"].count("jobs/") <= 3

    def test_what_is_to_keep_is_kept(self, jobs: JobRepository, store: CountingStore) -> None:
        for n in range(3):
            _finished(jobs, store, f"{n:08x}")

        gone = list(jobs.delete_finished(keep=lambda entry: entry.job_id == "00000001"))

        assert gone == ["00000000", "00000002"]
        assert [entry.job_id for entry in jobs.history()] == ["00000001"]
        assert jobs.load("00000001").job.is_final

    def test_entries_of_jobs_already_gone_go_too(self, jobs: JobRepository) -> None:
        _finish(jobs, 2)

        assert list(jobs.delete_finished()) == []
        assert list(jobs.history()) == []

    def test_a_job_with_two_entries_goes_once(self, jobs: JobRepository, store: CountingStore) -> None:
        job = _finished(jobs, store, JOB_ID)
        jobs.put_history(jobs.history_key(evolve(job, time_finish=at(5))))

        assert list(jobs.delete_finished()) == [JOB_ID]
        assert store.inner.list_page("").objects == ()

    def test_foreign_keys_are_left_alone(self, jobs: JobRepository, store: CountingStore) -> None:
        _finished(jobs, store, JOB_ID)
        foreign = {"history/readme", "jobs/readme", f"jobs/{JOB_ID}x/data", "jobs/zzz/data", "other"}
        put_foreign(store, *foreign)

        list(jobs.delete_finished())

        assert {listed.key for listed in store.inner.list_page("").objects} == foreign

    def test_cut_short_it_can_be_run_again(self, jobs: JobRepository, store: CountingStore) -> None:
        for n in range(2500):
            _finished(jobs, store, f"{n:08x}", objects=0)
        first = next(jobs.delete_finished())

        rest = list(jobs.delete_finished())

        assert first not in rest
        assert store.inner.list_page("").objects == ()


class TestGhosts:
    def test_what_is_left_of_a_job_is_removed(self, jobs: JobRepository, store: CountingStore) -> None:
        _finished(jobs, store, JOB_ID)
        store.delete([MANIFEST])

        assert jobs.remove_ghost(JOB_ID)
        assert store.inner.list_page("").objects == ()

    def test_a_history_entry_alone_is_a_ghost(self, jobs: JobRepository) -> None:
        jobs.put_history(jobs.history_key(a_finished_job()))

        assert jobs.remove_ghost(JOB_ID)
        assert list(jobs.history()) == []

    def test_where_nothing_is_nothing_is_removed(self, jobs: JobRepository) -> None:
        assert not jobs.remove_ghost(JOB_ID)

    @pytest.mark.parametrize("manifest", [b"garbage", b" " * 5_000_000])
    def test_a_job_with_a_manifest_however_bad_is_no_ghost(
        self, jobs: JobRepository, store: CountingStore, manifest: bytes
    ) -> None:
        store.put(MANIFEST, manifest)
        store.put(keys.claim(ClaimTag(JOB_ID, 1)), encode_claim(a_claim()))

        assert not jobs.remove_ghost(JOB_ID)
        assert len(store.inner.list_page("").objects) == 2


def _finish(jobs: JobRepository, count: int) -> None:
    """Put only the history entries of *count* jobs, one second apart."""
    for n in range(count):
        jobs.put_history(jobs.history_key(a_finished_job(f"{n:08x}", at(n))))


def _finished(jobs: JobRepository, store: CountingStore, job_id: str, objects: int = 10) -> Job:
    """Create a finished job with *objects* objects besides its history entry: at least manifest and claim."""
    job = a_finished_job(job_id)
    job = jobs.reserve(evolve(job, history_key=jobs.history_key(job))).job
    jobs.put_history(job.history_key)
    if objects:
        jobs.create_claim(job_id, a_claim())
        store.put(keys.script(job_id, job.name), b"")
        store.put(keys.input_archive(job_id), b"")
    for task in range(1, objects - 3):
        store.put(keys.log(job.tag, "stdout", task), b"")
    return job
