"""All keys in the bucket; only this module makes and parses them (protocol section 2).

Functions that make a key check the names that go into it; functions that parse one return None for
a key that cloudq would not have made.
"""

from __future__ import annotations

import re

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import (
    ClaimTag,
    checked_file_name,
    checked_job_id,
    checked_system,
    is_beginning_of_job_id,
)
from cloudq.ports.job_repository import INPUT_ARCHIVE, output_archive

JOBS = "jobs/"
QUEUES = "queue/"
SYSTEMS = "systems/"
HISTORY = "history/"
PROBES = "doctor/"
"""The prefix under which an examination tests the store; it leaves nothing there."""
MANIFEST = "manifest.json"
CLAIMS = "claims/"

TOP_LEVEL = frozenset({"jobs", "queue", "doorbell", "systems", "history", "logs", "doctor"})
"""The possible first parts of cloudq's keys."""

_JOB_KEY = re.compile(r"jobs/([0-9a-f]{8})/(.*)", re.DOTALL)
_QUEUE_KEY = re.compile(
    r"queue/([a-z0-9][a-z0-9_-]{0,62})/([0-9a-f]{8}\.[1-9][0-9]{0,5})"
    r"(|\.cancel|\.cancel\.(?:0|[1-9][0-9]{0,8})|\.follow|\.refresh)"
)
_SYSTEM_KEY = re.compile(
    r"systems/([a-z0-9][a-z0-9_-]{0,62})/(?:lease\.json|(lease|active)/([1-9][0-9]{0,17})\.json)"
)
LAST_EPOCH = 10**18 - 1
"""No lease has this epoch, the largest that fits into a key. Old agents find it taken (`old_lease`)."""
_RESULT_NAME = re.compile(
    r"(?:output(?:\.(?:[2-9]|[1-9][0-9]{1,3}))?\.zip|(?:stdout|stderr)(?:\.(?:0|[1-9][0-9]{0,8}))?)"
)
_OFFSET = re.compile(r"[0-9]{20}")
_STREAMS = frozenset({"stdout", "stderr"})

# Jobs ----------------------------------------------------------------------------------------


def job(job_id: str) -> str:
    """Return the prefix of all keys of a job."""
    return f"{JOBS}{checked_job_id(job_id)}/"


def jobs_beginning(text: str) -> str:
    """Return the prefix of all keys of the jobs whose ids begin with *text*."""
    if not is_beginning_of_job_id(text):
        raise InvalidInput(f"{text!r} is not the beginning of a job id")
    return JOBS + text


def job_id_of(prefix: str) -> str | None:
    """Return the id of the job whose keys have this *prefix*, which ends with a slash."""
    match = _JOB_KEY.fullmatch(prefix)
    return match[1] if match and not match[2] else None


def before_job(job_id: str) -> str:
    """Return the key after which a LIST of `JOBS` begins with the job's keys ("." sorts before "/")."""
    return f"{JOBS}{job_id}."


def manifest(job_id: str) -> str:
    """Return the key of the job's record."""
    return job(job_id) + MANIFEST


def script(job_id: str, name: str) -> str:
    """Return the key of the script as submitted."""
    return f"{job(job_id)}script/{checked_file_name(name)}"


def input_archive(job_id: str) -> str:
    """Return the key of the archive with the inputs."""
    return job(job_id) + INPUT_ARCHIVE


def task_arguments(job_id: str) -> str:
    """Return the key of the arguments of an array's tasks."""
    return job(job_id) + "arguments"


def claims(job_id: str) -> str:
    """Return the prefix of the job's claims."""
    return job(job_id) + CLAIMS


def claim(tag: ClaimTag) -> str:
    """Return the key of a claim."""
    return f"{claims(tag.job_id)}{_number(tag)}.json"


def results(tag: ClaimTag) -> str:
    """Return the prefix under which the holder of a claim puts the job's results."""
    return f"{job(tag.job_id)}{_number(tag)}/"


def log(tag: ClaimTag, stream: str, task: int | None) -> str:
    """Return the key of a whole log."""
    return results(tag) + log_name(stream, task)


def all_log_pieces(tag: ClaimTag) -> str:
    """Return the prefix of the pieces of all growing logs."""
    return results(tag) + "log/"


def log_pieces(tag: ClaimTag, stream: str, task: int | None) -> str:
    """Return the prefix of the pieces of one growing log."""
    return f"{all_log_pieces(tag)}{log_name(stream, task)}/"


def log_piece(tag: ClaimTag, stream: str, task: int | None, offset: int) -> str:
    """Return the key of the piece of a growing log that begins at *offset*."""
    if not 0 <= offset < 10**20:
        raise InvalidInput(f"{offset} is not an offset in a log")
    return f"{log_pieces(tag, stream, task)}{offset:020}"


def output(tag: ClaimTag, number: int = 1) -> str:
    """Return the key of an archive of new and changed files, by default of the first one."""
    return results(tag) + output_archive(number)


