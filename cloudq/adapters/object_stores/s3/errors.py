"""The translation of errors of S3 services and botocore into cloudq's errors.

The tables contain codes, statuses and class names as plain text, so that nothing of botocore is
imported here. A store's text is shortened and made printable before it enters a message; no part of
a request enters one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto

from attrs import evolve, frozen

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


class AnswerMeaning(Enum):
    """The meaning of an answer, or of its absence, for the request."""

    ABSENT = auto()
    UNCHANGED = auto()
    LOST = auto()
    CONFLICT = auto()
    NO_ANSWER = auto()
    """The outcome is unknown: the request may have been carried out."""
    NOT_SENT = auto()
    """The service was not reached: nothing was carried out."""
    REFUSED = auto()


@frozen
class AnswerVerdict:
    """A meaning, with advice for the user."""

    meaning: AnswerMeaning
    advice: str = ""
    may_be_stale: bool = False
    """True if newer credentials, or the same ones read again, may be accepted."""
    asks_for_checksum: bool = False
    """True if the same request with a checksum may be accepted."""


@frozen
class BucketPlace:
    """A bucket and its endpoint."""

    bucket: str
    endpoint: str

    def __str__(self) -> str:
        return f"bucket {self.bucket!r} at {printable(self.endpoint)}"


_KEYS = AnswerVerdict(
    AnswerMeaning.REFUSED,
    "check the access key and its secret (profile in [store], AWS_* variables, ~/.aws)",
    may_be_stale=True,
)
_EXPIRED = AnswerVerdict(
    AnswerMeaning.REFUSED, "the credentials have expired: log in again or renew them", may_be_stale=True
)
_RIGHTS = AnswerVerdict(
    AnswerMeaning.REFUSED,
    "ask the bucket's owner for the right to list it and to read, write and delete in it; docs/doctor.md "
    "has the names of the rights",
    may_be_stale=True,
)
_KMS = AnswerVerdict(
    AnswerMeaning.REFUSED,
    "the encryption key cannot be used: check sse_kms_key_id in [store], and ask the key's owner for "
    "kms:GenerateDataKey and kms:Decrypt",
)
_QUOTA = AnswerVerdict(
    AnswerMeaning.REFUSED, "the bucket is full: delete finished jobs, or ask for a larger quota"
)
_REGION = AnswerVerdict(AnswerMeaning.REFUSED, "set region in [store] to the bucket's region")
_BUSY = AnswerVerdict(AnswerMeaning.NO_ANSWER)

CODES: dict[str, AnswerVerdict] = {
    "NoSuchKey": AnswerVerdict(AnswerMeaning.ABSENT),
    "NotModified": AnswerVerdict(AnswerMeaning.UNCHANGED),
    "PreconditionFailed": AnswerVerdict(AnswerMeaning.LOST),
    "ConditionalRequestConflict": AnswerVerdict(AnswerMeaning.CONFLICT),
    "OperationAborted": AnswerVerdict(AnswerMeaning.CONFLICT),
    "NoSuchBucket": AnswerVerdict(
        AnswerMeaning.REFUSED, "check bucket and endpoint_url in [store], or create the bucket"
    ),
    "InvalidBucketName": AnswerVerdict(AnswerMeaning.REFUSED, "check bucket in [store]"),
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "AccountProblem": _RIGHTS,
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "InvalidSecurity": _KEYS,
    "InvalidClientTokenId": _KEYS,
    "UnrecognizedClientException": _KEYS,
    "InvalidToken": _EXPIRED,
    "InvalidTokenId": _EXPIRED,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "KMS.AccessDeniedException": _KMS,
    "KMS.DisabledException": _KMS,
    "KMS.InvalidKeyUsageException": _KMS,
    "KMS.InvalidStateException": _KMS,
    "KMS.KMSInvalidStateException": _KMS,
    "KMS.NotFoundException": _KMS,
    "QuotaExceeded": _QUOTA,
    "XMinioAdminBucketQuotaExceeded": _QUOTA,
    "XMinioStorageFull": _QUOTA,
    "RequestTimeTooSkewed": AnswerVerdict(AnswerMeaning.REFUSED, "this machine's clock is wrong: set it"),
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "NotImplemented": AnswerVerdict(
        AnswerMeaning.REFUSED, "the store lacks something that cloudq needs: use another one"
    ),
    "RequestTimeout": _BUSY,
    "RequestTimeTooLong": _BUSY,
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "TooManyRequests": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
}
"""The meaning of the service's error codes, which take precedence over the status."""


