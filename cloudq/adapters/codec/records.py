"""Encoding and decoding of records, with the rules between the fields of a record and its key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import evolve, fields_dict

from cloudq.adapters.codec import checks
from cloudq.adapters.codec.converter import structure, unstructure
from cloudq.adapters.codec.hostile_json import dump, has_too_many_parts, load, rejected
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.lease import Lease
from cloudq.domain.jobs.summary import ActiveSummary

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
"""Enough for the largest array with every task named, long options and a hundred long reasons."""

MAX_SMALL_RECORD_BYTES = 256 * 1024
"""The limit for claims and leases."""

MAX_EPOCH = 10**18 - 2
"""The highest epoch that can have a successor: the next number is the last that a key can hold."""

MAX_NOTE_CHARS = 2_000
"""Longer notes of an agent about itself or a job, which may quote a scheduler, are cut to this."""

_SHOWN_ONLY = (
    "workdir", "local_account", "local_group", "submit_command", "error_msg", "submit_opt_local", "client",
)  # fmt: skip
"""Fields that are only for people to read: those that are too long are cut, not rejected."""

_JOB_FIELDS = frozenset(fields_dict(Job))


def encode_job(job: Job) -> bytes:
    """Return the manifest of *job*, with the fields of a newer minor format that were read with it."""
    record = {**job.extra, **unstructure(job)}
    for name in _SHOWN_ONLY:
        record[name] = record[name][: checks.MAX_TEXT_CHARS]
    return dump(record)


def decode_job(body: bytes, key: str, job_id: str) -> Job:
    """Return the job from the manifest *body*, which was read under *key*, that of *job_id*."""
    record = load(body, key)
    _require(record, ("uuid", "name", "state"), key)
    job = structure(record, Job, key)
    if problems := _job_problems(job, job_id):
        raise rejected(key, problems)
    unknown = {name: value for name, value in record.items() if name not in _JOB_FIELDS}
    return evolve(job, extra=MappingProxyType(unknown)) if unknown else job


def _job_problems(job: Job, job_id: str) -> list[str]:
    problems = []
    if job.uuid != job_id:
        problems.append("is the record of another job")
    if job.is_final and job.time_finish is None:
        problems.append("is in a final state but has no time_finish")
    if job.tasks.groups:
        known = set(job.array_tid or ())
        if any(task not in known for group in job.tasks.groups for task in group.ids):
            problems.append("names tasks that the array does not have")
    return problems


def encode_claim(claim: Claim) -> bytes:
    """Return the bytes of *claim*."""
    return dump(unstructure(claim))


def decode_claim(body: bytes, key: str, n: int) -> Claim:
    """Return claim number *n*, which was read under *key*."""
    claim = structure(load(body, key), Claim, key)
    problems = []
    if claim.n != n:
        problems.append("is a claim of another number")
    if claim.kind is ClaimKind.RUN and not claim.system:
        problems.append("has no system to run the job")
    if problems:
        raise rejected(key, problems)
    return claim


def encode_lease(lease: Lease) -> bytes:
    """Return the bytes of *lease*."""
    cut = {name: getattr(lease, name)[:MAX_NOTE_CHARS] for name in ("last_error", "store_check", "busy")}
    return dump(unstructure(evolve(lease, **cut)))


def decode_lease(body: bytes, key: str, epoch: int | None = None) -> Lease:
    """Return the lease that was read under *key*; if *epoch* is given, it must be of that epoch."""
    lease = structure(load(body, key), Lease, key)
    if epoch is not None and lease.epoch != epoch:
        raise rejected(key, ["is a lease of another epoch"])
    if not 0 < lease.epoch <= MAX_EPOCH:
        raise rejected(key, [f"has epoch {lease.epoch}, which has no successor: delete it"])
    return lease


def encode_summary(summary: ActiveSummary) -> bytes:
    """Return the bytes of *summary*."""
    jobs = tuple(
        job if len(job.note) <= MAX_NOTE_CHARS else evolve(job, note=job.note[:MAX_NOTE_CHARS])
        for job in summary.jobs
    )
    return dump(unstructure(evolve(summary, jobs=jobs)))


def decode_summary(body: bytes, key: str, epoch: int) -> ActiveSummary:
    """Return the summary of *epoch*, which was read under *key*."""
    summary = structure(load(body, key), ActiveSummary, key)
    if summary.epoch != epoch:
        raise rejected(key, ["is a summary of another epoch"])
    return summary


def nonce_of(body: bytes) -> str:
    """Return the nonce in a record of any kind, valid or not; empty if it has none."""
    if has_too_many_parts(body):
        return ""
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    nonce = record.get("nonce") if isinstance(record, Mapping) else None
    return nonce if isinstance(nonce, str) else ""


def _require(record: dict[str, Any], names: tuple[str, ...], key: str) -> None:
    missing = [f"is missing @ $.{name}" for name in names if name not in record]
    if missing:
        raise rejected(key, missing)
