"""Uploads of unknown size, in parts that are held in memory one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attrs import define, field

from cloudq.domain.errors import StoreProblem

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 * 1024 * 1024
"""S3 requires parts of at least 5 MiB, except for the last."""

PLANNED_PARTS = 8_000
"""Out of the 10,000 that S3 accepts; the rest is for sources that are larger than expected."""
PARTS_UNTIL_DOUBLED = 250


def part_bytes(number: int, expected_bytes: int) -> int:
    """Return the size of part *number*, counted from 1, of an upload of *expected_bytes*."""
    planned = max(PART_BYTES, -(-expected_bytes // PLANNED_PARTS))
    return planned << max(0, (number - PLANNED_PARTS) // PARTS_UNTIL_DOUBLED)


@define
class StreamUpload:
    """One upload. A small one takes one PUT; a larger one that fails is aborted."""

    ask: Callable[[Callable[[S3Client], Any]], Any]
    """A function that makes a request with a suitable client."""
    bucket: str
    key: str
    extra: Mapping[str, Any]
    """The arguments of every request that creates an object."""
    expected_bytes: int = 0
    _parts: list[CompletedPartTypeDef] = field(factory=list, init=False)
    _id: str = field(default="", init=False)

    def run(self, pieces: Iterator[bytes]) -> int:
        """Upload all of *pieces*; return their size in bytes."""
        size = 0
        held = bytearray()
        try:
            for piece in pieces:
                held += piece
                while len(held) >= (wanted := part_bytes(len(self._parts) + 1, self.expected_bytes)):
                    self._put_part(bytes(held[:wanted]))
                    size += wanted
                    del held[:wanted]
            self._finish(bytes(held))
        except BaseException:
            self._abort()
            raise
        return size + len(held)

    def _put_part(self, body: bytes) -> None:
        if not self._id:
            self._id = self.ask(self._create)
        number = len(self._parts) + 1
        etag = self.ask(lambda client: self._upload_part(client, number, body))
        self._parts.append({"PartNumber": number, "ETag": etag})

    def _finish(self, tail: bytes) -> None:
        if not self._id:
            self.ask(
                lambda client: client.put_object(Bucket=self.bucket, Key=self.key, Body=tail, **self.extra)
            )
            return
        if tail:
            self._put_part(tail)
        self.ask(self._complete)

    def _create(self, client: S3Client) -> str:
        return client.create_multipart_upload(Bucket=self.bucket, Key=self.key, **self.extra)["UploadId"]

    def _upload_part(self, client: S3Client, number: int, body: bytes) -> str:
        answer = client.upload_part(
            Bucket=self.bucket, Key=self.key, UploadId=self._id, PartNumber=number, Body=body
        )
        return answer["ETag"]

    def _complete(self, client: S3Client) -> object:
        return client.complete_multipart_upload(
            Bucket=self.bucket, Key=self.key, UploadId=self._id, MultipartUpload={"Parts": self._parts}
        )

    def _abort(self) -> None:
        """Abort the upload: parts left behind cost money and appear in no listing of objects."""
        if self._id:
            with suppress(StoreProblem):  # the problem may persist; `doctor --collect` finds the upload
                self.ask(
                    lambda client: client.abort_multipart_upload(
                        Bucket=self.bucket, Key=self.key, UploadId=self._id
                    )
                )
