"""Test S3Store with a service that is wrong, unreachable or protected."""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cloudq.adapters.object_stores.s3.client import BULK, RENEW_EVERY_S
from cloudq.adapters.object_stores.s3.errors import CODES
from cloudq.adapters.object_stores.s3.store import Encryption, S3Store
from cloudq.domain.errors import OutcomeUnknown, PreconditionFailed, StoreRefused, StoreUnavailable
from tests.parts.s3_services import BUCKET, S3Service, open_s3
from tests.parts.scripted_s3 import Answer, Asked, ScriptedS3, an_error, an_object, scripted_s3

WRONG_SECRET = "a-secret-that-nobody-should-read"

on_ceph = [pytest.mark.real, pytest.mark.xdist_group("ceph")]


@pytest.fixture(params=["moto", pytest.param("ceph", marks=on_ceph)])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> S3Service:
    found: S3Service = request.getfixturevalue(f"{request.param}_service")
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def guarded_service(ceph_service: S3Service, monkeypatch: pytest.MonkeyPatch) -> S3Service:
    """A service that checks signatures, which moto does not."""
    for name, value in ceph_service.environment().items():
        monkeypatch.setenv(name, value)
    return ceph_service


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which no process listens, and which no other process will get."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def assert_refused_everywhere(store: S3Store, folder: Path, words: str) -> None:
    source = folder / "source"
    source.write_bytes(b"content")
    requests = (
        lambda: store.get("a/key"),
        lambda: store.get_if_changed("a/key", "an etag"),
        lambda: store.put("a/key", b""),
        lambda: store.put_if_absent("a/key", b""),
        lambda: store.put_if_match("a/key", b"", "an etag"),
        lambda: store.list_page(""),
        lambda: store.delete(["a/key"]),
        lambda: store.delete(["a/key", "b/key"]),
        lambda: store.upload("a/key", source),
        lambda: store.upload_pieces("a/key", iter([b"content"])),
        lambda: store.upload_pieces("a/key", iter([b"x" * (9 << 20)])),
        lambda: store.download("a/key", folder / "target"),
        lambda: list(store.read("a/key")),
    )
    for request in requests:
        with pytest.raises(StoreRefused, match=words) as caught:
            request()

        assert store._place.bucket in str(caught.value)
        assert "http://127.0.0.1" in str(caught.value)
        assert WRONG_SECRET not in str(caught.value)


def test_an_upload_that_nobody_finished_is_found_and_aborted(
    service: S3Service, request: pytest.FixtureRequest
) -> None:
    prefix = f"{uuid.uuid4()}/"
    with closing(open_s3(bucket=BUCKET, endpoint_url=service.endpoint_url, prefix=prefix)) as store:
        client = store._connections.client(BULK)
        begun = client.create_multipart_upload(Bucket=BUCKET, Key=f"{prefix}jobs/a/1/output.zip")

        [found] = store.unfinished_uploads("jobs/")

        assert (found.key, found.id) == ("jobs/a/1/output.zip", begun["UploadId"])
        if "ceph" in request.node.name:  # moto answers with the year 2010
            assert 0 <= found.age_s < 60
        assert list(store.unfinished_uploads("logs/")) == []
        store.abort_upload(found)
        store.abort_upload(found)  # already gone
        assert list(store.unfinished_uploads("")) == []


def test_a_missing_bucket_is_named_with_its_place(service: S3Service, tmp_path: Path) -> None:
    with closing(open_s3(bucket="no-such-bucket", endpoint_url=service.endpoint_url)) as store:
        assert_refused_everywhere(store, tmp_path, "NoSuchBucket")


@pytest.mark.real
@pytest.mark.xdist_group("ceph")
def test_a_wrong_secret_is_refused_and_not_repeated(
    guarded_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WRONG_SECRET)
    with closing(open_s3(bucket=BUCKET, endpoint_url=guarded_service.endpoint_url)) as store:
        assert_refused_everywhere(store, tmp_path, "check the access key and its secret")


