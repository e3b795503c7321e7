"""Clients of S3 services, and their failures as cloudq's errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from cloudq.adapters.object_stores.s3_errors import (
    Place,
    Request,
    Verdict,
    verdict_on_answer,
    verdict_on_exception,
)
from cloudq.adapters.object_stores.s3_models import new_session
from cloudq.domain.errors import StoreRefused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Result = TypeVar("Result")
# A service out of reach is one trouble, told once, whatever was asked of it; its address is told anyway.
_WHICH_OBJECT = re.compile(r': "https?://[^"]*"')
Settings = Mapping[str, Any]

MAX_CONNECTIONS = 32

# Tried once: a hidden repetition of a conditional PUT would make our own write look like a lost race.
CONTROL: Settings = {
    "retries": {"total_max_attempts": 1, "mode": "standard"},
    "connect_timeout": 4,
    "read_timeout": 8,
}
BULK: Settings = {
    "retries": {"total_max_attempts": 5, "mode": "standard"},
    "connect_timeout": 10,
    "read_timeout": 60,
}
FAILURES = (ClientError, BotoCoreError, S3UploadFailedError)

_Style = Literal["auto", "virtual", "path"]
_ANY_REGION = "us-east-1"  # services other than Amazon's hardly care, but a signature needs one


def connector(
    place: Place, endpoint_url: str, profile: str, region: str, addressing_style: str
) -> Callable[[Settings], S3Client]:
    """What opens a client, given the settings by which clients differ."""

    def open_client(settings: Settings) -> S3Client:
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": cast(_Style, addressing_style)},
            # The checksums of newer versions of botocore are refused by many stores.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=MAX_CONNECTIONS,
            **settings,
        )
        name = region or session.region_name or (_ANY_REGION if endpoint_url else None)
        return session.client("s3", endpoint_url=endpoint_url or None, region_name=name, config=config)

    def connect(settings: Settings) -> S3Client:
        try:
            return ask(Request(place), lambda: open_client(settings))
        except ValueError as error:
            raise StoreRefused(f"{place}: not an address of a service; check endpoint_url") from error

    session = ask(Request(place), lambda: new_session(profile))
    return connect


def ask(request: Request, call: Callable[[], Result]) -> Result:
    """What *call* returns; its failure as one of cloudq's errors."""
    try:
        return call()
    except FAILURES as error:
        raise request.error(*judge(error)) from error


def judge(error: BaseException) -> tuple[Verdict, str]:
    """What a failure means, and the words for it."""
    if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, ClientError):
        return judge(error.__context__)
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        message = error.response.get("Error", {}).get("Message") or ""  # Ceph sends none
        return verdict_on_answer(error_code(error), status), f"{error_code(error)} {message}"
    names = [kind.__name__ for kind in type(error).__mro__]
    words = _WHICH_OBJECT.sub("", str(error))
    return verdict_on_exception(names, str(error)), f"{words}{_reason(error)}"


def _reason(error: BaseException) -> str:
    """Why there was no connection, which botocore knows but does not say."""
    inner = getattr(error, "kwargs", {}).get("error")
    if not isinstance(error, EndpointConnectionError) or inner is None:
        return ""
    return f" ({str(inner).rpartition(': ')[2]})"


def error_code(error: BaseException) -> str:
    """The service's word for what went wrong, or nothing."""
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
