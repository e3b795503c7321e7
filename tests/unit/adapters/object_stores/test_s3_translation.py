"""Answers of S3 services and botocore, translated into cloudq's errors."""

from __future__ import annotations

import botocore.exceptions
import pytest

from cloudq.adapters.object_stores.s3.errors import (
    CODES,
    EXCEPTIONS,
    STATUSES,
    WORDINGS,
    AnswerMeaning,
    AnswerVerdict,
    BucketPlace,
    SentRequest,
    printable,
    verdict_on_answer,
    verdict_on_exception,
)
from cloudq.domain.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    StoreProblem,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
)

PLACE = BucketPlace("jobs", "http://127.0.0.1:9000")
GUARDED = SentRequest(PLACE, "a/key", conditional=True)
PLAIN = SentRequest(PLACE, "a/key")
NEWER_THAN_THE_OLDEST_BOTOCORE = {"LoginError"}
OF_THE_BUCKET = SentRequest(PLACE)


# The tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "code", "status", "expected"),
    [
        (PLAIN, "NoSuchKey", 404, ObjectNotFound),
        (PLAIN, "", 404, ObjectNotFound),
        (GUARDED, "NoSuchKey", 404, PreconditionFailed),
        (GUARDED, "PreconditionFailed", 412, PreconditionFailed),
        (GUARDED, "ConditionalRequestConflict", 409, WriteConflict),
        (GUARDED, "OperationAborted", 409, WriteConflict),
        (OF_THE_BUCKET, "", 404, StoreRefused),
        (GUARDED, "NoSuchBucket", 404, StoreRefused),
        (PLAIN, "AccessDenied", 403, StoreRefused),
        (PLAIN, "", 403, StoreRefused),
        (PLAIN, "InvalidAccessKeyId", 403, StoreRefused),
        (PLAIN, "SignatureDoesNotMatch", 403, StoreRefused),
        (PLAIN, "ExpiredToken", 400, StoreRefused),
        (PLAIN, "RequestTimeTooSkewed", 403, StoreRefused),
        (PLAIN, "SomethingNew", 400, StoreRefused),
        (PLAIN, "SlowDown", 503, StoreUnavailable),
        (PLAIN, "", 500, StoreUnavailable),
        (PLAIN, "SomethingNew", 502, StoreUnavailable),
        (PLAIN, "TooManyRequests", 429, StoreUnavailable),
        (PLAIN, "RequestTimeout", 400, StoreUnavailable),
        (GUARDED, "InternalError", 500, OutcomeUnknown),
        (GUARDED, "UnknownError", 500, OutcomeUnknown),
        (GUARDED, "SlowDown", 503, OutcomeUnknown),
    ],
)
def test_an_answer_means(request_: SentRequest, code: str, status: int, expected: type[StoreProblem]) -> None:
    assert type(request_.error(verdict_on_answer(code, status), code)) is expected


@pytest.mark.parametrize(
    ("name", "plain", "guarded"),
    [
        ("EndpointConnectionError", StoreUnavailable, StoreUnavailable),
        ("ConnectTimeoutError", StoreUnavailable, StoreUnavailable),
        ("ProxyConnectionError", StoreUnavailable, StoreUnavailable),
        ("ReadTimeoutError", StoreUnavailable, OutcomeUnknown),
        ("ConnectionClosedError", StoreUnavailable, OutcomeUnknown),
        ("ResponseStreamingError", StoreUnavailable, OutcomeUnknown),
        ("IncompleteReadError", StoreUnavailable, OutcomeUnknown),
        ("SSLError", StoreUnavailable, OutcomeUnknown),
        ("NoCredentialsError", StoreRefused, StoreRefused),
        ("PartialCredentialsError", StoreRefused, StoreRefused),
        ("ProfileNotFound", StoreRefused, StoreRefused),
        ("UnauthorizedSSOTokenError", StoreRefused, StoreRefused),
        ("ParamValidationError", StoreRefused, StoreRefused),
    ],
)
def test_no_answer_means(name: str, plain: type[StoreProblem], guarded: type[StoreProblem]) -> None:
    bases = [kind.__name__ for kind in getattr(botocore.exceptions, name).__mro__]

    assert type(PLAIN.error(verdict_on_exception(bases), "")) is plain
    assert type(GUARDED.error(verdict_on_exception(bases), "")) is guarded


