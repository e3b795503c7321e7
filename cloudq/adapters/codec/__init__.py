"""Conversion of the domain's records to JSON, and back from untrusted JSON.

Reading raises `RecordRejected` with the key and every problem, or `NewerFormat` for a newer major
format, and no other error.
"""

from __future__ import annotations

from cloudq.adapters.codec.records import (
    MAX_MANIFEST_BYTES,
    MAX_SMALL_RECORD_BYTES,
    decode_claim,
    decode_job,
    decode_lease,
    decode_summary,
    encode_claim,
    encode_job,
    encode_lease,
    encode_summary,
    nonce_of,
)

__all__ = [
    "MAX_MANIFEST_BYTES",
    "MAX_SMALL_RECORD_BYTES",
    "decode_claim",
    "decode_job",
    "decode_lease",
    "decode_summary",
    "encode_claim",
    "encode_job",
    "encode_lease",
    "encode_summary",
    "nonce_of",
]
