"""Places that `abci_cs_cp` may copy from and to, and keys that may become files."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput, RecordRejected
from cloudq.domain.stores.copy_places import LocalPlace, ObjectPlace, local_name, local_names, parse_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://bucket/a/b.txt", ObjectPlace("bucket", "a/b.txt")),
        ("S3://bucket/a/", ObjectPlace("bucket", "a/")),
        ("s3://bucket", ObjectPlace("bucket", "")),
        ("s3://bucket/", ObjectPlace("bucket", "")),
        ("s3://My_Bucket/a b?c#d%20", ObjectPlace("My_Bucket", "a b?c#d%20")),
        ("s3://bucket//a", ObjectPlace("bucket", "/a")),
        ("data/x", LocalPlace("data/x")),
        ("-x", LocalPlace("-x")),
        ("a:b", LocalPlace("a:b")),
        ("file:///data/a%20b", LocalPlace("/data/a b")),
        ("file://localhost/data", LocalPlace("/data")),
    ],
)
def test_a_place_is_in_a_bucket_or_a_path(text: str, place: ObjectPlace | LocalPlace) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text",
    ["", "s3://", "s3:///key", "s3://../key", "s3://-x/key", "s3://b/key", "s3://a b/key", "s3://me@host/key",
     "s3://bucket\n/key", "gs://bucket/key", "https://host/x", "file://data/x", "file://", "file:///a%00b",
     "s3://bucket/" + "k" * 1025],
)  # fmt: skip
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_place(text)


def test_a_key_without_a_slash_at_its_end_may_be_an_object() -> None:
    places = [ObjectPlace("b", key) for key in ("", "a/", "a")]

    assert [place.is_prefix for place in places] == [True, True, False]
    assert [place.prefix for place in places] == ["", "a/", "a/"]


HOSTILE = ["p/../x", "p/..", "p/a/../../x", "p//etc/passwd", "p/./x", "p/a\nb", "p/a\0b", f"p/{'x' * 256}"]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_key_that_leads_out_of_the_target_is_refused_with_all_others(key: str) -> None:
    with pytest.raises(RecordRejected, match="cannot become a file") as caught:
        local_names(["p/a", key, "p/b"], "p/")

    assert "nothing was copied" in str(caught.value)
    assert str(caught.value).isprintable() or "\n" in str(caught.value)


@pytest.mark.parametrize("key", ["..", "a/..", "a/.", ".", f"a/{'x' * 256}", "a/\x1b[2J"])
def test_a_single_object_of_such_a_name_is_refused_too(key: str) -> None:
    with pytest.raises(RecordRejected):
        local_name(key)


def test_keys_that_stand_for_directories_are_left_out() -> None:
    assert local_names(["p/", "p/a/", "p/a/b"], "p/") == {"p/a/b": "a/b"}


def test_a_name_cannot_be_a_file_and_a_directory() -> None:
    with pytest.raises(RecordRejected, match="'a' is a file and a directory"):
        local_names(["p/a", "p/a-b", "p/a/b"], "p/")


def test_of_many_problems_the_first_are_told() -> None:
    with pytest.raises(RecordRejected, match="and 15 more"):
        local_names([f"p/{number}/.." for number in range(25)], "p/")


@given(st.lists(st.text(st.sampled_from("ab./\\\0é"), min_size=1), max_size=5))
def test_no_key_ever_becomes_a_path_outside_the_target(rests: list[str]) -> None:
    try:
        names = local_names([f"p/{rest}" for rest in rests], "p/")
    except RecordRejected:
        return
    for name in names.values():
        path = PurePosixPath("/target", name)

        assert path.is_relative_to("/target")
        assert not {"", ".", ".."} & set(name.split("/"))
