"""A bucket of Amazon S3 or of a compatible service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen
from boto3.s3.transfer import TransferConfig

from cloudq.adapters.filesystem import noted, write_new_file
from cloudq.adapters.object_stores.s3.client import (
    BULK,
    CONTROL,
    FAILURES,
    Address,
    Connections,
    Result,
    Use,
    ask,
    date_of,
    error_code,
    judge,
    problem_of,
)
from cloudq.adapters.object_stores.s3.errors import AnswerMeaning, BucketPlace, SentRequest, verdict_on_answer
from cloudq.adapters.object_stores.s3.settings import S3SettingsReader
from cloudq.adapters.object_stores.s3.upload import PART_BYTES, StreamUpload
from cloudq.adapters.object_stores.streams import PIECE_BYTES, at_most, resumed, too_large
from cloudq.domain.errors import PreconditionFailed, StoreRefused, StoreUnavailable
from cloudq.domain.stores.bucket_settings import BucketSettings
from cloudq.domain.stores.endpoint import PLAIN_HTTP, is_plain_http
from cloudq.ports.object_store import (
    MAX_CONTROL_BYTES,
    ListedObject,
    ListPage,
    StoredObject,
    Unchanged,
    UnfinishedUpload,
    forget_progress,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        DeleteTypeDef,
        GetObjectOutputTypeDef,
        ListMultipartUploadsOutputTypeDef,
    )

MAX_PAGE = 1000
MAX_DELETED_AT_ONCE = 1000

_QUOTED = '"{}"'
_BARE = "{}"
_NO_MULTI_DELETE = frozenset({"NotImplemented", "MissingContentMD5"})


@frozen
class Encryption:
    """The encryption of objects that is requested from the service."""

    algorithm: str = ""
    """``AES256``, ``aws:kms``, ``aws:kms:dsse``, or empty for the bucket's default."""
    kms_key_id: str = ""
    """Empty for the account's own S3 key."""

    def as_arguments(self) -> Mapping[str, Any]:
        """Return the arguments for a request that writes an object."""
        if not self.algorithm:
            return {}
        arguments: dict[str, Any] = {"ServerSideEncryption": self.algorithm}
        if self.kms_key_id:
            arguments["SSEKMSKeyId"] = self.kms_key_id
        return arguments


NO_ENCRYPTION = Encryption()

_TRANSFER = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)


