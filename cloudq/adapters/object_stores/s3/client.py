"""Clients of S3 services, and the translation of their failures into cloudq's errors."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from attrs import frozen
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from cloudq.adapters.object_stores.s3.errors import (
    AnswerVerdict,
    BucketPlace,
    SentRequest,
    verdict_on_answer,
    verdict_on_exception,
)
from cloudq.adapters.object_stores.s3.models import new_session
from cloudq.domain.errors import StoreProblem, StoreRefused

if TYPE_CHECKING:
    import boto3
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

Result = TypeVar("Result")
# A service that cannot be reached is reported once, not per object; its address is in the message anyway.
_WHICH_OBJECT = re.compile(r': "https?://[^"]*"')
Settings = Mapping[str, Any]

MAX_CONNECTIONS = 32

RENEW_EVERY_S = 5.0
"""The shortest time between two reads: wrong keys must not cause files to be read with every request."""


@frozen
class Use:
    """The purpose of a client, with its retries and time-outs."""

    name: str
    settings: Settings


# One attempt: a hidden retry of a conditional PUT would make our own write look like a lost race.
CONTROL = Use(
    "control",
    {
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "connect_timeout": 4,
        "read_timeout": 8,
    },
)
BULK = Use(
    "bulk",
    {
        "retries": {"total_max_attempts": 5, "mode": "standard"},
        "connect_timeout": 10,
        "read_timeout": 60,
    },
)
FAILURES = (ClientError, BotoCoreError, S3UploadFailedError)

_Style = Literal["auto", "virtual", "path"]
_ANY_REGION = "us-east-1"  # most other services ignore it, but a signature needs one


@frozen(kw_only=True)
class Address:
    """The address of a service, and how to connect to it."""

    place: BucketPlace
    endpoint_url: str = ""
    profile: str = ""
    region: str = ""
    addressing_style: str = "auto"
    checksums: str = "auto"
    """``auto``: once the service has requested them; ``always``: with every object that is written."""


class Connections:
    """The clients of one service, opened when they are needed. Safe to use in threads.

    Keys may be renewed while this runs (single sign-on, rotation): a client whose credentials were
    refused is replaced by one that has read them again, if they have changed. A client without
    checksums is replaced, too, if the service requests them.
    """

    def __init__(self, address: Address, elapsed: Callable[[], float]) -> None:
        self._address = address
        self._elapsed = elapsed
        self._has_checksums = address.checksums == "always"
        self._lock = threading.Lock()
        self._clients: dict[str, S3Client] = {}
        self._renewal_tried_at: float | None = None
        self._session = ask(SentRequest(address.place), self._new_session)
        self._credentials: Credentials | None = None  # those of the open clients

    def client(self, use: Use) -> S3Client:
        """Return the client for *use*; nothing is sent."""
        with self._lock:
            if use.name not in self._clients:
                self._clients[use.name] = self._open(use)
            return self._clients[use.name]

    def attempt(self, use: Use, call: Callable[[S3Client], Result]) -> Result:
        """Return the result of *call*, which is called again with a new client if that may help."""
        client = self.client(use)
        try:
            return call(client)
        except FAILURES as error:
            verdict, _ = judge(error)
            if not self._has_better(use, client, verdict):
                raise
        return call(self.client(use))

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _new_session(self) -> boto3.Session:
        return new_session(self._address.profile)

    def _open(self, use: Use) -> S3Client:
        try:
            return ask(SentRequest(self._address.place), lambda: self._opened(use.settings))
        except ValueError as error:
            raise StoreRefused(
                f"{self._address.place}: not an address of a service", "check endpoint_url"
            ) from error

    def _opened(self, settings: Settings) -> S3Client:
        address, endpoint = self._address, self._address.endpoint_url
        self._credentials = self._session.get_credentials()
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": cast(_Style, address.addressing_style)},
            # Many stores refuse the checksums of newer versions of botocore.
            request_checksum_calculation="when_supported" if self._has_checksums else "when_required",
            response_checksum_validation="when_required",
            max_pool_connections=MAX_CONNECTIONS,
            **settings,
        )
        region = address.region or self._session.region_name or (_ANY_REGION if endpoint else None)
        return self._session.client("s3", endpoint_url=endpoint or None, region_name=region, config=config)

    def _has_better(self, use: Use, refused: S3Client, verdict: AnswerVerdict) -> bool:
        """Return whether there is now another client that may succeed where *refused* did not."""
        if not (verdict.may_be_stale or verdict.asks_for_checksum):
            return False
        with self._lock:
            if self._clients.get(use.name) is not refused:
                return True  # another thread got the same refusal
            if verdict.asks_for_checksum:
                is_better, self._has_checksums = not self._has_checksums, True
            else:
                is_better = self._reads_other_credentials()
            if is_better:
                self._clients = {}  # clients in use elsewhere end with their requests
            return is_better

    def _reads_other_credentials(self) -> bool:
        """Read the credentials again, at most every few seconds; return whether they differ."""
        now = self._elapsed()
        if self._renewal_tried_at is not None and now - self._renewal_tried_at < RENEW_EVERY_S:
            return False
        self._renewal_tried_at = now
        try:
            session = self._new_session()
            differs = _keys(session.get_credentials()) not in (None, _keys(self._credentials))
        except BotoCoreError:
            return False  # the refusal of the request names the problem
        if differs:
            self._session = session
        return differs


def _keys(credentials: Credentials | None) -> tuple[str | None, ...] | None:
    if credentials is None:
        return None
    keys = credentials.get_frozen_credentials()
    return (keys.access_key, keys.secret_key, keys.token)


def ask(request: SentRequest, call: Callable[[], Result]) -> Result:
    """Return the result of *call*; raise a failure as one of cloudq's errors."""
    try:
        return call()
    except FAILURES as error:
        raise problem_of(request, error) from error


def problem_of(request: SentRequest, error: BaseException) -> StoreProblem:
    """Return one of cloudq's errors for a failure, dated if the service answered."""
    problem = request.error(*judge(error))
    problem.date = date_of(error.response) if isinstance(error, ClientError) else None
    return problem


def date_of(answer: Mapping[str, Any]) -> datetime | None:
    """Return when the store answered, by its own clock; None if the answer has no date."""
    words = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(words).astimezone(UTC)
    except ValueError:
        return None


def judge(error: BaseException) -> tuple[AnswerVerdict, str]:
    """Return the meaning of a failure, and its message."""
    if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, ClientError):
        return judge(error.__context__)
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        message = error.response.get("Error", {}).get("Message") or ""  # Ceph sends none
        return verdict_on_answer(error_code(error), status, message), f"{error_code(error)} {message}"
    names = [kind.__name__ for kind in type(error).__mro__]
    words = _WHICH_OBJECT.sub("", str(error))
    return verdict_on_exception(names, str(error)), f"{words}{_reason(error)}"


def _reason(error: BaseException) -> str:
    """Return why there was no connection, which botocore's message leaves out."""
    inner = getattr(error, "kwargs", {}).get("error")
    if not isinstance(error, EndpointConnectionError) or inner is None:
        return ""
    return f" ({str(inner).rpartition(': ')[2]})"


def error_code(error: BaseException) -> str:
    """Return the service's error code; empty if there is none."""
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
