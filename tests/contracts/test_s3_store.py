"""S3Store and a service that is wrong, closed or guarded."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloudq.adapters.object_stores.s3 import S3Store
from cloudq.domain.errors import OutcomeUnknown, PreconditionFailed, StoreRefused, StoreUnavailable
from tests.parts.s3_services import BUCKET, S3Service

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
    """A port on which nobody listens, and nobody else will."""
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
        lambda: store.download("a/key", folder / "target"),
        lambda: list(store.read("a/key")),
    )
    for request in requests:
        with pytest.raises(StoreRefused, match=words) as caught:
            request()

        assert store._place.bucket in str(caught.value)
        assert "http://127.0.0.1" in str(caught.value)
        assert WRONG_SECRET not in str(caught.value)


def test_a_missing_bucket_is_named_with_its_place(service: S3Service, tmp_path: Path) -> None:
    with closing(S3Store(bucket="no-such-bucket", endpoint_url=service.endpoint_url)) as store:
        assert_refused_everywhere(store, tmp_path, "NoSuchBucket")


@pytest.mark.real
@pytest.mark.xdist_group("ceph")
def test_a_wrong_secret_is_refused_and_not_repeated(
    guarded_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WRONG_SECRET)
    with closing(S3Store(bucket=BUCKET, endpoint_url=guarded_service.endpoint_url)) as store:
        assert_refused_everywhere(store, tmp_path, "check the access key and its secret")


@pytest.mark.real
@pytest.mark.xdist_group("ceph")
def test_an_unknown_access_key_is_refused(
    guarded_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with closing(S3Store(bucket=BUCKET, endpoint_url=guarded_service.endpoint_url)) as store:
        assert_refused_everywhere(store, tmp_path, "check the access key")


def test_a_closed_port_is_unavailable_and_nothing_was_written(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with closing(S3Store(bucket=BUCKET, endpoint_url=f"http://127.0.0.1:{closed_port}")) as store:
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
        S3Store(bucket=BUCKET, endpoint_url=service.endpoint_url, profile="mine", addressing_style="path")
    ) as store:
        store.put("a/key", b"1")

        assert store.get("a/key").body == b"1"


def test_whichever_way_the_service_compares_etags_a_stale_one_loses(service: S3Service) -> None:
    prefix = f"{uuid.uuid4()}/"
    with closing(S3Store(bucket=BUCKET, endpoint_url=service.endpoint_url, prefix=prefix)) as store:
        first = store.put("a/key", b"1")
        second = store.put_if_match("a/key", b"2", first)
        with pytest.raises(PreconditionFailed):
            store.put_if_match("a/key", b"3", first)
        store.put_if_match("a/key", b"3", second)

        assert store.get("a/key").body == b"3"