class S3Store:
    """The port `ObjectStore` over a bucket of an S3 service. Nothing is sent before the first call.

    Each control request is tried once: `RetryingStore` has the retry policy. An empty *endpoint_url*
    means Amazon S3; credentials come from where boto3 looks for them. *elapsed* is a clock in
    seconds, which limits how often credentials are read again. Safe to use in threads.
    """

    def __init__(
        self,
        *,
        bucket: str,
        endpoint_url: str = "",
        prefix: str = "",
        profile: str = "",
        region: str = "",
        addressing_style: str = "auto",
        checksums: str = "auto",
        encryption: Encryption = NO_ENCRYPTION,
        allow_plain_http: bool = False,
        elapsed: Callable[[], float],
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix
        address = Address(
            place=BucketPlace(bucket, endpoint_url or "Amazon S3"),
            endpoint_url=endpoint_url,
            profile=profile,
            region=region,
            addressing_style=addressing_style,
            checksums=checksums,
        )
        self._connections = Connections(address, elapsed)
        endpoint = self._connections.client(CONTROL).meta.endpoint_url
        self._place = BucketPlace(bucket, endpoint)
        if is_plain_http(endpoint) and not allow_plain_http:  # AWS_ENDPOINT_URL and ~/.aws can set it, too
            raise StoreRefused(f"{self._place}: {PLAIN_HTTP}")
        self._extra = encryption.as_arguments()
        self._etag_style: str | None = None  # its format in If-Match, set after a success
        self._has_multi_delete = True

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def settings(self) -> BucketSettings:
        """Return the settings that the owner of the bucket made."""
        return S3SettingsReader(self._bucket, partial(self._connections.attempt, CONTROL)).settings()

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        request = SentRequest(self._place, key)
        return self._ask(request, lambda client: _small(key, self._get(client, key), max_bytes))

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        condition = {"IfNoneMatch": _QUOTED.format(etag)}
        try:
            answer = self._connections.attempt(CONTROL, lambda client: self._get(client, key, **condition))
            if _bare(answer["ETag"]) == etag:  # the store ignores conditions on GET
                answer["Body"].close()
                return Unchanged(etag, date_of(answer))
            return _small(key, answer, max_bytes)
        except FAILURES as error:
            if judge(error)[0].meaning is AnswerMeaning.UNCHANGED:
                return Unchanged(etag, date_of(getattr(error, "response", {})))
            raise problem_of(SentRequest(self._place, key), error) from error

    def put(self, key: str, body: bytes) -> str:
        return self._put(SentRequest(self._place), key, body)

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self._put(SentRequest(self._place, key, conditional=True), key, body, IfNoneMatch="*")

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        style = self._etag_style or _QUOTED
        try:
            new = self._put_matching(key, body, etag, style)
        except PreconditionFailed:
            # Ceph 16 compares the ETag including its quotes, so it refuses an object that it still has.
            if self._etag_style or not self._still_has(key, etag):
                raise
            style = _BARE
            new = self._put_matching(key, body, etag, style)
        self._etag_style = style
        return new

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        limit = min(limit, MAX_PAGE)
        options: dict[str, Any] = {"Prefix": self._prefix + prefix, "MaxKeys": limit}
        if start_after:
            options["StartAfter"] = self._prefix + start_after
        if delimiter:
            options["Delimiter"] = delimiter
        answer = self._ask(
            SentRequest(self._place), lambda client: client.list_objects_v2(Bucket=self._bucket, **options)
        )
        objects = tuple(
            ListedObject(self._key(entry["Key"]), entry["Size"], _utc(entry["LastModified"]))
            for entry in answer.get("Contents", ())
        )
        prefixes = tuple(self._key(entry["Prefix"]) for entry in answer.get("CommonPrefixes", ()))
        if answer.get("IsTruncated"):  # a store may return fewer than requested: this page counts as full
            limit = len(objects) + len(prefixes)
        if answer.get("IsTruncated") and not limit:
            raise StoreUnavailable(f"{self._place}: an empty page of an unfinished list")
        return ListPage(objects, prefixes, _date(answer), limit)

    def delete(self, keys: Sequence[str]) -> None:
        if len(keys) == 1 or not self._has_multi_delete:
            self._delete_singly(keys)
            return
        for start in range(0, len(keys), MAX_DELETED_AT_ONCE):
            self._delete_together(keys[start : start + MAX_DELETED_AT_ONCE])

    def upload(self, key: str, source: Path) -> None:
        name = self._prefix + key

        def send(client: S3Client) -> None:
            client.upload_file(str(source), self._bucket, name, Config=_TRANSFER, ExtraArgs=dict(self._extra))

        self._ask(SentRequest(self._place), send, BULK)

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:
        def ask_bulk(call: Callable[[S3Client], Result]) -> Result:
            return self._ask(SentRequest(self._place), call, BULK)

        upload = StreamUpload(ask_bulk, self._bucket, self._prefix + key, self._extra, expected_bytes)
        return upload.run(pieces)

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        marker: dict[str, Any] = {}
        while True:
            page = self._ask(SentRequest(self._place), partial(self._uploads, prefix, marker))
            date = _date(page)
            for upload in page.get("Uploads", ()):
                age_s = (date - _utc(upload["Initiated"])).total_seconds()
                yield UnfinishedUpload(self._key(upload["Key"]), upload["UploadId"], max(0.0, age_s))
            following = {
                "KeyMarker": page.get("NextKeyMarker"),
                "UploadIdMarker": page.get("NextUploadIdMarker"),
            }
            if not page.get("IsTruncated") or not following["KeyMarker"] or following == marker:
                return
            marker = following

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        name = self._prefix + upload.key

        def abort(client: S3Client) -> None:
            try:
                client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload.id)
            except FAILURES as error:
                if error_code(error) != "NoSuchUpload":
                    raise

        self._ask(SentRequest(self._place), abort)

    def download(
        self,
        key: str,
        target: Path,
        *,
        max_bytes: int | None = None,
        note: Callable[[int], object] = forget_progress,
    ) -> int:
        return write_new_file(target, noted(at_most(self._pieces(key, max_bytes), max_bytes, key), note))

    def read(self, key: str) -> Iterator[bytes]:
        return self._pieces(key, None)

    # Helpers -------------------------------------------------------------------------------------

    def _ask(self, request: SentRequest, call: Callable[[S3Client], Result], use: Use = CONTROL) -> Result:
        return ask(request, lambda: self._connections.attempt(use, call))

    def _key(self, name: str) -> str:
        return name[len(self._prefix) :]

    def _uploads(
        self, prefix: str, marker: Mapping[str, Any], client: S3Client
    ) -> ListMultipartUploadsOutputTypeDef:
        return client.list_multipart_uploads(Bucket=self._bucket, Prefix=self._prefix + prefix, **marker)

    def _get(self, client: S3Client, key: str, **condition: Any) -> GetObjectOutputTypeDef:
        return client.get_object(Bucket=self._bucket, Key=self._prefix + key, **condition)

    def _put(self, request: SentRequest, key: str, body: bytes, **condition: Any) -> str:
        name = self._prefix + key
        extra: dict[str, Any] = {**self._extra, **condition}
        answer = self._ask(
            request,
            lambda client: client.put_object(Bucket=self._bucket, Key=name, Body=body, **extra),
        )
        return _bare(answer["ETag"])

    def _put_matching(self, key: str, body: bytes, etag: str, style: str) -> str:
        request = SentRequest(self._place, key, conditional=True)
        return self._put(request, key, body, IfMatch=style.format(etag))

    def _still_has(self, key: str, etag: str) -> bool:
        name = self._prefix + key
        try:
            answer = self._connections.attempt(
                CONTROL, lambda client: client.head_object(Bucket=self._bucket, Key=name)
            )
        except FAILURES as error:
            verdict, words = judge(error)
            if verdict.meaning is AnswerMeaning.ABSENT:
                return False
            raise SentRequest(self._place, key).error(verdict, words) from error
        return _bare(answer["ETag"]) == etag

    def _delete_singly(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._ask(SentRequest(self._place), partial(self._delete_one, self._prefix + key))

    def _delete_one(self, name: str, client: S3Client) -> None:
        client.delete_object(Bucket=self._bucket, Key=name)

    def _delete_together(self, keys: Sequence[str]) -> None:
        wanted: DeleteTypeDef = {"Objects": [{"Key": self._prefix + key} for key in keys], "Quiet": True}
        try:
            answer = self._connections.attempt(
                CONTROL, lambda client: client.delete_objects(Bucket=self._bucket, Delete=wanted)
            )
        except FAILURES as error:
            if error_code(error) not in _NO_MULTI_DELETE:
                raise SentRequest(self._place).error(*judge(error)) from error
            self._has_multi_delete = False
            self._delete_singly(keys)
            return
        for refused in answer.get("Errors", ()):
            verdict = verdict_on_answer(refused.get("Code", ""), 0, refused.get("Message") or "")
            if verdict.meaning is not AnswerMeaning.ABSENT:
                words = (
                    f"{refused.get('Key')} was not deleted: {refused.get('Code')} {refused.get('Message')}"
                )
                raise SentRequest(self._place).error(verdict, words)

    def _pieces(self, key: str, max_bytes: int | None) -> Iterator[bytes]:
        stream = _Stream(SentRequest(self._place, key), max_bytes)

        def ask_from(offset: int) -> GetObjectOutputTypeDef:
            part = {"Range": f"bytes={offset}-"} if offset else {}
            return self._connections.attempt(BULK, lambda client: self._get(client, key, **part))

        return resumed(lambda offset: stream.pieces(ask_from, offset))


class _Stream:
    """One object that is read with as many requests as are needed."""

    def __init__(self, request: SentRequest, max_bytes: int | None) -> None:
        self._request = request
        self._max_bytes = max_bytes
        self._etag = ""
        self._size = 0

    def pieces(self, ask_from: Callable[[int], GetObjectOutputTypeDef], offset: int) -> Iterator[bytes]:
        if offset and offset == self._size:  # it broke after the last byte, and nothing is left to request
            return
        answer = ask(self._request, lambda: ask_from(offset))
        with closing(answer["Body"]) as body:
            self._check(answer, first=not offset)
            while piece := ask(self._request, lambda: body.read(PIECE_BYTES)):
                yield piece

    def _check(self, answer: GetObjectOutputTypeDef, *, first: bool) -> None:
        if first:
            self._etag, self._size = answer["ETag"], answer["ContentLength"]
            if self._max_bytes is not None and self._size > self._max_bytes:
                raise too_large(self._request.key, self._max_bytes)
        elif answer["ETag"] != self._etag:
            raise StoreRefused(f"{self._request.key} was rewritten while it was read")


def _small(key: str, answer: GetObjectOutputTypeDef, max_bytes: int) -> StoredObject:
    with closing(answer["Body"]) as stream:
        if answer["ContentLength"] > max_bytes:
            raise too_large(key, max_bytes)
        # Read to the end, where botocore notices missing bytes; the size that a store states is not
        # trusted.
        body = b"".join(at_most(iter(lambda: stream.read(PIECE_BYTES), b""), max_bytes, key))
    return StoredObject(key, body, _bare(answer["ETag"]), _utc(answer["LastModified"]), _date(answer))


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


def _date(answer: Mapping[str, Any]) -> datetime:
    """Return when the store answered, by its own clock."""
    if (date := date_of(answer)) is None:
        raise StoreRefused("the store does not report its time: its answers have no Date")
    return date
