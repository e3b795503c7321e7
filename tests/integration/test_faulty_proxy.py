"""The faulty connection that other tests use injects the configured faults and no others."""

from __future__ import annotations

import time

import pytest

from cloudq.adapters.object_stores.s3.store import S3Store
from cloudq.domain.errors import OutcomeUnknown, StoreProblem, StoreUnavailable, WriteConflict
from tests.parts.faulty_proxy import FAULTS, faulty_way_to, slow_way_to
from tests.parts.s3_services import BUCKET, S3Service, open_s3


@pytest.fixture(autouse=True)
def credentials(moto_service: S3Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in moto_service.environment().items():
        monkeypatch.setenv(name, value)


def store_at(service: S3Service, prefix: str) -> S3Store:
    """A store that sends each request once, without retries."""
    return open_s3(bucket=BUCKET, endpoint_url=service.endpoint_url, prefix=prefix)


def test_requests_pass_unchanged_where_nothing_is_wrong(moto_service: S3Service) -> None:
    with faulty_way_to(moto_service, 0.0, 0) as way:
        store = store_at(way.service, "unchanged/")
        for size in (0, 1, 100_000):
            store.put(f"{size} bytes", b"x" * size)
            assert len(store.get(f"{size} bytes").body) == size

        assert [each.size for each in store.list_page("").objects] == [0, 1, 100_000]
        assert way.injected() == {"passed": 7}


def test_every_kind_of_fault_is_met_and_some_writes_without_an_answer_were_done(
    moto_service: S3Service,
) -> None:
    with faulty_way_to(moto_service, 0.9, 3) as way:
        failed = attempts(store_at(way.service, "faults/"), 60)
        injected = way.injected()
    there = {each.key for each in store_at(moto_service, "faults/").list_page("").objects}

    assert set(injected) == {*FAULTS, "passed"}
    assert {type(error) for error in failed.values()} <= {OutcomeUnknown, StoreUnavailable, WriteConflict}
    assert failed.keys() & there
    assert failed.keys() - there
    assert there >= {str(number) for number in range(60)} - failed.keys()


def attempts(store: S3Store, count: int) -> dict[str, StoreProblem]:
    """Try guarded writes once each, and return the errors of those that failed, by key."""
    failed = {}
    for key in map(str, range(count)):
        try:
            store.put_if_absent(key, b"")
        except StoreProblem as error:
            failed[key] = error
    return failed


def test_a_way_that_is_down_refuses_connections_until_it_is_back(moto_service: S3Service) -> None:
    with faulty_way_to(moto_service, 0.0, 0) as way:
        store = store_at(way.service, "down/")
        store.put("key", b"")
        for _ in range(2):
            way.goes_down()
            with pytest.raises(StoreUnavailable, match="refused"):
                ask_until_refused(store)
            way.comes_back()
            assert store.get("key").body == b""


def ask_until_refused(store: S3Store) -> None:
    """Send a request, and a second one if the first only finds that an open connection broke."""
    try:
        store.get("key")
    except StoreUnavailable:
        store.get("key")


def test_a_way_that_healed_has_no_faults(moto_service: S3Service) -> None:
    with faulty_way_to(moto_service, 1.0, 0) as way:
        way.heals()
        assert attempts(store_at(way.service, "healed/"), 20) == {}
        assert sum(way.injected().values()) == way.injected()["passed"] == 20


def test_slow_line_carries_so_much_and_no_more(moto_service: S3Service) -> None:
    with slow_way_to(moto_service, 1_000_000) as way:
        store = store_at(way.service, "slow/")
        began = time.monotonic()
        store.put("big", b"x" * 1_000_000)
        assert len(store.get("big").body) == 1_000_000

        assert 1.8 < time.monotonic() - began < 20
