"""AWS sessions, and the translation of AWS failures into cloudq's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from cloudq.domain.errors import CloudRefused, CloudUnavailable, ConfigProblem

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=10, read_timeout=60)

_EXPIRED = (
    "your AWS credentials have expired: get new ones ('aws sso login', or as your organisation issues them), "
    "then run the same command again: it continues where it stopped"
)
_WRONG = "check the keys of your AWS profile ('aws sts get-caller-identity' shows whether they are valid)"
_RIGHTS = "you lack the permission: docs/aws.md names the policy that you need"

_QUOTA = "a quota of your account is exhausted: release resources, or ask for more under Service Quotas"

_ADVICE = {
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"), _EXPIRED
    ),
    **dict.fromkeys(
        ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure",
         "SignatureDoesNotMatch", "IncompleteSignature"),
        _WRONG,
    ),
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"), _RIGHTS
    ),
    **dict.fromkeys(("LimitExceeded", "LimitExceededException"), _QUOTA),
}  # fmt: skip

_BUSY = {
    "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown",
    "ServiceUnavailable", "InternalError", "InternalFailure", "InternalServiceError", "RequestTimeout",
}  # fmt: skip


class Aws:
    """One of the user's AWS profiles, with clients that are created at first use."""

    def __init__(self, profile: str = "") -> None:
        self.profile = profile
        self._clients: dict[str, Any] = {}
        self._session: boto3.Session | None = None

    @property
    def session(self) -> boto3.Session:
        """The boto3 session. Raises `ConfigProblem` if the profile does not exist."""
        if self._session is None:
            try:
                self._session = boto3.Session(profile_name=self.profile or None)
            except ProfileNotFound as error:
                raise ConfigProblem(f"AWS profile {self.profile!r} does not exist in ~/.aws") from error
        return self._session

    @property
    def region(self) -> str:
        """The region that the profile or the environment names. Raises `ConfigProblem` if there is none."""
        region = self.session.region_name
        if not region:
            raise ConfigProblem(
                "no region: name one in your AWS profile ('aws configure set region REGION'), or in "
                "AWS_DEFAULT_REGION"
            )
        return region

    @property
    def cloudformation(self) -> CloudFormationClient:
        client: CloudFormationClient = self._client("cloudformation")
        return client

    @property
    def ec2(self) -> EC2Client:
        client: EC2Client = self._client("ec2")
        return client

    @property
    def logs(self) -> CloudWatchLogsClient:
        client: CloudWatchLogsClient = self._client("logs")
        return client

    @property
    def s3(self) -> S3Client:
        client: S3Client = self._client("s3")
        return client

    @property
    def secrets(self) -> SecretsManagerClient:
        client: SecretsManagerClient = self._client("secretsmanager")
        return client

    @property
    def sts(self) -> STSClient:
        client: STSClient = self._client("sts")
        return client

    def _client(self, service: str) -> Any:
        region = self.region
        if service not in self._clients:
            with as_cloud_problem(service):
                self._clients[service] = self.session.client(service, region_name=region, config=_CONFIG)  # type: ignore[call-overload]
        return self._clients[service]


@contextmanager
def as_cloud_problem(what: str) -> Iterator[None]:
    """Translate boto3's errors in the block into cloudq's, with advice for the user if there is any."""
    try:
        yield
    except ClientError as error:
        raise _answer(what, error) from error
    except BotoCoreError as error:
        raise _no_answer(what, error) from error
    except ResponseParserError as error:  # for example, the page of a proxy
        raise CloudUnavailable(f"{what}: the response is not from AWS") from error


def code_of(error: ClientError) -> str:
    """Return the service's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def words_of(error: ClientError) -> str:
    """Return the service's error message, on one line."""
    return " ".join(str(error.response.get("Error", {}).get("Message", "")).split())


def _answer(what: str, error: ClientError) -> Exception:
    code = code_of(error)
    message = "; ".join(filter(None, (f"{what}: {words_of(error) or code}", _ADVICE.get(code))))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return CloudUnavailable(message) if code in _BUSY or status >= 500 else CloudRefused(message)


def _no_answer(what: str, error: BotoCoreError) -> Exception:
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return ConfigProblem(
            f"{what}: no AWS credentials: run 'aws configure', or name an AWS profile that has some"
        )
    if isinstance(error, NoRegionError):
        return ConfigProblem(f"{what}: no region: name one in your AWS profile, or in AWS_DEFAULT_REGION")
    if isinstance(error, CredentialRetrievalError | TokenRetrievalError | SSOError):
        return CloudRefused(f"{what}: {error}; {_EXPIRED}")
    return CloudUnavailable(f"{what}: {error}")
