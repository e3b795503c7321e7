"""Sources and destinations of `abci_cs_cp`, on a store that accepts any key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudq.adapters.local_files import UNFINISHED, DiskFiles
from cloudq.application.job_tools.copy_objects import CopyObjects
from cloudq.domain.errors import (
    CloudqError,
    InvalidInput,
    ObjectNotFound,
    RecordRejected,
    StoreUnavailable,
    WorkspaceProblem,
)
from cloudq.domain.stores.copy_places import parse_place
from tests.builders import NOON
from tests.parts.dict_store import DictStore
from tests.parts.inline_workers import InlineWorkers


class Bench:
    """Two buckets, a directory, and the reported totals."""

    def __init__(self, directory: Path) -> None:
        self.buckets = {name: DictStore(lambda: NOON) for name in ("bucket", "other")}
        self.here = directory
        self.files = self.bytes = 0
        self._copy = CopyObjects(self.buckets.__getitem__, DiskFiles(), InlineWorkers(), self._report)

    def _report(self, files: int, size: int) -> None:
        self.files += files
        self.bytes += size

    def copy(self, source: str, target: str) -> None:
        self._copy(parse_place(source), parse_place(target))

    def local(self, name: str) -> str:
        """Return the path of *name*; a slash at the end stays."""
        return f"{self.here}/{name}"

    def put_file(self, name: str, content: str = "content") -> str:
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return str(path)

    def put_objects(self, *keys: str) -> None:
        for key in keys:
            self.buckets["bucket"].put(key, f"in {key}".encode())

    def objects(self, bucket: str = "bucket") -> dict[str, str]:
        return {key: body.decode() for key, (body, _) in self.buckets[bucket].objects.items()}

    def tree(self, name: str = "") -> dict[str, str]:
        root = self.here / name
        return {
            str(path.relative_to(root)): path.read_text()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# To a bucket ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "key"),
    [("s3://bucket/k", "k"), ("s3://bucket/d/", "d/f.txt"), ("s3://bucket", "f.txt"),
     ("s3://bucket/", "f.txt")],
)  # fmt: skip
def test_a_file_goes_to_a_key_or_below_a_prefix(bench: Bench, target: str, key: str) -> None:
    bench.copy(bench.put_file("f.txt"), target)

    assert bench.objects() == {key: "content"}
    assert (bench.files, bench.bytes) == (1, 7)


@pytest.mark.parametrize("source", ["data", "data/"])
@pytest.mark.parametrize("target", ["s3://bucket/p", "s3://bucket/p/"])
def test_a_directory_goes_below_a_prefix_with_all_it_holds(bench: Bench, source: str, target: str) -> None:
    for name in ("data/a", "data/d/b c", "data/d/.hidden", "beside"):
        bench.put_file(name, name)
    (bench.here / "data/empty").mkdir()

    bench.copy(bench.local(source), target)

    assert bench.objects() == {"p/a": "data/a", "p/d/b c": "data/d/b c", "p/d/.hidden": "data/d/.hidden"}


def test_links_are_followed_but_no_circle_of_them(bench: Bench) -> None:
    bench.put_file("elsewhere/x")
    (bench.here / "data").mkdir()
    (bench.here / "data/to_dir").symlink_to(bench.here / "elsewhere")
    (bench.here / "data/to_file").symlink_to(bench.here / "elsewhere/x")
    bench.copy(bench.local("data"), "s3://bucket")
    assert sorted(bench.objects()) == ["to_dir/x", "to_file"]

    (bench.here / "data/circle").symlink_to(bench.here / "data")
    with pytest.raises(InvalidInput, match="circle: a link to a directory that contains it"):
        bench.copy(bench.local("data"), "s3://other")
    assert bench.objects("other") == {}


def test_all_that_cannot_be_copied_is_told_before_anything_is(bench: Bench) -> None:
    bench.put_file("data/good")
    (bench.here / "data/dangling").symlink_to("nowhere")
    os.mkfifo(bench.here / "data/fifo")

    with pytest.raises(InvalidInput) as caught:
        bench.copy(bench.local("data"), "s3://bucket")

    assert len(caught.value.problems) == 2
    assert bench.objects() == {}


def test_a_name_that_is_no_text_is_told_before_anything_is_copied(bench: Bench) -> None:
    bench.put_file("data/a")
    Path(os.fsdecode(os.fsencode(bench.here / "data") + b"/\xff")).touch()

    with pytest.raises(InvalidInput, match="not UTF-8"):
        bench.copy(bench.local("data"), "s3://bucket")
    assert bench.objects() == {}


def test_what_an_interrupted_copy_left_is_not_uploaded(bench: Bench) -> None:
    bench.put_file("data/a")
    bench.put_file(f"data/{UNFINISHED}0123")

    bench.copy(bench.local("data"), "s3://bucket")

    assert list(bench.objects()) == ["a"]


@pytest.mark.parametrize("name", ["missing", "file/"])
def test_a_source_that_is_not_there_is_told(bench: Bench, name: str) -> None:
    bench.put_file("file")

    with pytest.raises(InvalidInput, match="no such file or directory"):
        bench.copy(bench.local(name), "s3://bucket/k")


# From a bucket ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "name"),
    [("new", "new"), ("new/", "new/b"), ("there", "there/b"), (".", "b"), ("deep/er/x", "deep/er/x")],
)
def test_an_object_goes_to_a_file_or_into_a_directory(bench: Bench, target: str, name: str) -> None:
    bench.put_objects("a/b", "a/bb")
    (bench.here / "there").mkdir()

    bench.copy("s3://bucket/a/b", bench.local(target))

    assert bench.tree() == {name: "in a/b"}
    assert (bench.files, bench.bytes) == (1, 6)


@pytest.mark.parametrize("source", ["s3://bucket/p", "s3://bucket/p/"])
def test_a_prefix_goes_into_a_directory(bench: Bench, source: str) -> None:
    bench.put_objects("p/", "p/a", "p/d/", "p/d/b", "pp")

    bench.copy(source, bench.local("new"))

    assert bench.tree() == {"new/a": "in p/a", "new/d/b": "in p/d/b"}


def test_a_whole_bucket_can_be_copied(bench: Bench) -> None:
    bench.put_objects(*(f"d{number % 7}/{number}" for number in range(2500)))

    bench.copy("s3://bucket", bench.local("new"))

    assert len(bench.tree("new")) == bench.files == 2500


def test_an_object_goes_before_what_its_name_is_a_prefix_of(bench: Bench) -> None:
    bench.put_objects("a", "a/b")

    bench.copy("s3://bucket/a", bench.local("x"))

    assert bench.tree() == {"x": "in a"}


def test_a_file_that_was_there_is_replaced(bench: Bench) -> None:
    bench.put_objects("a")
    bench.put_file("x", "something longer than that")

    bench.copy("s3://bucket/a", bench.local("x"))

    assert bench.tree() == {"x": "in a"}


@pytest.mark.parametrize("source", ["s3://bucket/missing", "s3://bucket/missing/", "s3://other"])
def test_an_object_that_is_not_there_leaves_nothing(bench: Bench, source: str) -> None:
    bench.put_objects("missing-but-similar")

    with pytest.raises(ObjectNotFound):
        bench.copy(source, bench.local("new/x"))
    assert list(bench.here.iterdir()) == []


@pytest.mark.parametrize("hostile", ["p/../../x", "p/..", "p//x", "p/d/../../../x"])
def test_a_hostile_key_stops_it_before_anything_is_written(bench: Bench, hostile: str) -> None:
    (bench.here / "in/to").mkdir(parents=True)
    bench.put_objects("p/a", hostile, "p/z")

    with pytest.raises(RecordRejected, match="cannot become a file"):
        bench.copy("s3://bucket/p/", bench.local("in/to"))
    assert bench.tree() == {}


def test_a_hostile_name_of_one_object_writes_nothing_either(bench: Bench) -> None:
    bench.put_objects("a/..")

    with pytest.raises(RecordRejected):
        bench.copy("s3://bucket/a/..", bench.local(""))
    assert bench.tree() == {}


def test_many_objects_need_a_directory(bench: Bench) -> None:
    bench.put_objects("p/a")

    with pytest.raises(InvalidInput, match="is a file"):
        bench.copy("s3://bucket/p/", bench.put_file("x"))


def test_a_directory_is_never_replaced_by_a_file(bench: Bench) -> None:
    bench.put_objects("p/a")
    bench.put_file("new/a/b")

    with pytest.raises(WorkspaceProblem, match="new/a"):
        bench.copy("s3://bucket/p/", bench.local("new"))
    assert bench.tree() == {"new/a/b": "content"}


def test_a_copy_that_breaks_leaves_what_was_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: DictStore, key: str) -> object:
        yield b"half"
        raise StoreUnavailable("the connection broke")

    monkeypatch.setattr(DictStore, "read", broken)
    bench.put_objects("a")
    old = bench.put_file("x", "old")

    with pytest.raises(StoreUnavailable):
        bench.copy("s3://bucket/a", old)
    assert bench.tree() == {"x": "old"}


# Elsewhere --------------------------------------------------------------------------------------


def test_a_bucket_is_copied_to_another(bench: Bench) -> None:
    bench.put_objects("p/", "p/a", "p/d/b", "q", "p/../odd")

    bench.copy("s3://bucket/p", "s3://other/new")
    bench.copy("s3://bucket/q", "s3://other/one")
    bench.copy("s3://bucket/q", "s3://other/in/")

    assert bench.objects("other") == {
        "new/a": "in p/a", "new/d/b": "in p/d/b", "new/../odd": "in p/../odd", "one": "in q", "in/q": "in q",
    }  # fmt: skip


def test_two_paths_are_for_cp(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match="use cp"):
        bench.copy(bench.put_file("a"), bench.local("b"))


def test_a_stopped_copy_leaves_nothing(tmp_path: Path) -> None:
    files = DiskFiles()
    files.stop()

    with pytest.raises(Exception) as caught:  # noqa: PT011 (the error reaches no user: the command ends)
        files.write(tmp_path / "x", iter([b"a"]))
    assert not isinstance(caught.value, CloudqError)
    assert list(tmp_path.iterdir()) == []
