"""The domain's records as JSON, and back from JSON that anybody may have written.

Reading raises `RecordRejected` with the key and every problem, `NewerFormat` for a newer major
format, and nothing else.
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
