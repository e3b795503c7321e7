"""``doctor`` on real stores, and on the broken ones that a user may meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.application.doctor.examine import examine
from cloudq.bootstrap.client import wire_client
from cloudq.client import Client
from cloudq.config import load_config
from cloudq.domain.finding import Finding, Level
from tests.parts.inline_workers import InlineWorkers
from tests.parts.s3_services import S3Service
from tests.parts.scripted_s3 import Answer, an_error, an_object, scripted_s3
from tests.parts.site import Site

NOTHING_THERE = Answer(body=b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")


def findings(site: Site, *options: str) -> tuple[int, list[dict[str, str]]]:
    done = site.run("cloudqcli", "doctor", "--json", *options)
    return done.returncode, json.loads(done.stdout)["findings"]


def test_all_is_well_on_a_store_that_works(site: Site) -> None:
    with site.agent():
        status, found = findings(site, "--deep")

    assert [each for each in found if each["level"] != "ok"] == []
    assert status == 0
    asked = {each["check"] for each in found}
    assert {"paging", "create if absent", "rewrite if unchanged", "agents", "scheduler"} <= asked


def test_a_bucket_that_is_not_there_is_named_once(
    moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = {
        "CLOUDQ_STORE_ENDPOINT_URL": moto_service.endpoint_url,
        "CLOUDQ_STORE_BUCKET": "nobodys-bucket",
    }
    status, found = findings(Site(tmp_path, moto_service.environment() | store))
    problems = [each for each in found if each["level"] == "problem"]

    assert status == 1
    assert [each["check"] for each in problems] == ["rights"]
    assert "nobodys-bucket" in problems[0]["what"]
    assert [each["level"] for each in found if each["check"] == "jobs"] == ["could not ask"]


def test_a_store_where_nobody_listens_is_a_problem_of_the_network(tmp_path: Path) -> None:
    store = {
        "CLOUDQ_STORE_ENDPOINT_URL": "http://127.0.0.1:9",
        "CLOUDQ_STORE_BUCKET": "my-jobs",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    status, found = findings(Site(tmp_path, store))
    [problem] = [each for each in found if each["level"] == "problem"]

    assert (status, problem["check"]) == (1, "store")
    assert "127.0.0.1:9" in problem["what"]
    assert "endpoint_url" in problem["to_do"]


def client_of(endpoint_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Client:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = {
        "CLOUDQ_HOME": str(tmp_path),
        "CLOUDQ_STORE_ENDPOINT_URL": endpoint_url,
        "CLOUDQ_STORE_BUCKET": "my-jobs",
        "CLOUDQ_STORE_REGION": "us-east-1",
    }
    return Client.connect(load_config(environment))


def test_keys_that_may_only_read_are_told_what_they_may_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    denied = an_error(403, "AccessDenied", "not authorized to perform this")
    answers = (NOTHING_THERE, denied, an_error(404, "NoSuchKey"), NOTHING_THERE, denied)
    with scripted_s3(*answers) as service:
        found = list(client_of(service.endpoint_url, monkeypatch, tmp_path).examine())

    [rights] = [each for each in found if each.level is Level.PROBLEM]
    assert rights.what.startswith("may not write, delete: ")
    assert "not authorized to perform this" in rights.what
    assert "docs/doctor.md" in rights.to_do
    assert [asked.method for asked in service.asked] == ["GET", "PUT", "GET", "GET", "DELETE"]


def test_a_clock_that_is_off_by_days_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The clock of the service is fixed at noon of a day in January."""
    answers = (NOTHING_THERE, an_object(b""), an_object(b"word"), NOTHING_THERE, Answer(204))
    with scripted_s3(*answers, NOTHING_THERE, NOTHING_THERE) as service:
        found = list(islice(client_of(service.endpoint_url, monkeypatch, tmp_path).examine(), 3))

    assert [each.level for each in found] == [Level.OK, Level.OK, Level.PROBLEM]
    assert "S3 refuses such requests" in found[2].what


class IgnoresConditions:
    """A store that accepts conditions and ignores them."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def put_if_absent(self, key: str, body: bytes) -> str:
        return str(self._inner.put(key, body))

    def put_if_match(self, key: str, body: bytes, _: str) -> str:
        return str(self._inner.put(key, body))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
def found_without_conditions(
    moto_service: S3Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[list[Finding]]:
    for name, value in moto_service.environment().items():
        monkeypatch.setenv(name, value)
    store: Any = IgnoresConditions(moto_service.store(f"{tmp_path.name}/"))
    client = wire_client(store, SystemClock(), RandomIds(), InlineWorkers(), "tester@laptop")
    yield list(examine(client.doctor(False, False)))
    assert store.list_page("doctor/").objects == ()


def test_a_store_that_ignores_conditions_is_found(found_without_conditions: list[Finding]) -> None:
    bad = {each.check: each.what for each in found_without_conditions if each.level is Level.PROBLEM}

    assert set(bad) == {"create if absent", "rewrite if unchanged"}
    assert "8 succeeded" in bad["create if absent"]