@frozen
class Wording:
    """A pattern for messages of a refusal that explain more than its code."""

    pattern: re.Pattern[str]
    verdict: AnswerVerdict


def _worded(pattern: str, advice: str, *, asks_for_checksum: bool = False) -> Wording:
    verdict = AnswerVerdict(AnswerMeaning.REFUSED, advice, asks_for_checksum=asks_for_checksum)
    return Wording(re.compile(pattern, re.IGNORECASE), verdict)


WORDINGS = (
    _worded(
        "content-md5 or x-amz-checksum|(?:missing|required).*content-md5|content-md5.*required",
        'set checksums = "always" in [store]: the bucket rejects objects without a checksum',
        asks_for_checksum=True,
    ),
    _worded(
        r"\bkms:",
        "ask the owner of the encryption key for kms:GenerateDataKey and kms:Decrypt, or set another "
        "sse_kms_key_id in [store]",
    ),
    _worded(
        "object lock",
        "the bucket protects its objects for a time (Object Lock): use a bucket without a default retention, "
        "or wait until the time is over",
    ),
    _worded(
        r"s3:putobject\b.*explicit deny|explicit deny.*s3:putobject\b",
        "a policy forbids this write: it may require server-side encryption, which sse and "
        "sse_kms_key_id in [store] set",
    ),
    _worded(
        "explicit deny",
        "a policy forbids this request: ask the bucket's owner for its conditions (network, region, "
        "encryption)",
    ),
    _worded("server.side encryption|x-amz-server-side-encryption", "check sse and sse_kms_key_id in [store]"),
    _worded("s3:putobject", "ask the bucket's owner for the right s3:PutObject"),
    _worded("s3:getobject", "ask the bucket's owner for the right s3:GetObject"),
    _worded("s3:deleteobject", "ask the bucket's owner for the right s3:DeleteObject"),
    _worded("s3:listbucket", "ask the bucket's owner for the right s3:ListBucket"),
)
"""Tried in order, for refusals only; the first one that matches gives the advice."""

STATUSES: dict[int, AnswerVerdict] = {
    301: _REGION,
    304: AnswerVerdict(AnswerMeaning.UNCHANGED),
    307: _BUSY,
    401: _KEYS,
    403: _RIGHTS,
    404: AnswerVerdict(AnswerMeaning.ABSENT),
    408: _BUSY,
    409: AnswerVerdict(AnswerMeaning.CONFLICT),
    412: AnswerVerdict(AnswerMeaning.LOST),
    429: _BUSY,
}
"""The meaning of statuses, for answers without a body (HEAD) and codes that only one store uses."""

_NOT_REACHED = AnswerVerdict(AnswerMeaning.NOT_SENT, "check endpoint_url in [store] and the network")
_NO_TRUST = AnswerVerdict(
    AnswerMeaning.REFUSED,
    "no trusted connection: check endpoint_url, or set AWS_CA_BUNDLE for your own certificate authority",
)
_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")
_SETTINGS = AnswerVerdict(AnswerMeaning.REFUSED, "check [store] in the configuration")

