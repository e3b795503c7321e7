"""Test the port ObjectStore: one suite for every adapter.

Where the outcome of a request may be unknown, a test reads the object back, as cloudq does.
"""

from __future__ import annotations

import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudq.adapters.object_stores.directory.store import DirectoryStore
from cloudq.adapters.object_stores.wrappers.look_first import LookFirstStore
from cloudq.domain.errors import ObjectNotFound, ObjectTooLarge, OutcomeUnknown, PreconditionFailed
from cloudq.ports.object_store import ListPage, ObjectStore, StoredObject, Unchanged
from cloudq.testing.memory_store import MemoryStore
from tests.parts.s3_services import S3Service
from tests.parts.weak_store import WeakStore

OpenStore = Callable[[], ObjectStore]

STRANGE_KEYS = (
    "history/0~3f7e7681~DONE",
    "jobs/a b/with  two",
    "jobs/a%20b/%",
    "jobs/a+b/c=d&e",
    "jobs/a,b/it's",
    "jobs/a@b/(c)!",
    "jobs/größe/名前",
    "jobs/~/~~",
)
MANY = 1203


CEPH = pytest.param("ceph", marks=[pytest.mark.real, pytest.mark.xdist_group("ceph")])
KEEP_WRITERS_APART = ("memory", "directory", "moto", CEPH)
SERVE_ONE_WRITER = ("a store without conditions",)
"""Stores that keep these promises only while one process at a time writes (protocol 8)."""


@pytest.fixture(params=[*KEEP_WRITERS_APART, *SERVE_ONE_WRITER])
def open_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OpenStore]:
    """A function that opens the same empty store again at each call, as several users would."""
    yield from _opener(request, tmp_path, monkeypatch)


@pytest.fixture(params=KEEP_WRITERS_APART)
def open_raced_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OpenStore]:
    """The same for the stores on which several processes may write at once."""
    yield from _opener(request, tmp_path, monkeypatch)


def _opener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OpenStore]:
    memory = MemoryStore(lambda: datetime.now(UTC))
    here: dict[str, OpenStore] = {
        "memory": lambda: memory,
        "directory": lambda: DirectoryStore(tmp_path / "store"),
        "a store without conditions": lambda: LookFirstStore(WeakStore(memory), lambda: True),
    }
    if request.param in here:
        yield here[request.param]
    else:
        yield from _s3_opener(request.getfixturevalue(f"{request.param}_service"), monkeypatch)


def _s3_opener(service: S3Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenStore]:
    for name, value in service.environment().items():
        monkeypatch.setenv(name, value)
    prefix = f"{uuid.uuid4()}/"
    opened = []

    def open_another() -> ObjectStore:
        opened.append(service.store(prefix))
        return opened[-1]

    yield open_another
    for store in opened:
        store.inner.close()  # type: ignore[attr-defined]


@pytest.fixture
def store(open_store: OpenStore) -> ObjectStore:
    return open_store()


def a_file(folder: Path, content: bytes) -> Path:
    file = folder / "source"
    file.write_bytes(content)
    return file


def put_all(store: ObjectStore, keys: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b""), keys))


def all_pages(store: ObjectStore, prefix: str, *, delimiter: str = "", limit: int = 1000) -> list[ListPage]:
    pages = [store.list_page(prefix, delimiter=delimiter, limit=limit)]
    while pages[-1].is_full:
        pages.append(store.list_page(prefix, start_after=pages[-1].last, delimiter=delimiter, limit=limit))
    return pages


def keys_of(*pages: ListPage) -> list[str]:
    return [listed.key for page in pages for listed in page.objects]


def prefixes_of(*pages: ListPage) -> list[str]:
    return [prefix for page in pages for prefix in page.prefixes]


# Reading and writing -------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"a record", bytes(range(256)) * 300])
def test_what_was_put_is_read_back(store: ObjectStore, body: bytes) -> None:
    etag = store.put("jobs/a/manifest.json", body)

    found = store.get("jobs/a/manifest.json")

    assert (found.key, found.body, found.etag) == ("jobs/a/manifest.json", body, etag)


def test_a_read_sees_the_newest_write_of_anybody(open_store: OpenStore) -> None:
    one, other = open_store(), open_store()
    one.put("doorbell/alpha", b"1")
    other.put("doorbell/alpha", b"2")

    assert one.get("doorbell/alpha").body == b"2"


