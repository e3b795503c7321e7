"""The size of parts: large enough for S3's limit on their number, small enough for memory."""

from __future__ import annotations

import pytest

from cloudq.adapters.object_stores.s3.upload import PART_BYTES, part_bytes

MOST_PARTS = 10_000
MOST_BYTES = 5 << 40
GB = 1 << 30


@pytest.mark.parametrize("expected", [0, 1, 10 * GB, 1000 * GB, MOST_BYTES])
def test_what_was_expected_fits_the_parts_that_there_may_be(expected: int) -> None:
    assert sum(part_bytes(number, expected) for number in range(1, 8_001)) >= expected


def test_a_source_that_is_larger_than_was_expected_fits_too() -> None:
    assert sum(part_bytes(number, 0) for number in range(1, MOST_PARTS + 1)) > 500 * GB


def test_parts_are_small_as_long_as_the_upload_is() -> None:
    assert part_bytes(1, 0) == part_bytes(1, 60 * GB) == part_bytes(8_000, 0) == PART_BYTES
    assert part_bytes(1, 1000 * GB) < 160 << 20