@pytest.mark.real
@pytest.mark.xdist_group("ceph")
def test_an_unknown_access_key_is_refused(
    guarded_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with closing(open_s3(bucket=BUCKET, endpoint_url=guarded_service.endpoint_url)) as store:
        assert_refused_everywhere(store, tmp_path, "check the access key")


def test_a_closed_port_is_unavailable_and_nothing_was_written(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with closing(open_s3(bucket=BUCKET, endpoint_url=f"http://127.0.0.1:{closed_port}")) as store:
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{closed_port}") as caught:
            store.put_if_absent("a/key", b"")

        assert not isinstance(caught.value, OutcomeUnknown)


def test_a_profile_gives_the_credentials(
    service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    keys = f"aws_access_key_id = {service.access_key}\naws_secret_access_key = {service.secret_key}\n"
    file.write_text(f"[mine]\n{keys}", encoding="utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with closing(
        open_s3(bucket=BUCKET, endpoint_url=service.endpoint_url, profile="mine", addressing_style="path")
    ) as store:
        store.put("a/key", b"1")

        assert store.get("a/key").body == b"1"


def test_whichever_way_the_service_compares_etags_a_stale_one_loses(service: S3Service) -> None:
    prefix = f"{uuid.uuid4()}/"
    with closing(open_s3(bucket=BUCKET, endpoint_url=service.endpoint_url, prefix=prefix)) as store:
        first = store.put("a/key", b"1")
        second = store.put_if_match("a/key", b"2", first)
        with pytest.raises(PreconditionFailed):
            store.put_if_match("a/key", b"3", first)
        store.put_if_match("a/key", b"3", second)

        assert store.get("a/key").body == b"3"


# Keys that are renewed -----------------------------------------------------------------------


def write_keys(file: Path, access_key: str) -> None:
    file.write_text(f"[mine]\naws_access_key_id = {access_key}\naws_secret_access_key = secret\n")


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The credentials file of this test only, with keys that will expire."""
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    write_keys(file, "old")
    return file


@contextmanager
def a_store_with_keys(
    *answers: Answer, now: list[float] | None = None
) -> Iterator[tuple[S3Store, ScriptedS3]]:
    """Open a store that reads its keys from the file, on a service that gives these answers."""
    clock = now or [0.0]
    keys = {"profile": "mine", "elapsed": lambda: clock[0]}
    with (
        scripted_s3(*answers) as service,
        closing(open_s3(bucket="jobs", endpoint_url=service.endpoint_url, **keys)) as store,
    ):
        yield store, service


def keys_used(service: ScriptedS3) -> list[str]:
    return [re.findall("Credential=([^/]+)/", asked.headers["Authorization"])[0] for asked in service.asked]


STALE = [code for code, verdict in CODES.items() if verdict.may_be_stale]


@pytest.mark.parametrize("code", STALE)
def test_keys_that_were_renewed_are_used_when_the_old_are_refused(key_file: Path, code: str) -> None:
    with a_store_with_keys(an_object(b""), an_error(403, code), an_object(b""), an_object(b"")) as (
        store,
        service,
    ):
        store.put("a/key", b"1")
        write_keys(key_file, "new")
        store.put_if_absent("a/key", b"2")
        store.put("a/key", b"3")

        assert keys_used(service) == ["old", "old", "new", "new"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda store, _: store.get("a/key"),
        lambda store, _: store.get_if_changed("a/key", "e0"),
        lambda store, _: store.put_if_match("a/key", b"", "e0"),
        lambda store, source: store.upload("a/key", source),
        lambda store, source: store.download("a/key", source.with_name("target")),
        lambda store, _: list(store.read("a/key")),
        lambda store, _: store.delete(["a/key"]),
    ],
)
def test_every_kind_of_request_goes_on_with_renewed_keys(
    key_file: Path, ask: Callable[[S3Store, Path], object]
) -> None:
    with a_store_with_keys(an_error(400, "ExpiredToken"), an_object(b"")) as (store, service):
        write_keys(key_file, "new")
        ask(store, key_file)

        assert keys_used(service) == ["old", "new"]


def test_keys_that_are_still_the_same_are_refused_without_another_request(key_file: Path) -> None:
    with a_store_with_keys(an_error(400, "ExpiredToken")) as (store, service):
        with pytest.raises(StoreRefused, match="log in again or renew them"):
            store.get("a/key")

        assert keys_used(service) == ["old"]


def test_keys_are_read_again_only_every_few_seconds(key_file: Path) -> None:
    now = [0.0]
    refusals = [an_error(403, "InvalidAccessKeyId")] * 3
    with a_store_with_keys(*refusals, an_object(b""), now=now) as (store, service):
        with pytest.raises(StoreRefused):
            store.get("a/key")
        write_keys(key_file, "new")
        now[0] = RENEW_EVERY_S - 0.1
        with pytest.raises(StoreRefused):
            store.get("a/key")
        now[0] = RENEW_EVERY_S
        store.get("a/key")

        assert keys_used(service) == ["old", "old", "old", "new"]


def test_keys_that_are_there_only_later_are_found(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    key_file.write_text("[mine]\n")
    now = [0.0]
    with a_store_with_keys(an_object(b""), now=now) as (store, service):
        with pytest.raises(StoreRefused, match="no credentials were found"):
            store.get("a/key")
        write_keys(key_file, "new")
        now[0] = RENEW_EVERY_S
        store.get("a/key")

        assert keys_used(service) == ["new"]


# Requirements of a bucket --------------------------------------------------------------------

LOCKED = an_error(
    400,
    "InvalidRequest",
    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with "
    "Object Lock parameters",
)


def has_checksum(asked: Asked) -> bool:
    return any(name.lower().startswith("x-amz-checksum-") for name in asked.headers)


def test_a_bucket_that_asks_for_checksums_gets_them(key_file: Path) -> None:
    with a_store_with_keys(LOCKED, an_object(b""), an_object(b"")) as (store, service):
        store.put("a/key", b"1")
        store.put_if_absent("b/key", b"2")

        assert [has_checksum(asked) for asked in service.asked] == [False, True, True]


def test_checksums_can_be_sent_from_the_start(key_file: Path) -> None:
    with scripted_s3(an_object(b"")) as service:
        store = open_s3(bucket="jobs", endpoint_url=service.endpoint_url, profile="mine", checksums="always")
        with closing(store):
            store.put("a/key", b"1")

        assert has_checksum(service.asked[0])


def test_a_bucket_that_refuses_checksums_too_is_no_endless_loop(key_file: Path) -> None:
    with (
        a_store_with_keys(LOCKED, LOCKED) as (store, _),
        pytest.raises(StoreRefused, match='set checksums = "always"'),
    ):
        store.put("a/key", b"1")


@pytest.mark.parametrize("kind", ["put", "put_if_absent", "put_if_match", "upload"])
def test_every_kind_of_write_asks_for_the_encryption(key_file: Path, kind: str) -> None:
    encryption = Encryption("aws:kms", "alias/jobs")
    with scripted_s3(an_object(b"")) as service:
        store = open_s3(
            bucket="jobs", endpoint_url=service.endpoint_url, profile="mine", encryption=encryption
        )
        with closing(store):
            arguments = {"put_if_match": (b"1", "e0"), "upload": (key_file,)}.get(kind, (b"1",))
            getattr(store, kind)("a/key", *arguments)

        sent = {name.lower(): value for name, value in service.asked[0].headers.items()}
        assert sent["x-amz-server-side-encryption"] == "aws:kms"
        assert sent["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/jobs"


# Plain http ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["endpoint_url", "variable"])
def test_plain_http_to_another_machine_is_refused_before_anything_is_sent(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"endpoint_url": "http://192.0.2.1"} if where == "endpoint_url" else {"region": "us-east-1"}
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://192.0.2.1")

    with pytest.raises(StoreRefused, match="allow_plain_http"):
        open_s3(bucket="jobs", **given)

    open_s3(bucket="jobs", allow_plain_http=True, **given).close()
