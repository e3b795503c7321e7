"""The codec: records survive a round trip; anything else is rejected with a message."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters import codec
from cloudq.domain.errors import NewerFormat, RecordRejected
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.job import Job, StateChange
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.lease import Lease, Offer, OfferedResource, ProcessIdentity
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.names import file_name_problem
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.system_mapping import SystemMapping
from tests.builders import JOB_ID, a_claim, a_finished_job, a_job, a_lease, at

GOLDEN = Path(__file__).parents[2] / "golden" / "manifest.json"
KEY = f"jobs/{JOB_ID}/manifest.json"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(min_size=1, max_size=60).filter(lambda name: file_name_problem(name) is None)
ids = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
systems = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
times = st.datetimes(timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
)
counts = st.integers(0, 10**18)
codes = st.integers(-(2**31), 2**32 - 1)
task_states = st.builds(TaskState, st.sampled_from(JobState), st.none() | st.integers(0, 3))
tasks = st.dictionaries(st.integers(1, 75_000), task_states, max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Draw any job that the domain could make."""
    states = draw(tasks)
    state = draw(st.sampled_from(JobState))
    return Job(
        uuid=JOB_ID,
        name=draw(names),
        state=state,
        hold_jid=tuple(draw(st.lists(ids, max_size=3))),
        hold_ok_jid=tuple(draw(st.lists(ids, max_size=3))),
        array_tid=ArrayRange.covering(states) if states else None,
        submit_to=draw(st.just("") | systems),
        submit_opt=draw(texts),
        workdir=draw(texts),
        time_start=draw(st.none() | times),
        time_finish=draw(times) if state.is_final else None,
        size_output=draw(st.none() | counts),
        error_msg=draw(texts),
        exit_code=draw(st.none() | codes),
        tasks=TaskStates.of(states),
        changes=tuple(
            draw(st.lists(st.builds(StateChange, st.sampled_from(JobState), times, texts), max_size=3))
        ),
        invited=tuple(draw(st.lists(systems, max_size=3))),
        mappings=tuple(draw(st.lists(st.builds(SystemMapping, systems, texts, texts), max_size=3))),
        has_input=draw(st.booleans()),
        claim=draw(st.integers(0, 999_999)),
        revision=draw(counts),
        nonce=draw(texts),
    )


claims = st.builds(
    Claim, n=st.just(3), kind=st.sampled_from(ClaimKind), nonce=texts, time=times, system=systems,
    epoch=counts, home=texts, systems=st.lists(systems, max_size=3).map(tuple), by=texts,
)  # fmt: skip
processes = st.builds(ProcessIdentity, texts, texts, texts, counts, texts)
offered = st.lists(st.builds(OfferedResource, texts, st.none() | counts), max_size=3).map(tuple)
offers = st.builds(
    Offer, texts, st.booleans(), st.floats(0, 1e6), st.none() | counts, st.booleans(), offered,
    st.booleans(), st.none() | counts, st.booleans(), st.none() | counts, st.booleans(), st.booleans(),
    st.booleans(),
)  # fmt: skip
leases = st.builds(
    Lease, epoch=st.just(7), process=processes, nonce=texts, version=texts, profile=texts, offer=offers,
    store_check=texts, last_error=texts, time_to_live_s=st.floats(1, 86_400), released=st.booleans(),
)  # fmt: skip
active_jobs = st.builds(
    ActiveJob, job_id=ids, name=names, state=st.sampled_from(JobState), run_system=st.just("") | systems,
    time_submit=st.none() | times, note=texts,
)  # fmt: skip
summaries = st.builds(
    ActiveSummary, epoch=st.just(7), jobs=st.lists(active_jobs, max_size=3).map(tuple), stopped=st.booleans()
)