def local_script(tag: ClaimTag, name: str) -> str:
    """Return the key of the script into which the holder of the claim converted a meta jobscript."""
    return f"{results(tag)}local/{checked_file_name(name)}"


def split_job_key(key: str) -> tuple[str, str] | None:
    """Return the job's id and the rest of the key."""
    match = _JOB_KEY.fullmatch(key)
    return None if match is None else (match[1], match[2])


def is_result_name(name: str) -> bool:
    """Return whether a whole log or an output archive may have this name."""
    return _RESULT_NAME.fullmatch(name) is not None


def result_name(key: str, tag: ClaimTag) -> str | None:
    """Return the file name of a whole log or output archive of *tag*."""
    name = key.removeprefix(results(tag))
    return name if name != key and is_result_name(name) else None


def piece_offset(key: str) -> int | None:
    """Return the offset in its log at which a piece begins."""
    last = key.rpartition("/")[2]
    return int(last) if _OFFSET.fullmatch(last) else None


# Queues --------------------------------------------------------------------------------------


@frozen
class QueueKey:
    """A key under a queue; ``request`` is ``cancel``, ``follow``, ``refresh``, or empty for an entry."""

    system: str
    tag: ClaimTag
    request: str
    task: int | None = None
    """The task to cancel; None for the whole job."""


def queue(system: str) -> str:
    """Return the prefix of all keys in the queue of a system."""
    return f"{QUEUES}{checked_system(system)}/"


def queue_entry(system: str, tag: ClaimTag) -> str:
    """Return the key of the queue entry that invites *system* or shows that it holds the job."""
    return f"{queue(system)}{checked_job_id(tag.job_id)}.{_number(tag)}"


def cancel_request(system: str, tag: ClaimTag, task: int | None = None) -> str:
    """Return the key of the request to cancel a held job, or one of its tasks."""
    return queue_entry(system, tag) + (".cancel" if task is None else f".cancel.{task:d}")


def follow_request(system: str, tag: ClaimTag) -> str:
    """Return the key of the request to upload logs soon."""
    return queue_entry(system, tag) + ".follow"


def refresh_request(system: str, tag: ClaimTag) -> str:
    """Return the key of the request to ask the scheduler now and write down its answer."""
    return queue_entry(system, tag) + ".refresh"


def doorbell(system: str) -> str:
    """Return the key of the object that changes after every key put under the queue."""
    return f"doorbell/{checked_system(system)}"


def split_queue_key(key: str) -> QueueKey | None:
    """Parse a key under a queue."""
    match = _QUEUE_KEY.fullmatch(key)
    if match is None:
        return None
    request, _, task = match[3][1:].partition(".")
    return QueueKey(match[1], ClaimTag.parse(match[2]), request, int(task) if task else None)


# Systems -------------------------------------------------------------------------------------


@frozen
class SystemKey:
    """The key of a lease (``lease``) or of a summary (``active``)."""

    system: str
    kind: str
    epoch: int
    """0 for the lease that all epochs share."""


def lease(system: str) -> str:
    """Return the key of the one lease of a system, which its holder and each successor rewrite."""
    return f"{SYSTEMS}{checked_system(system)}/lease.json"


def old_leases(system: str) -> str:
    """Return the prefix under which agents of cloudq 2.0 put one lease per epoch."""
    return f"{SYSTEMS}{checked_system(system)}/lease/"


def old_lease(system: str, epoch: int) -> str:
    """Return the key of the lease of one epoch of such an agent."""
    return f"{old_leases(system)}{epoch}.json"


def summaries(system: str) -> str:
    """Return the prefix of a system's summaries."""
    return f"{SYSTEMS}{checked_system(system)}/active/"


def summary(system: str, epoch: int) -> str:
    """Return the key of the summary of one epoch."""
    return f"{summaries(system)}{epoch}.json"


def probe(system: str, nonce: str) -> str:
    """Return a key on which conditional writes are tested."""
    return f"{SYSTEMS}{checked_system(system)}/probe/{nonce}"


def agent_log(system: str) -> str:
    """Return the key of the agent's recent log."""
    return f"logs/{checked_system(system)}/cloudqd.log"


def split_system_key(key: str) -> SystemKey | None:
    """Parse a key under `SYSTEMS`."""
    match = _SYSTEM_KEY.fullmatch(key)
    return None if match is None else SystemKey(match[1], match[2] or "lease", int(match[3] or 0))


# Probes --------------------------------------------------------------------------------------


def _number(tag: ClaimTag) -> int:
    return ClaimTag.parse(str(tag)).n


def log_name(stream: str, task: int | None) -> str:
    """Return the file name of a log."""
    if stream not in _STREAMS:
        raise InvalidInput(f"{stream!r} is neither stdout nor stderr")
    return stream if task is None else f"{stream}.{task}"