def test_an_object_with_other_content_has_another_etag(store: ObjectStore) -> None:
    etags = {store.put("doorbell/alpha", b"%d" % number) for number in range(20)}

    assert len(etags) == 20


def test_an_etag_is_bare(store: ObjectStore) -> None:
    assert '"' not in store.put("doorbell/alpha", b"1")


def test_times_are_in_utc_by_one_clock(store: ObjectStore) -> None:
    store.put("doorbell/alpha", b"1")

    found, page = store.get("doorbell/alpha"), store.list_page("")
    times = (found.last_modified, found.date, page.date, page.objects[0].last_modified)

    assert all(time.utcoffset() == timedelta(0) for time in times)
    assert max(times) - min(times) < timedelta(seconds=30)
    assert 0 <= found.age_s < 30


def test_a_store_s_clock_goes_on(store: ObjectStore) -> None:
    store.put("doorbell/alpha", b"1")

    assert store.get("doorbell/alpha").date <= store.get("doorbell/alpha").date


def test_that_an_object_is_absent_is_dated_by_the_store(store: ObjectStore) -> None:
    store.put("doorbell/alpha", b"1")
    present = store.get("doorbell/alpha").date

    for ask in (store.get, lambda key: store.get_if_changed(key, "an etag")):
        with pytest.raises(ObjectNotFound) as absent:
            ask("doorbell/beta")
        assert absent.value.date is not None
        assert abs(absent.value.date - present) < timedelta(minutes=1)