class TestRoundTrips:
    @given(jobs())
    def test_a_job_comes_back_as_it_was(self, job: Job) -> None:
        assert codec.decode_job(codec.encode_job(job), KEY, JOB_ID) == job

    @given(claims)
    def test_a_claim_comes_back_as_it_was(self, claim: Claim) -> None:
        assert codec.decode_claim(codec.encode_claim(claim), "key", 3) == claim

    @given(leases)
    def test_a_lease_comes_back_as_it_was(self, lease: Lease) -> None:
        assert codec.decode_lease(codec.encode_lease(lease), "key", 7) == lease

    @given(summaries)
    def test_a_summary_comes_back_as_it_was(self, summary: ActiveSummary) -> None:
        assert codec.decode_summary(codec.encode_summary(summary), "key", 7) == summary

    def test_the_manifest_on_the_wire_is_the_golden_one(self) -> None:
        """Other versions of cloudq read the manifest: a change here needs a new format."""
        array = ArrayRange.parse("1-4%2")
        states = {1: TaskState(JobState.DONE, 0), 2: TaskState(JobState.ERROR, 3)}
        job = (
            a_job(name="ジョブ a.sh", array_tid=array, hold_jid=("00000001",), nonce="n", revision=4)
            .received(a_claim(home="h"), at(1))
            .handed_over("42", at(2))
            .running(at(3.25))
        )
        job = evolve(job, tasks=TaskStates.of({**states, 3: states[1], 4: states[1]}))
        job = job.ended(TaskState(JobState.ERROR, 3, "exit code 3"), at(60))

        assert json.loads(codec.encode_job(job)) == json.loads(GOLDEN.read_text(encoding="utf-8"))
        assert codec.decode_job(GOLDEN.read_bytes(), KEY, JOB_ID) == job

    def test_fields_of_a_newer_minor_format_survive_a_rewrite(self) -> None:
        newer = _changed(codec.encode_job(a_job()), format="1.9", priority={"level": [1, None]})
        job = codec.decode_job(newer, KEY, JOB_ID)

        rewritten = json.loads(codec.encode_job(evolve(job, jobid="42")))

        assert rewritten["priority"] == {"level": [1, None]}
        assert rewritten["format"] == "1.9"
        assert rewritten["jobid"] == "42"

    def test_ten_thousand_tasks_stay_small(self) -> None:
        array = ArrayRange.parse("1-10000")
        job = a_job(array_tid=array, tasks=TaskStates.all_alike(array, JobState.READY))

        assert len(codec.encode_job(job)) < 2_000

    def test_text_that_is_no_unicode_is_written_so_that_it_can_be_read(self) -> None:
        job = a_job(error_msg="caf\udce9")

        assert codec.decode_job(codec.encode_job(job), KEY, JOB_ID).error_msg == "caf?"

    def test_what_people_only_read_is_cut_and_never_makes_a_record_unreadable(self) -> None:
        job = a_job(submit_command="x" * 1_000_000)

        assert len(codec.decode_job(codec.encode_job(job), KEY, JOB_ID).submit_command) == 200_000

    def test_a_schedulers_long_words_never_make_a_beat_or_summary_unreadable(self) -> None:
        words = "日" * 1_000_000
        lease = codec.encode_lease(a_lease(1, last_error=words, store_check=words))
        summary = codec.encode_summary(ActiveSummary(1, (ActiveJob(JOB_ID, "a", JobState.INIT, note=words),)))

        assert len(lease) < codec.MAX_SMALL_RECORD_BYTES
        assert codec.decode_lease(lease, "key", 1).last_error == words[:2000]
        assert codec.decode_summary(summary, "key", 1).jobs[0].note == words[:2000]


