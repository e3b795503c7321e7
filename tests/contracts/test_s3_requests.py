"""Test the requests of S3Store and its handling of answers, with a scripted service for the rare ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from cloudq.adapters.object_stores.s3.store import S3Store
from cloudq.domain.errors import (
    OutcomeUnknown,
    PreconditionFailed,
    StoreProblem,
    StoreRefused,
    StoreUnavailable,
)
from cloudq.ports.object_store import StoredObject, Unchanged
from tests.parts.s3_services import open_s3
from tests.parts.scripted_s3 import Answer, ScriptedS3, an_error, an_object, scripted_s3


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Provide only these credentials, whatever the developer has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-access-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-very-secret-key")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@contextmanager
def a_store(*answers: Answer) -> Iterator[tuple[S3Store, ScriptedS3]]:
    """Open a store on a service that gives these answers."""
    with (
        scripted_s3(*answers) as service,
        closing(open_s3(bucket="jobs", endpoint_url=service.endpoint_url, prefix="pre fix/")) as store,
    ):
        yield store, service


# Requests ------------------------------------------------------------------------------------


def test_keys_lie_under_the_prefix() -> None:
    with a_store(an_object(b"")) as (store, service):
        store.put("a/key", b"1")

        assert service.asked[0].path == "/jobs/pre%20fix/a/key"


@pytest.mark.parametrize("trouble", [an_error(503, "SlowDown"), an_error(500), Answer(hangs_up=True)])
def test_a_control_request_is_sent_once_whatever_happens(trouble: Answer) -> None:
    requests: list[Callable[[S3Store], object]] = [
        lambda store: store.get("a/key"),
        lambda store: store.put("a/key", b""),
        lambda store: store.list_page(""),
        lambda store: store.delete(["a/key"]),
    ]
    for request in requests:
        with a_store(trouble) as (store, service):
            with pytest.raises(StoreUnavailable):
                request(store)

            assert len(service.asked) == 1


def test_a_service_out_of_reach_is_one_trouble_whatever_was_asked() -> None:
    """One failure produces one message, so a caller that reports each message once reports it once."""
    with a_store() as (store, _):
        pass
    said = set()
    for ask in (lambda: store.get("a"), lambda: store.put("b", b""), lambda: store.list_page("c")):
        with pytest.raises(StoreUnavailable) as told:
            ask()
        said.add(str(told.value))

    [words] = said
    assert "Could not connect to the endpoint URL ([Errno 111] Connection refused)" in words


@pytest.mark.parametrize("trouble", [an_error(503, "SlowDown"), an_error(500), Answer(hangs_up=True)])
def test_a_guarded_write_without_an_answer_has_an_unknown_outcome(trouble: Answer) -> None:
    with a_store(trouble, trouble) as (store, service):
        with pytest.raises(OutcomeUnknown):
            store.put_if_absent("a/key", b"")
        with pytest.raises(OutcomeUnknown):
            store.put_if_match("a/key", b"", "e1")

        assert [asked.headers.get("If-None-Match") for asked in service.asked] == ["*", None]
        assert [asked.headers.get("If-Match") for asked in service.asked] == [None, '"e1"']


def test_no_checksums_are_sent_that_other_stores_refuse() -> None:
    with a_store(an_object(b"")) as (store, service):
        store.put("a/key", b"1")

        assert [name for name in service.asked[0].headers if "checksum" in name.lower()] == []


def test_an_unchanged_object_costs_no_body() -> None:
    with a_store(Answer(304)) as (store, service):
        assert store.get_if_changed("a/key", "e1") == Unchanged("e1")
        assert service.asked[0].headers["If-None-Match"] == '"e1"'


def test_a_store_without_conditions_on_reads_is_compared_with() -> None:
    with a_store(an_object(etag="e1"), an_object(b"new", etag="e2")) as (store, _):
        assert store.get_if_changed("a/key", "e1") == Unchanged("e1")
        found = store.get_if_changed("a/key", "e1")

        assert isinstance(found, StoredObject)
        assert (found.body, found.etag) == (b"new", "e2")


def test_an_object_without_the_store_s_time_is_of_no_use() -> None:
    answer = an_object()
    with (
        a_store(Answer(body=answer.body, headers=answer.headers, date="whenever")) as (store, _),
        pytest.raises(StoreRefused, match="Date"),
    ):
        store.get("a/key")


def test_a_record_that_breaks_off_is_no_record() -> None:
    headers = an_object().headers
    with (
        a_store(Answer(body=b"half", headers=headers, promised=100)) as (store, _),
        pytest.raises(StoreUnavailable),
    ):
        store.get("a/key")


# ETags in quotes or bare ---------------------------------------------------------------------


def test_a_store_that_wants_bare_etags_is_given_them_for_good() -> None:
    answers = [an_error(412), an_object(b"", "e1"), an_object(b"", "e2"), an_object(b"", "e3")]
    with a_store(*answers) as (store, service):
        assert store.put_if_match("a/key", b"2", "e1") == "e2"
        assert store.put_if_match("a/key", b"3", "e2") == "e3"

        asked = [(each.method, each.headers.get("If-Match")) for each in service.asked]
        assert asked == [("PUT", '"e1"'), ("HEAD", None), ("PUT", "e1"), ("PUT", "e2")]


def test_a_lost_race_is_lost_in_either_style() -> None:
    with a_store(an_error(412), an_object(b"", "theirs")) as (store, service):
        with pytest.raises(PreconditionFailed):
            store.put_if_match("a/key", b"2", "e1")

        assert [each.method for each in service.asked] == ["PUT", "HEAD"]


def test_where_quotes_once_worked_a_refusal_costs_no_second_look() -> None:
    with a_store(an_object(b"", "e2"), an_error(412)) as (store, service):
        store.put_if_match("a/key", b"2", "e1")
        with pytest.raises(PreconditionFailed):
            store.put_if_match("a/key", b"3", "e1")

        assert len(service.asked) == 2


def test_a_store_that_refuses_both_styles_is_not_given_bare_ones_for_good() -> None:
    answers = [an_error(412), an_object(b"", "e1"), an_error(412), an_object(b"", "e2")]
    with a_store(*answers) as (store, service):
        with pytest.raises(PreconditionFailed):
            store.put_if_match("a/key", b"2", "e1")
        store.put_if_match("a/key", b"2", "e1")

        assert service.asked[-1].headers["If-Match"] == '"e1"'


def test_an_object_that_is_gone_is_not_the_expected_one() -> None:
    with a_store(an_error(404, "NoSuchKey"), an_error(404)) as (store, _), pytest.raises(PreconditionFailed):
        store.put_if_match("a/key", b"2", "e1")


# Lists and deletions -------------------------------------------------------------------------


def a_list(*keys: str, truncated: bool) -> Answer:
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>1</Size><LastModified>2026-01-31T12:00:00Z</LastModified>"
        "</Contents>"
        for key in keys
    )
    more = f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
    return Answer(body=f"<ListBucketResult>{more}{contents}</ListBucketResult>".encode())


def test_a_short_page_of_a_list_that_goes_on_counts_as_full() -> None:
    with a_store(a_list("pre fix/a", "pre fix/b", truncated=True)) as (store, _):
        page = store.list_page("")

        assert page.is_full
        assert page.last == "b"


def test_a_full_page_is_full_though_the_store_says_it_is_the_last() -> None:
    with a_store(a_list("pre fix/a", "pre fix/b", truncated=False)) as (store, _):
        assert store.list_page("", limit=2).is_full


def test_an_empty_page_of_a_list_that_goes_on_is_no_answer() -> None:
    with a_store(a_list(truncated=True)) as (store, _), pytest.raises(StoreUnavailable):
        store.list_page("")


def test_one_key_is_deleted_with_a_delete() -> None:
    with a_store(Answer(204)) as (store, service):
        store.delete(["a/key"])

        assert [each.method for each in service.asked] == ["DELETE"]


def test_many_keys_are_deleted_a_thousand_at_a_time() -> None:
    done = Answer(body=b"<DeleteResult></DeleteResult>")
    with a_store(done, done, done) as (store, service):
        store.delete([f"a/{number}" for number in range(2001)])

        assert [each.method for each in service.asked] == ["POST"] * 3
        assert [each.body.count(b"<Key>") for each in service.asked] == [1000, 1000, 1]


@pytest.mark.parametrize(
    ("code", "expected"), [("AccessDenied", StoreRefused), ("InternalError", StoreUnavailable)]
)
def test_a_key_that_was_not_deleted_is_an_error(code: str, expected: type[StoreProblem]) -> None:
    refusal = f"<DeleteResult><Error><Key>b</Key><Code>{code}</Code></Error></DeleteResult>"
    with (
        a_store(Answer(body=refusal.encode())) as (store, _),
        pytest.raises(expected, match="b was not deleted"),
    ):
        store.delete(["a", "b"])


def test_a_store_without_multi_delete_is_asked_singly() -> None:
    with a_store(an_error(501, "NotImplemented"), *[Answer(204)] * 4) as (store, service):
        store.delete(["a", "b"])
        store.delete(["c", "d"])

        assert [each.method for each in service.asked] == ["POST"] + ["DELETE"] * 4


# Streams -------------------------------------------------------------------------------------


def test_a_stream_that_breaks_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    first = an_object(b"0123", "e1")
    broken = Answer(body=b"0123", headers=first.headers, promised=10)
    with a_store(broken, Answer(206, b"456789", first.headers)) as (store, service):
        assert store.download("a/key", tmp_path / "target") == 10

        assert (tmp_path / "target").read_bytes() == b"0123456789"
        assert service.asked[1].headers["Range"] == "bytes=4-"


def test_an_object_rewritten_while_it_is_read_is_not_mixed_with_the_other(tmp_path: Path) -> None:
    broken = Answer(body=b"0123", headers=an_object(etag="e1").headers, promised=10)
    with (
        a_store(broken, Answer(206, b"456789", an_object(etag="e2").headers)) as (store, _),
        pytest.raises(StoreRefused, match="rewritten"),
    ):
        store.download("a/key", tmp_path / "target")

    assert not (tmp_path / "target").exists()


def test_a_refused_upload_says_why(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    with (
        a_store(an_error(403, "AccessDenied")) as (store, _),
        pytest.raises(StoreRefused, match="AccessDenied"),
    ):
        store.upload("a/key", source)


# Requests that are not sent ------------------------------------------------------------------


def test_missing_credentials_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with a_store() as (store, service):
        with pytest.raises(StoreRefused, match="no credentials were found"):
            store.put_if_absent("a/key", b"")

        assert service.asked == []


def test_an_unknown_profile_is_said() -> None:
    with pytest.raises(StoreRefused, match="check profile"):
        open_s3(bucket="jobs", profile="nobody")


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(StoreRefused, match="endpoint_url"):
        open_s3(bucket="jobs", endpoint_url="not an address")


def test_without_an_endpoint_the_store_is_amazon_s() -> None:
    with closing(open_s3(bucket="jobs", region="ap-northeast-1")) as store:
        assert "amazonaws.com" in str(store._place)
