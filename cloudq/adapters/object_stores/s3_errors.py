"""What S3 services and botocore say, as cloudq's errors.

Tables of codes, statuses and class names as plain text, so that nothing of botocore is imported
here. Words from a store reach a message only short and printable; no part of a request does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto

from attrs import frozen

from cloudq.domain.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    StoreProblem,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
)

MAX_FOREIGN_WORDS = 200

_USERINFO = re.compile(r"//[^/@\s]*@")
_QUERY = re.compile(r"(https?://[^\s\"'?]*)\?[^\s\"']*")


class Meaning(Enum):
    """What an answer, or its absence, says about the request."""

    ABSENT = auto()
    UNCHANGED = auto()
    LOST = auto()
    CONFLICT = auto()
    NO_ANSWER = auto()
    """Nothing is known: it may have been done."""
    NOT_SENT = auto()
    """The service was not reached: nothing was done."""
    REFUSED = auto()


@frozen
class Verdict:
    """A meaning, and what a user can do about it."""

    meaning: Meaning
    advice: str = ""


@frozen
class Place:
    """Which bucket, and where."""

    bucket: str
    endpoint: str

    def __str__(self) -> str:
        return f"bucket {self.bucket!r} at {printable(self.endpoint)}"


_KEYS = Verdict(
    Meaning.REFUSED, "check the access key and its secret (profile in [store], AWS_* variables, ~/.aws)"
)
_EXPIRED = Verdict(Meaning.REFUSED, "the credentials have expired: log in again or renew them")
_RIGHTS = Verdict(
    Meaning.REFUSED, "ask the bucket's owner for the right to list it and to read, write and delete in it"
)
_REGION = Verdict(Meaning.REFUSED, "set region in [store] to the bucket's")
_BUSY = Verdict(Meaning.NO_ANSWER)

CODES: dict[str, Verdict] = {
    "NoSuchKey": Verdict(Meaning.ABSENT),
    "NotModified": Verdict(Meaning.UNCHANGED),
    "PreconditionFailed": Verdict(Meaning.LOST),
    "ConditionalRequestConflict": Verdict(Meaning.CONFLICT),
    "OperationAborted": Verdict(Meaning.CONFLICT),
    "NoSuchBucket": Verdict(
        Meaning.REFUSED, "check bucket and endpoint_url in [store], or create the bucket"
    ),
    "InvalidBucketName": Verdict(Meaning.REFUSED, "check bucket in [store]"),
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "AccountProblem": _RIGHTS,
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "InvalidSecurity": _KEYS,
    "InvalidToken": _EXPIRED,
    "ExpiredToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestTimeTooSkewed": Verdict(Meaning.REFUSED, "this machine's clock is wrong: set it"),
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "NotImplemented": Verdict(Meaning.REFUSED, "the store lacks something cloudq needs: take another one"),
    "RequestTimeout": _BUSY,
    "RequestTimeTooLong": _BUSY,
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "TooManyRequests": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
}
"""What the service's own words mean; they go before the status."""

STATUSES: dict[int, Verdict] = {
    301: _REGION,
    304: Verdict(Meaning.UNCHANGED),
    307: _BUSY,
    401: _KEYS,
    403: _RIGHTS,
    404: Verdict(Meaning.ABSENT),
    408: _BUSY,
    409: Verdict(Meaning.CONFLICT),
    412: Verdict(Meaning.LOST),
    429: _BUSY,
}
"""For answers without a body (HEAD) and codes that only one store uses."""

_NOT_REACHED = Verdict(Meaning.NOT_SENT, "check endpoint_url in [store] and the network")
_NO_TRUST = Verdict(
    Meaning.REFUSED,
    "no trusted connection: check endpoint_url, or set AWS_CA_BUNDLE for an authority of your own",
)
_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")
_SETTINGS = Verdict(Meaning.REFUSED, "check [store] in the configuration")

EXCEPTIONS: dict[str, Verdict] = {
    "EndpointConnectionError": _NOT_REACHED,
    "ConnectTimeoutError": _NOT_REACHED,
    "ProxyConnectionError": _NOT_REACHED,
    "SSLError": _BUSY,
    "HTTPClientError": _BUSY,  # read time-outs, closed connections, broken streams
    "IncompleteReadError": _BUSY,
    "FlexibleChecksumError": _BUSY,
    "ConnectionError": _BUSY,
    "NoCredentialsError": Verdict(
        Meaning.REFUSED,
        "no credentials were found: set profile in [store], AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
        " or ~/.aws",
    ),
    "PartialCredentialsError": _KEYS,
    "CredentialRetrievalError": _KEYS,
    "MetadataRetrievalError": _KEYS,
    "TokenRetrievalError": _EXPIRED,
    "SSOError": _EXPIRED,
    "LoginError": _EXPIRED,
    "ProfileNotFound": Verdict(Meaning.REFUSED, "check profile in [store] against ~/.aws/config"),
    "ParamValidationError": Verdict(Meaning.REFUSED, "check bucket in [store]"),
    "BotoCoreError": _SETTINGS,
}
"""By name of the class or of its nearest base that is listed."""


def verdict_on_answer(code: str, status: int) -> Verdict:
    """What a service's error answer means."""
    if code in CODES:
        return CODES[code]
    if status in STATUSES:
        return STATUSES[status]
    return _BUSY if status >= 500 else Verdict(Meaning.REFUSED)


def verdict_on_exception(names: Iterable[str], words: str = "") -> Verdict:
    """What it means that no answer came; *names*: the exception's class and its bases, nearest first."""
    if any(sign in words for sign in _UNTRUSTED):
        return _NO_TRUST
    return next((EXCEPTIONS[name] for name in names if name in EXCEPTIONS), _SETTINGS)


@frozen
class Request:
    """What was asked, as far as it decides what an answer means."""

    place: Place
    key: str = ""
    conditional: bool = False

    def error(self, verdict: Verdict, words: str) -> StoreProblem:
        """The error to raise for an answer other than success."""
        meaning = verdict.meaning
        if meaning is Meaning.ABSENT:
            return self._absent()
        if meaning is Meaning.LOST:
            return PreconditionFailed(f"{self.key} is not as the write expected it")
        kind = _KINDS[meaning]
        if meaning is Meaning.NO_ANSWER and self.conditional:
            kind = OutcomeUnknown
        what = printable(words) or "no answer"
        return kind("; ".join(filter(None, (f"{self.place}: {what}", verdict.advice))))

    def _absent(self) -> StoreProblem:
        if self.conditional:
            return PreconditionFailed(f"{self.key} is gone")
        if self.key:
            return ObjectNotFound(self.key)
        return StoreRefused(f"{self.place} is not there; {CODES['NoSuchBucket'].advice}")


_KINDS: dict[Meaning, type[StoreProblem]] = {
    Meaning.UNCHANGED: StoreRefused,  # where nobody asked whether it changed
    Meaning.CONFLICT: WriteConflict,
    Meaning.NO_ANSWER: StoreUnavailable,
    Meaning.NOT_SENT: StoreUnavailable,
    Meaning.REFUSED: StoreRefused,
}


def printable(words: str) -> str:
    """A store's words, short, on one line, without passwords and queries in addresses."""
    words = _QUERY.sub(r"\1", _USERINFO.sub("//", words))
    text = "".join(letter if letter.isprintable() else " " for letter in words)
    return " ".join(text.split())[:MAX_FOREIGN_WORDS]