def test_every_exception_in_the_table_is_one_of_botocore() -> None:
    unknown = {name for name in EXCEPTIONS if not hasattr(botocore.exceptions, name)}

    assert unknown <= NEWER_THAN_THE_OLDEST_BOTOCORE


def test_an_untrusted_connection_is_not_tried_again() -> None:
    error = PLAIN.error(verdict_on_exception(["SSLError"], "[SSL: CERTIFICATE_VERIFY_FAILED]"), "")

    assert isinstance(error, StoreRefused)


@pytest.mark.parametrize("verdict", [*CODES.values(), *STATUSES.values(), *EXCEPTIONS.values()])
def test_a_refusal_says_what_where_and_what_to_do(verdict: AnswerVerdict) -> None:
    if verdict.meaning is AnswerMeaning.REFUSED:
        words = str(PLAIN.error(verdict, "the store's words"))

        assert "the store's words" in words
        assert "bucket 'jobs' at http://127.0.0.1:9000" in words
        assert verdict.advice in words
        assert verdict.advice


def test_words_from_a_store_are_short_and_on_one_line() -> None:
    assert printable("two\nlines\x1b[31m") == "two lines [31m"
    assert len(printable("x" * 10_000)) == 200


def test_a_password_in_an_address_is_not_repeated() -> None:
    place = BucketPlace("jobs", "https://me:secret@example.org/s3")

    words = str(SentRequest(place).error(verdict_on_answer("AccessDenied", 403), f"not {place.endpoint}"))

    assert "secret" not in words
    assert "https://example.org/s3" in words


# Messages that are more specific than their code ----------------------------------------------


@pytest.mark.parametrize(
    ("code", "words", "advice"),
    [
        (
            "InvalidRequest",
            "Content-MD5 OR x-amz-checksum- HTTP header is required for requests with Object Lock parameters",
            "set checksums",
        ),
        ("InvalidRequest", "Missing required header for this request: Content-MD5", "set checksums"),
        (
            "AccessDenied",
            "User: arn:aws:iam::1:user/me is not authorized to perform: kms:GenerateDataKey on resource: x",
            "kms:GenerateDataKey",
        ),
        ("AccessDenied", "Access Denied because object protected by object lock.", "Object Lock"),
        (
            "AccessDenied",
            "User: x is not authorized to perform: s3:PutObject on resource: y with an explicit deny",
            "server-side encryption",
        ),
        (
            "AccessDenied",
            "not authorized to perform: s3:ListBucket with an explicit deny",
            "for its conditions",
        ),
        ("InvalidArgument", "Server Side Encryption with AWS KMS managed keys requires https", "check sse"),
        ("AccessDenied", "User: x is not authorized to perform: s3:PutObject on resource: y", "s3:PutObject"),
        ("AccessDenied", "User: x is not authorized to perform: s3:GetObject on resource: y", "s3:GetObject"),
        ("AccessDenied", "not authorized to perform: s3:DeleteObject because no policy", "s3:DeleteObject"),
        ("AccessDenied", "is not authorized to perform: s3:ListBucket on resource: y", "s3:ListBucket"),
        ("AccessDenied", "Access Denied", "docs/doctor.md"),
        ("KMS.DisabledException", "x is disabled.", "the encryption key cannot be used"),
        ("QuotaExceeded", "", "the bucket is full"),
    ],
)
def test_a_refusal_gets_the_advice_that_fits_its_words(code: str, words: str, advice: str) -> None:
    verdict = verdict_on_answer(code, 403, words)

    assert verdict.meaning is AnswerMeaning.REFUSED
    assert advice in verdict.advice


def test_every_wording_is_used_by_a_refusal_above() -> None:
    [table] = test_a_refusal_gets_the_advice_that_fits_its_words.pytestmark
    words = [words for _, words, _ in table.args[1]]
    used = [next((each for each in WORDINGS if each.pattern.search(text)), None) for text in words]

    assert {each.pattern for each in WORDINGS} == {each.pattern for each in used if each}


@pytest.mark.parametrize(
    ("code", "status"), [("PreconditionFailed", 412), ("NoSuchKey", 404), ("SlowDown", 503)]
)
def test_words_never_turn_an_answer_into_a_refusal(code: str, status: int) -> None:
    assert verdict_on_answer(code, status, "object lock kms: explicit deny") == verdict_on_answer(
        code, status
    )
