"""Keys: cloudq can read those that it makes, and reads no others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.history_keys import history_key, parse_history_key
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job_state import FINAL_STATES, JobState
from cloudq.domain.jobs.labels import MAX_CHARS, MAX_LABELS, checked_labels
from cloudq.domain.names import ClaimTag, file_name_problem
from tests.builders import NOON, at

TAG = ClaimTag("3f7e7681", 2)

ids = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
systems = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
names = st.text(min_size=1, max_size=200).filter(lambda name: file_name_problem(name) is None)
times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
)
labels = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,31}=[A-Za-z0-9_.:/@+-]{0,63}", fullmatch=True)
label_lists = (
    st.lists(labels, max_size=MAX_LABELS, unique_by=lambda label: label.partition("=")[0])
    .filter(lambda texts: sum(map(len, texts)) <= MAX_CHARS)
    .map(checked_labels)
)
entries = st.builds(
    HistoryEntry,
    job_id=ids,
    name=names,
    state=st.sampled_from(sorted(FINAL_STATES, key=lambda state: state.value)),
    system=st.just("") | systems,
    time_finish=times,
    time_submit=st.none() | times,
    time_start=st.none() | times,
    time_ready=st.none() | times,
    exit_code=st.none() | st.integers(-(2**31), 2**32 - 1),
    labels=st.just(()) | label_lists,
)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (keys.manifest("3f7e7681"), "jobs/3f7e7681/manifest.json"),
        (keys.script("3f7e7681", "a b.sh"), "jobs/3f7e7681/script/a b.sh"),
        (keys.input_archive("3f7e7681"), "jobs/3f7e7681/input.zip"),
        (keys.claim(TAG), "jobs/3f7e7681/claims/2.json"),
        (keys.log(TAG, "stdout", None), "jobs/3f7e7681/2/stdout"),
        (keys.log(TAG, "stderr", 12), "jobs/3f7e7681/2/stderr.12"),
        (keys.log_piece(TAG, "stdout", 3, 42), "jobs/3f7e7681/2/log/stdout.3/00000000000000000042"),
        (keys.output(TAG), "jobs/3f7e7681/2/output.zip"),
        (keys.output(TAG, 12), "jobs/3f7e7681/2/output.12.zip"),
        (keys.queue_entry("alpha", TAG), "queue/alpha/3f7e7681.2"),
        (keys.cancel_request("alpha", TAG), "queue/alpha/3f7e7681.2.cancel"),
        (keys.follow_request("alpha", TAG), "queue/alpha/3f7e7681.2.follow"),
        (keys.refresh_request("alpha", TAG), "queue/alpha/3f7e7681.2.refresh"),
        (keys.doorbell("alpha"), "doorbell/alpha"),
        (keys.lease("alpha"), "systems/alpha/lease.json"),
        (keys.old_lease("alpha", 7), "systems/alpha/lease/7.json"),
        (keys.summary("alpha", 7), "systems/alpha/active/7.json"),
        (keys.agent_log("alpha"), "logs/alpha/cloudqd.log"),
    ],
)
def test_keys_are_those_of_the_protocol(made: str, expected: str) -> None:
    assert made == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: keys.manifest("../../x"),
        lambda: keys.manifest("3F7E7681"),
        lambda: keys.script("3f7e7681", "../x"),
        lambda: keys.script("3f7e7681", ""),
        lambda: keys.claim(ClaimTag("3f7e7681", 0)),
        lambda: keys.queue_entry("Alpha", TAG),
        lambda: keys.queue_entry("a/b", TAG),
        lambda: keys.queue_entry("", TAG),
        lambda: keys.log(TAG, "stdlog", None),
        lambda: keys.log_piece(TAG, "stdout", None, -1),
        lambda: keys.agent_log(".."),
    ],
)
def test_no_key_is_made_from_a_bad_name(make: object) -> None:
    with pytest.raises(InvalidInput):
        make()  # type: ignore[operator]


@given(st.text(max_size=40))
def test_any_text_after_a_prefix_is_read_or_skipped(tail: str) -> None:
    for prefix in ("jobs/", "queue/alpha/", "systems/", "history/", "jobs/3f7e7681/2/"):
        keys.split_job_key(prefix + tail)
        keys.split_queue_key(prefix + tail)
        keys.split_system_key(prefix + tail)
        keys.result_name(prefix + tail, TAG)
        keys.piece_offset(prefix + tail)
        parse_history_key(prefix + tail)


@pytest.mark.parametrize(
    "key",
    [
        "queue/alpha/3f7e7681",
        "queue/alpha/3f7e7681.0",
        "queue/alpha/3f7e7681.1.other",
        "queue/alpha/3f7e7681.1.cancel.",
        "queue/alpha/3f7e7681.1.cancel.03",
        "queue/alpha/3f7e7681.1.cancel.-1",
        "queue/alpha/3f7e7681.1.follow.3",
        "queue/alpha/3f7e7681.1\n",
        "queue/Alpha/3f7e7681.1",
        "queue/3f7e7681.1",
        "queue/alpha/beta/3f7e7681.1",
    ],
)
def test_a_foreign_key_under_a_queue_says_nothing(key: str) -> None:
    assert keys.split_queue_key(key) is None


@pytest.mark.parametrize(
    "name",
    [
        "stdout.00",
        "stdout.x",
        "../stdout",
        "stdout.1/x",
        "output.zip.bak",
        "output.1.zip",
        "output.02.zip",
        "log",
    ],
)
def test_only_whole_logs_and_the_output_archive_are_results(name: str) -> None:
    assert keys.result_name(keys.results(TAG) + name, TAG) is None


class TestHistoryKeys:
    @given(entries)
    def test_an_entry_comes_back_with_its_name_perhaps_cut(self, entry: HistoryEntry) -> None:
        found = parse_history_key(history_key(entry))

        assert found is not None
        assert entry.name.startswith(found.name)
        assert found == HistoryEntry(
            **{field: getattr(entry, field) for field in HistoryEntry.__match_args__ if field != "name"},
            name=found.name,
        )

    @given(entries)
    def test_a_key_fits_a_store_and_a_file_system(self, entry: HistoryEntry) -> None:
        key = history_key(entry)

        assert len(key.encode()) <= 800
        assert all(len(part.encode()) < 255 for part in key.split("/"))
        assert key.isascii()

    @given(entries, entries)
    def test_the_newest_comes_first(self, one: HistoryEntry, other: HistoryEntry) -> None:
        if one.time_finish > other.time_finish:
            assert history_key(one) < history_key(other)

    def test_labels_of_the_greatest_length_leave_room_for_a_name(self) -> None:
        texts = checked_labels([f"{letter * 32}={'/' * 31}" for letter in "abcdefgh"])
        entry = HistoryEntry(
            "3f7e7681", "n" * 200, JobState.ERROR, "s" * 63, NOON, NOON, NOON, NOON, -9, texts
        )
        key = history_key(entry)
        found = parse_history_key(key)

        assert found is not None
        assert found.labels == texts
        assert len(found.name) >= 60
        assert len(key) <= 800
        assert max(map(len, key.split("/"))) <= 240

    @pytest.mark.parametrize(
        "key",
        [
            "history/998230141999999~3f7e7681~DONE~alpha~1769860740000-~run.sh",
            "history/998230141999999~3f7e7681~ERROR~~-~a%20b",
        ],
    )
    def test_entries_without_exit_code_and_labels_are_read(self, key: str) -> None:
        found = parse_history_key(key)

        assert found is not None
        assert (found.job_id, found.exit_code, found.labels) == ("3f7e7681", None, ())

    def test_short_names_are_never_cut(self) -> None:
        entry = HistoryEntry("3f7e7681", "run ~ 日本.sh", JobState.DONE, "a" * 63, NOON, NOON, at(5))

        assert parse_history_key(history_key(entry)) == entry

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("~DONE~", "~RUN~"),
            ("~DONE~", "~NOTHING~"),
            ("~3f7e7681~", "~../x~"),
            ("~alpha~", "~AL~"),
            ("~run.sh", "~a%2Fb"),
            ("~run.sh", "~%1B%5B2J"),
            ("~run.sh", "~%ff"),
            ("~run.sh", "~r%75n.sh"),
            ("~run.sh", "~run.sh~more"),
            ("~run.sh", "~no_label~run.sh"),
            ("~run.sh", "/run.sh"),
            ("~~run.sh", "~+1~run.sh"),
            ("~~run.sh", "~run.sh~run.sh"),
            ("history/998", "history/+"),
            ("history/998", "history/x"),
            ("history/998", "history/-"),
        ],
    )
    def test_a_key_that_cloudq_does_not_make_is_no_entry(self, old: str, new: str) -> None:
        key = history_key(HistoryEntry("3f7e7681", "run.sh", JobState.DONE, "alpha", NOON))
        assert old in key

        assert parse_history_key(key.replace(old, new)) is None


def test_nothing_but_cloudqs_own_names_stands_first_in_a_key() -> None:
    """A directory beside the store is no bucket for the data of jobs if it contains one of these names."""
    entry = HistoryEntry("3f7e7681", "run.sh", JobState.DONE, "alpha", NOON)
    made = (
        keys.manifest(TAG.job_id), keys.queue_entry("alpha", TAG), keys.doorbell("alpha"),
        keys.lease("alpha"), keys.agent_log("alpha"), history_key(entry), keys.PROBES,
    )  # fmt: skip

    assert {key.split("/")[0] for key in made} == keys.TOP_LEVEL