class TestHostileRecords:
    @given(json_values)
    def test_any_json_is_only_ever_rejected(self, value: Any) -> None:
        _assert_rejected(json.dumps(value).encode())

    @given(st.binary(max_size=200))
    def test_any_bytes_are_only_ever_rejected(self, body: bytes) -> None:
        _assert_rejected(body)

    @given(st.sampled_from(list(json.loads(codec.encode_job(a_finished_job())))), json_values)
    def test_any_value_in_any_field_is_read_or_rejected(self, field: str, value: Any) -> None:
        body = _changed(codec.encode_job(a_finished_job()), **{field: value})

        _decoded_or_rejected(body)

    @given(st.sampled_from(["ids", "state", "exit_code"]), json_values)
    def test_any_value_in_a_task_is_read_or_rejected(self, field: str, value: Any) -> None:
        group = {"ids": "1-4:1", "state": "DONE", "exit_code": 0, field: value}
        _decoded_or_rejected(_changed(codec.encode_job(a_job()), array_tid="1-4", tasks=[group]))

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b'"text"',
            b"{}",
            b"\xff\xfe{}",
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"format": "1.0", "a": ' + b"[" * 500 + b"]" * 500 + b"}",
            b'{"format": "1.0", "a": ' + b"9" * 10_000 + b"}",
            b'{"format": "1.0", "a": NaN}',
            b'{"format": "1.0", "a": -Infinity}',
            b'{"format": "1.0", "a": 1e999}',
            b'{"format": "1.0", "a": "\\ud800"}',
            b'{"format": "1.0", "\\udfff": 1}',
            b'{"format": "1.0", "a": 1, "a": 2}',
            b'{"format": 1}',
            b'{"format": "one"}',
            b'{"format": "0.9"}',
        ],
    )
    def test_what_is_no_record_at_all_is_rejected(self, body: bytes) -> None:
        _assert_rejected(body)

    @pytest.mark.parametrize(
        ("field", "value", "told"),
        [
            ("uuid", "00000000", "another job"),
            ("uuid", "../x", "job id"),
            ("name", "../../.bashrc", "path separator"),
            ("name", "a\nb", "control"),
            ("name", "", "file name"),
            ("state", "done", "is not one of"),
            ("state", ["DONE"], "is not one of"),
            ("jobid", "1; rm -rf ~", "scheduler job id"),
            ("hold_jid", "3f7e7681", "not a list"),
            ("hold_jid", ["x"], "job id"),
            ("hold_ok_jid", ["x"], "job id"),
            ("invited", ["../x"], "system name"),
            ("labels", ["no_value"], "has no '='"),
            ("labels", ["a=\x1b[2J"], "is not a value"),
            ("labels", [f"k{n}=" for n in range(9)], "more than 8 items"),
            ("run_system", "A B", "system name"),
            ("array_tid", "4-1", "comes before"),
            ("array_tid", "1-99999999", "more than 75000"),
            ("array_tid", 4, "not text"),
            ("exit_code", True, "true or false"),
            ("exit_code", 0.0, "fraction"),
            ("exit_code", 10**12, "between"),
            ("has_input", 1, "not true or false"),
            ("claim", -1, "between"),
            ("revision", 10**30, "between"),
            ("time_submit", "2026-01-31 12:00", "not a time"),
            ("time_submit", "2026-13-31T12:00:00Z", "not a time"),
            ("time_submit", 5, "not a time"),
            ("time_finish", None, "has no time_finish"),
            ("changes", [{"state": "DONE"}], "is missing @ $.changes[0].time"),
            ("changes", ["DONE"], "not an object"),
            ("tasks", [{"ids": "1-2", "state": "DONE"}], "array does not have"),
            ("tasks", [{"ids": "1", "state": "DONE"}] * 2, "twice"),
            ("tasks", {"1": "DONE"}, "not a list"),
            ("submit_opt", "x" * 300_000, "longer"),
            ("local_name", "a/b", "path separator"),
        ],
    )
    def test_a_bad_field_is_told_with_its_place(self, field: str, value: object, told: str) -> None:
        body = _changed(codec.encode_job(a_finished_job()), **{field: value})

        with pytest.raises(RecordRejected, match=KEY) as rejection:
            codec.decode_job(body, KEY, JOB_ID)
        assert told in str(rejection.value)

    def test_every_problem_is_told_at_once(self) -> None:
        body = _changed(codec.encode_job(a_job()), name="a/b", state="X", hold_jid=[1])

        with pytest.raises(RecordRejected) as rejection:
            codec.decode_job(body, KEY, JOB_ID)
        for place in ("$.name", "$.state", "$.hold_jid"):
            assert place in str(rejection.value)

    def test_a_million_problems_are_told_in_few_words(self) -> None:
        body = _changed(codec.encode_job(a_job()), changes=["x" * 100] * 10_000)

        with pytest.raises(RecordRejected) as rejection:
            codec.decode_job(body, KEY, JOB_ID)
        assert "and 9980 more" in str(rejection.value)
        assert len(str(rejection.value)) < 5_000

    def test_a_newer_major_format_is_refused_with_both_versions(self) -> None:
        with pytest.raises(NewerFormat, match=r"2\.3.*1\.0"):
            codec.decode_job(_changed(codec.encode_job(a_job()), format="2.3"), KEY, JOB_ID)

    def test_a_path_as_work_directory_is_only_text(self) -> None:
        body = _changed(codec.encode_job(a_job()), workdir="/home/else/../x")

        assert codec.decode_job(body, KEY, JOB_ID).workdir == "/home/else/../x"

    def test_a_claim_under_another_number_is_rejected(self) -> None:
        with pytest.raises(RecordRejected, match="another number"):
            codec.decode_claim(codec.encode_claim(a_claim(1)), "key", 2)

    def test_a_run_claim_of_nobody_is_rejected(self) -> None:
        with pytest.raises(RecordRejected, match="has no system to run the job"):
            codec.decode_claim(codec.encode_claim(a_claim(1, system="")), "key", 1)

    def test_a_lease_of_another_epoch_is_rejected(self) -> None:
        with pytest.raises(RecordRejected, match="another epoch"):
            codec.decode_lease(codec.encode_lease(a_lease(1)), "key", 2)

    @pytest.mark.parametrize("value", [0, -1, 1e9, "long", None, True])
    def test_a_time_to_live_that_never_ends_is_rejected(self, value: object) -> None:
        with pytest.raises(RecordRejected, match="time_to_live_s"):
            codec.decode_lease(_changed(codec.encode_lease(a_lease(1)), time_to_live_s=value), "key", 1)

    @pytest.mark.parametrize("value", ["two words", "a\nsettled=b", "x" * 5000, 1, None])
    def test_a_doubt_that_would_spoil_the_notes_of_a_home_is_rejected(self, value: object) -> None:
        with pytest.raises(RecordRejected, match="bucket_doubt"):
            codec.decode_lease(_changed(codec.encode_lease(a_lease(1)), bucket_doubt=value), "key", 1)

    @pytest.mark.parametrize("body", [b"", b"[]", b'{"nonce": 1}', b"[" * 100_000, b"\xff"])
    def test_a_nonce_is_sought_in_anything(self, body: bytes) -> None:
        assert codec.nonce_of(body) == ""


def _changed(body: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(body), **fields}).encode()


def _decoded_or_rejected(body: bytes) -> None:
    try:
        codec.encode_job(codec.decode_job(body, KEY, JOB_ID))
    except RecordRejected as error:
        assert KEY in str(error)  # noqa: PT017 - both outcomes are fine; only another exception is not


def _assert_rejected(body: bytes) -> None:
    with pytest.raises(RecordRejected, match="jobs/"):
        codec.decode_job(body, KEY, JOB_ID)
    with pytest.raises(RecordRejected):
        codec.decode_claim(body, "claim", 1)
    with pytest.raises(RecordRejected):
        codec.decode_lease(body, "lease", 1)
    with pytest.raises(RecordRejected):
        codec.decode_summary(body, "summary", 1)
    codec.nonce_of(body)