def test_an_absent_object_is_said_to_be_absent(store: ObjectStore, tmp_path: Path) -> None:
    store.put("jobs/a/script/run.sh", b"")

    for key in ("jobs/a/manifest.json", "jobs/a/script", "jobs", "jobs/a/script/run.sh/deeper", "other/key"):
        with pytest.raises(ObjectNotFound):
            store.get(key)
        with pytest.raises(ObjectNotFound):
            store.get_if_changed(key, "an etag")
        with pytest.raises(ObjectNotFound):
            list(store.read(key))
        with pytest.raises(ObjectNotFound):
            store.download(key, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_an_unchanged_object_is_not_read_again(store: ObjectStore) -> None:
    etag = store.put("doorbell/alpha", b"1")

    assert store.get_if_changed("doorbell/alpha", etag) == Unchanged(etag)


def test_a_changed_object_is_read(store: ObjectStore) -> None:
    etag = store.put("doorbell/alpha", b"1")
    store.put("doorbell/alpha", b"2")

    found = store.get_if_changed("doorbell/alpha", etag)

    assert isinstance(found, StoredObject)
    assert found.body == b"2"


def test_a_record_larger_than_expected_is_not_read(store: ObjectStore) -> None:
    store.put("jobs/a/manifest.json", b"12345")

    assert store.get("jobs/a/manifest.json", max_bytes=5).body == b"12345"
    with pytest.raises(ObjectTooLarge):
        store.get("jobs/a/manifest.json", max_bytes=4)
    with pytest.raises(ObjectTooLarge):
        store.get_if_changed("jobs/a/manifest.json", "an etag", max_bytes=4)


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_a_key_may_have_strange_characters(store: ObjectStore, key: str) -> None:
    store.put(key, key.encode())

    assert store.get(key).body == key.encode()
    assert keys_of(store.list_page(key)) == [key]
    store.delete([key])
    assert keys_of(store.list_page("")) == []


# Guarded writes ------------------------------------------------------------------------------


def test_an_absent_key_is_created_once(store: ObjectStore) -> None:
    etag = store.put_if_absent("jobs/a/claims/1.json", b"first")

    with pytest.raises(PreconditionFailed):
        store.put_if_absent("jobs/a/claims/1.json", b"second")
    found = store.get("jobs/a/claims/1.json")
    assert (found.body, found.etag) == (b"first", etag)


def test_a_deleted_key_can_be_created_again(store: ObjectStore) -> None:
    store.put_if_absent("jobs/a/claims/1.json", b"first")
    store.delete(["jobs/a/claims/1.json"])

    store.put_if_absent("jobs/a/claims/1.json", b"second")

    assert store.get("jobs/a/claims/1.json").body == b"second"


def test_an_expected_object_is_replaced(store: ObjectStore) -> None:
    first = store.put_if_absent("jobs/a/manifest.json", b"1")

    second = store.put_if_match("jobs/a/manifest.json", b"2", first)
    third = store.put_if_match("jobs/a/manifest.json", b"3", second)

    found = store.get("jobs/a/manifest.json")
    assert (found.body, found.etag) == (b"3", third)


def test_an_object_that_somebody_rewrote_is_left_alone(store: ObjectStore) -> None:
    first = store.put("jobs/a/manifest.json", b"1")
    store.put("jobs/a/manifest.json", b"theirs")

    with pytest.raises(PreconditionFailed):
        store.put_if_match("jobs/a/manifest.json", b"ours", first)
    assert store.get("jobs/a/manifest.json").body == b"theirs"


def test_a_deleted_object_is_not_brought_back(store: ObjectStore) -> None:
    etag = store.put("jobs/a/manifest.json", b"1")
    store.delete(["jobs/a/manifest.json"])

    with pytest.raises(PreconditionFailed):
        store.put_if_match("jobs/a/manifest.json", b"2", etag)
    assert keys_of(store.list_page("")) == []


def test_of_many_racing_creators_one_wins(open_raced_store: OpenStore) -> None:
    racers = [(open_raced_store(), f"racer {number}".encode()) for number in range(12)]

    with ThreadPoolExecutor(len(racers)) as pool:
        for race in range(8):
            key = f"jobs/{race}/claims/1.json"
            won = [pool.submit(creates, store, key, nonce) for store, nonce in racers]

            assert sum(result.result() for result in won) == 1


def creates(store: ObjectStore, key: str, nonce: bytes) -> bool:
    """Return True if this call created the key; an unknown outcome is read back."""
    try:
        store.put_if_absent(key, nonce)
    except PreconditionFailed:
        return False
    except OutcomeUnknown:
        return store.get(key).body == nonce
    return True


def test_no_update_is_lost(open_raced_store: OpenStore) -> None:
    open_raced_store().put("marks", b"")
    writers = [open_raced_store() for _ in range(6)]

    with ThreadPoolExecutor(len(writers)) as pool:
        list(pool.map(lambda store: [leave_a_mark(store) for _ in range(10)], writers))

    marks = writers[0].get("marks").body.split()
    assert (len(marks), len(set(marks))) == (60, 60)


def leave_a_mark(store: ObjectStore) -> None:
    """Add a mark exactly once; an unknown outcome is read back."""
    mark = uuid.uuid4().hex.encode()
    while True:
        found = store.get("marks")
        if mark in found.body:
            return
        try:
            store.put_if_match("marks", found.body + b" " + mark, found.etag)
        except (PreconditionFailed, OutcomeUnknown):
            continue
        return


# Lists ---------------------------------------------------------------------------------------


def test_an_empty_store_lists_nothing(store: ObjectStore) -> None:
    page = store.list_page("jobs/", delimiter="/")

    assert (page.objects, page.prefixes, page.is_full) == ((), (), False)


def test_keys_are_listed_in_the_order_of_their_bytes(store: ObjectStore) -> None:
    ordered = ["A", "a b", "a-b/c", "a.b", "a/b", "a/b.c", "a0", "a~", "b/c/d", "b/cd", "z", "é", "～", "😀"]
    assert ordered == sorted(ordered, key=str.encode)
    put_all(store, list(reversed(ordered)))

    assert keys_of(store.list_page("")) == ordered
    assert keys_of(*all_pages(store, "", limit=1)) == ordered


def test_a_listed_object_has_its_size(store: ObjectStore) -> None:
    store.put("a/empty", b"")
    store.put("a/five", b"12345")

    assert [listed.size for listed in store.list_page("a/").objects] == [0, 5]


def test_a_prefix_need_not_end_at_a_slash(store: ObjectStore) -> None:
    put_all(store, ["queue/al/1", "queue/alpha/1", "queue/alpha/2", "queue/beta/1", "queue0/alpha"])

    assert keys_of(store.list_page("queue/alp")) == ["queue/alpha/1", "queue/alpha/2"]
    assert keys_of(store.list_page("queue/alpha/2")) == ["queue/alpha/2"]
    assert keys_of(store.list_page("queue/alpha/3")) == []
    assert prefixes_of(store.list_page("queue/a", delimiter="/")) == ["queue/al/", "queue/alpha/"]


@pytest.mark.parametrize("prefix", ["..", "../", "/", "a//", "./a", "a/../a/", ".cloudq/"])
def test_a_prefix_that_no_key_has_lists_nothing(store: ObjectStore, prefix: str) -> None:
    store.put("a/b", b"")

    assert keys_of(store.list_page(prefix)) == []


@pytest.mark.parametrize(
    ("start_after", "expected"),
    [
        ("a", ["a/1", "a/2", "b"]),
        ("a/1", ["a/2", "b"]),
        ("a/10", ["a/2", "b"]),
        ("a/2/3", ["b"]),
        ("a0", ["b"]),
        ("b", []),
    ],
)
def test_a_list_starts_after_a_key_that_need_not_exist(
    store: ObjectStore, start_after: str, expected: list[str]
) -> None:
    put_all(store, ["a/1", "a/2", "b"])

    assert keys_of(store.list_page("", start_after=start_after)) == expected


def test_a_list_with_a_delimiter_tells_what_lies_below_only_once(store: ObjectStore) -> None:
    put_all(store, ["jobs/a/1", "jobs/a/2", "jobs/a/b/3", "jobs/a.x", "jobs/c/1", "other/d"])

    page = store.list_page("jobs/", delimiter="/")

    assert keys_of(page) == ["jobs/a.x"]
    assert prefixes_of(page) == ["jobs/a/", "jobs/c/"]


def test_a_list_with_a_delimiter_goes_on_after_its_last_prefix(store: ObjectStore) -> None:
    put_all(store, [f"jobs/{job}/{name}" for job in "abcd" for name in ("1", "2", "sub/3")] + ["jobs/bb"])

    for limit in (1, 2, 3):
        pages = all_pages(store, "jobs/", delimiter="/", limit=limit)

        assert prefixes_of(*pages) == ["jobs/a/", "jobs/b/", "jobs/c/", "jobs/d/"]
        assert keys_of(*pages) == ["jobs/bb"]


def test_a_list_with_a_limit_is_full_when_more_may_follow(store: ObjectStore) -> None:
    put_all(store, ["a/1", "a/2", "a/3"])

    assert store.list_page("a/", limit=2).is_full
    assert not store.list_page("a/", limit=4).is_full


def test_more_keys_than_a_page_holds_are_listed_once_each_and_deleted(store: ObjectStore) -> None:
    keys = [f"queue/alpha/{number:05}" for number in range(MANY)]
    put_all(store, keys)

    pages = all_pages(store, "queue/")

    assert [len(page.objects) for page in pages] == [1000, MANY - 1000]
    assert keys_of(*pages) == keys

    store.delete(keys)

    assert keys_of(store.list_page("")) == []


# Deletions -----------------------------------------------------------------------------------


def test_deleting_what_is_absent_is_no_error(store: ObjectStore) -> None:
    store.put("jobs/a/1", b"")

    store.delete([])
    store.delete(["jobs/b/1"])
    store.delete(["jobs/a/1", "jobs/a/2", "jobs/a/1"])

    assert keys_of(store.list_page("")) == []


def test_only_what_is_named_is_deleted(store: ObjectStore) -> None:
    put_all(store, ["jobs/a/1", "jobs/a/10", "jobs/a/2"])

    store.delete(["jobs/a/1", "jobs/a"])

    assert keys_of(store.list_page("")) == ["jobs/a/10", "jobs/a/2"]


def test_nothing_is_listed_where_everything_was_deleted(store: ObjectStore) -> None:
    put_all(store, ["jobs/a/log/stdout/1", "jobs/b/1"])

    store.delete(["jobs/a/log/stdout/1"])

    assert prefixes_of(store.list_page("jobs/", delimiter="/")) == ["jobs/b/"]


def test_writers_do_not_mind_others_who_delete_beside_them(open_store: OpenStore) -> None:
    def come_and_go(name: str) -> None:
        store = open_store()
        for _ in range(15):
            store.put_if_absent(f"jobs/a/log/{name}", b"1")
            store.put(f"jobs/a/log/{name}", b"2")
            store.delete([f"jobs/a/log/{name}"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, "abcd"))

    assert keys_of(open_store().list_page("")) == []


# Streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 20 * 1024 * 1024 + 1], ids=["empty", "small", "large"])
def test_a_file_goes_up_and_comes_down_as_it_was(store: ObjectStore, tmp_path: Path, size: int) -> None:
    content = (b"0123456789abcde" * (size // 15 + 1))[:size]
    store.upload("jobs/a/1/output.zip", a_file(tmp_path, content))

    noted: list[int] = []

    assert store.download("jobs/a/1/output.zip", tmp_path / "target", note=noted.append) == size
    assert (tmp_path / "target").read_bytes() == content
    assert noted == sorted(noted)
    assert noted[-1:] in ([size], [])


def test_an_object_is_read_in_pieces(store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * 12_000
    store.upload("jobs/a/1/stdout", a_file(tmp_path, content))

    pieces = list(store.read("jobs/a/1/stdout"))

    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 1024 * 1024


def test_a_reader_may_stop_early(store: ObjectStore, tmp_path: Path) -> None:
    store.upload("jobs/a/1/stdout", a_file(tmp_path, b"0123456789" * 1_000_000))

    for piece in store.read("jobs/a/1/stdout"):
        assert piece.startswith(b"0123456789")
        break


def test_an_upload_replaces_what_was_there(store: ObjectStore, tmp_path: Path) -> None:
    store.put("logs/alpha/cloudqd.log", b"old")

    store.upload("logs/alpha/cloudqd.log", a_file(tmp_path, b"new"))

    assert store.get("logs/alpha/cloudqd.log").body == b"new"


def pieces_of(content: bytes, size: int = 1_000_000) -> Iterator[bytes]:
    """Return a stream that can be consumed once."""
    return (content[start : start + size] for start in range(0, len(content), size))


@pytest.mark.parametrize("size", [0, 1, 8 * 1024 * 1024, 20 * 1024 * 1024 + 1])
def test_a_stream_of_unknown_size_goes_up_and_comes_down(
    store: ObjectStore, tmp_path: Path, size: int
) -> None:
    content = (b"0123456789abcde" * (size // 15 + 1))[:size]
    store.put("jobs/a/1/output.zip", b"old")

    assert store.upload_pieces("jobs/a/1/output.zip", pieces_of(content)) == size

    assert store.download("jobs/a/1/output.zip", tmp_path / "target") == size
    assert (tmp_path / "target").read_bytes() == content


@pytest.mark.parametrize("after", [0, 17 * 1024 * 1024], ids=["at once", "after two parts"])
def test_a_stream_that_breaks_leaves_nothing_behind(store: ObjectStore, after: int) -> None:
    def broken() -> Iterator[bytes]:
        yield from pieces_of(b"x" * after)
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="the source is gone"):
        store.upload_pieces("jobs/a/1/output.zip", broken())

    assert keys_of(store.list_page("")) == []
    assert list(store.unfinished_uploads("jobs/")) == []


def test_a_stream_goes_up_in_bounded_memory(store: ObjectStore, request: pytest.FixtureRequest) -> None:
    if isinstance(store, MemoryStore | LookFirstStore):
        return  # its content is in memory anyway
    store.upload_pieces("jobs/a/1/small", iter([b"warm up"]))
    tracemalloc.start()
    try:
        store.upload_pieces("jobs/a/1/output.zip", (bytes(1 << 20) for _ in range(64)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < (64 << 20 if "moto" in request.node.name else 40 << 20)


def test_a_download_of_too_much_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    store.put("jobs/a/input.zip", b"12345")

    with pytest.raises(ObjectTooLarge):
        store.download("jobs/a/input.zip", tmp_path / "target", max_bytes=4)
    assert not (tmp_path / "target").exists()
    assert store.download("jobs/a/input.zip", tmp_path / "target", max_bytes=5) == 5


def test_a_download_overwrites_nothing(store: ObjectStore, tmp_path: Path) -> None:
    store.put("jobs/a/input.zip", b"theirs")
    target = a_file(tmp_path, b"mine")

    with pytest.raises(FileExistsError):
        store.download("jobs/a/input.zip", target)
    assert target.read_bytes() == b"mine"


def test_a_source_that_cannot_be_read_is_the_caller_s_trouble(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.upload("jobs/a/input.zip", tmp_path / "absent")
    assert keys_of(store.list_page("")) == []