EXCEPTIONS: dict[str, AnswerVerdict] = {
    "EndpointConnectionError": _NOT_REACHED,
    "ConnectTimeoutError": _NOT_REACHED,
    "ProxyConnectionError": _NOT_REACHED,
    "SSLError": _BUSY,
    "HTTPClientError": _BUSY,  # read time-outs, closed connections, broken streams
    "IncompleteReadError": _BUSY,
    "FlexibleChecksumError": _BUSY,
    "ConnectionError": _BUSY,
    "NoCredentialsError": AnswerVerdict(
        AnswerMeaning.REFUSED,
        "no credentials were found: set profile in [store], AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
        " or ~/.aws",
        may_be_stale=True,
    ),
    "PartialCredentialsError": _KEYS,
    "CredentialRetrievalError": _KEYS,
    "MetadataRetrievalError": _KEYS,
    "TokenRetrievalError": _EXPIRED,
    "SSOError": _EXPIRED,
    "LoginError": _EXPIRED,
    "ProfileNotFound": AnswerVerdict(AnswerMeaning.REFUSED, "check profile in [store] against ~/.aws/config"),
    "ParamValidationError": AnswerVerdict(AnswerMeaning.REFUSED, "check bucket in [store]"),
    "BotoCoreError": _SETTINGS,
}
"""The meaning of exceptions, by the name of the class or of its nearest base that is listed."""


def verdict_on_answer(code: str, status: int, words: str = "") -> AnswerVerdict:
    """Return the meaning of an error answer; its message *words* may specify what the code leaves open."""
    verdict = _by_code(code, status)
    if verdict.meaning is not AnswerMeaning.REFUSED:
        return verdict
    worded = next((wording.verdict for wording in WORDINGS if wording.pattern.search(words)), None)
    if worded is None:
        return verdict
    return evolve(worded, may_be_stale=verdict.may_be_stale)


def _by_code(code: str, status: int) -> AnswerVerdict:
    if code in CODES:
        return CODES[code]
    if status in STATUSES:
        return STATUSES[status]
    return _BUSY if status >= 500 else AnswerVerdict(AnswerMeaning.REFUSED)


def verdict_on_exception(names: Iterable[str], words: str = "") -> AnswerVerdict:
    """Return the meaning of a missing answer; *names*: the exception's class and bases, nearest first."""
    if any(sign in words for sign in _UNTRUSTED):
        return _NO_TRUST
    return next((EXCEPTIONS[name] for name in names if name in EXCEPTIONS), _SETTINGS)


@frozen
class SentRequest:
    """The parts of a request that decide the meaning of an answer."""

    place: BucketPlace
    key: str = ""
    conditional: bool = False

    def error(self, verdict: AnswerVerdict, words: str) -> StoreProblem:
        """Return the error to raise for an answer other than success."""
        meaning = verdict.meaning
        if meaning is AnswerMeaning.ABSENT:
            return self._absent()
        if meaning is AnswerMeaning.LOST:
            return PreconditionFailed(f"{self.key} does not meet the condition of the write")
        kind = _KINDS[meaning]
        if meaning is AnswerMeaning.NO_ANSWER and self.conditional:
            kind = OutcomeUnknown
        what = f"{self.place}: {printable(words) or 'no answer'}"
        if kind is StoreRefused:
            return StoreRefused(what, verdict.advice)
        return kind("; ".join(filter(None, (what, verdict.advice))))

    def _absent(self) -> StoreProblem:
        if self.conditional:
            return PreconditionFailed(f"{self.key} is gone")
        if self.key:
            return ObjectNotFound(self.key)
        return StoreRefused(f"{self.place} does not exist; {CODES['NoSuchBucket'].advice}")


_KINDS: dict[AnswerMeaning, type[StoreProblem]] = {
    AnswerMeaning.UNCHANGED: StoreRefused,  # the request did not ask whether it changed
    AnswerMeaning.CONFLICT: WriteConflict,
    AnswerMeaning.NO_ANSWER: StoreUnavailable,
    AnswerMeaning.NOT_SENT: StoreUnavailable,
    AnswerMeaning.REFUSED: StoreRefused,
}


def printable(words: str) -> str:
    """Return a store's message, short, on one line, without passwords and queries in addresses."""
    words = _QUERY.sub(r"\1", _USERINFO.sub("//", words))
    text = "".join(letter if letter.isprintable() else " " for letter in words)
    return " ".join(text.split())[:MAX_FOREIGN_WORDS]
