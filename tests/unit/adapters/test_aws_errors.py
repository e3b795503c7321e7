"""Errors of AWS and its library become errors with advice."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from cloudq.adapters.parallelcluster.account import AwsAccount
from cloudq.adapters.parallelcluster.aws import Aws, as_cloud_problem
from cloudq.domain.errors import CloudqError, CloudRefused, CloudUnavailable, ConfigProblem


def answer(code: str, status: int = 400) -> ClientError:
    told = {
        "Error": {"Code": code, "Message": f"words\n of {code}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(told, "Ask")  # type: ignore[arg-type]


def told(error: Exception) -> CloudqError:
    with pytest.raises(CloudqError) as caught, as_cloud_problem("stack c"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ExpiredToken", "your AWS credentials have expired"),
        ("ExpiredTokenException", "your AWS credentials have expired"),
        ("RequestExpired", "the same command again: it continues"),
        ("InvalidClientTokenId", "check the keys"),
        ("AccessDenied", "docs/aws.md names the policy"),
        ("UnauthorizedOperation", "docs/aws.md names the policy"),
        ("LimitExceeded", "quota of your account"),
        ("SomethingNew", "words of SomethingNew"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(code: str, advice: str) -> None:
    error = told(answer(code))

    assert isinstance(error, CloudRefused)
    assert str(error).startswith(f"stack c: words of {code}")
    assert advice in str(error)


@pytest.mark.parametrize(
    "error",
    [
        answer("Throttling"),
        answer("Whatever", 503),
        EndpointConnectionError(endpoint_url="https://x"),
        ResponseParserError("<html>"),
    ],
    ids=str,
)
def test_no_answer_may_come_later(error: Exception) -> None:
    assert isinstance(told(error), CloudUnavailable)


def test_credentials_that_are_missing_or_over() -> None:
    assert isinstance(told(NoCredentialsError()), ConfigProblem)
    assert "aws sso login" in str(told(TokenRetrievalError(provider="sso", error_msg="expired")))


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any configuration; returns the directory of the files."""
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


def test_without_a_region_nothing_is_asked(no_settings: Path) -> None:
    with pytest.raises(ConfigProblem, match="no region"):
        AwsAccount(Aws()).has_keypair("k")


def test_a_profile_that_there_is_not(no_settings: Path) -> None:
    with pytest.raises(ConfigProblem, match="AWS profile 'nope'"):
        _ = Aws("nope").region


@pytest.mark.parametrize(
    ("more", "problem"),
    [("aws_session_token = t\n", "has keys that expire"), (None, "has no keys")],
)
def test_keys_on_which_a_cluster_could_not_live_are_refused(
    no_settings: Path, monkeypatch: pytest.MonkeyPatch, more: str | None, problem: str
) -> None:
    """The check happens before any request to AWS."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    keys = "" if more is None else f"aws_access_key_id = k\naws_secret_access_key = very-secret\n{more}"
    (no_settings / "AWS_SHARED_CREDENTIALS_FILE").write_text(f"[jobs]\n{keys}")
    (no_settings / "AWS_CONFIG_FILE").write_text("[profile jobs]\nregion = us-east-1\n")

    with pytest.raises(ConfigProblem, match=problem) as refused:
        AwsAccount(Aws()).keep_secret("c", "jobs")

    assert "very-secret" not in str(refused.value)
