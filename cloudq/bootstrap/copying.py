"""Wire the use case that copies between buckets and files for a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve, frozen

from cloudq.adapters.clock import SystemClock
from cloudq.adapters.job_repository.keys import TOP_LEVEL
from cloudq.adapters.local_files import DiskFiles
from cloudq.adapters.workers import ThreadWorkers
from cloudq.application.job_tools.copy_objects import CopyObjects
from cloudq.bootstrap.stores import open_store
from cloudq.config import StoreConfig, checks, load_config
from cloudq.domain.errors import InvalidInput, StoreRefused
from cloudq.ports.object_store import ObjectStore

Value = TypeVar("Value")

COPIES_AT_ONCE = 8
_CONFIG_FILE = "CLOUDQ_CONFIG"


@frozen
class CopyParts:
    """The copy use case, and the function that ends it: it stops work under way, or waits for it."""

    copy: CopyObjects
    close: Callable[[], None]


def copy_parts(
    environ: Mapping[str, str], endpoint: str, profile: str, report: Callable[[int, int], None]
) -> CopyParts:
    """Wire the copy use case for the configured store, or for *endpoint* and *profile*.

    The configuration is the one in ``CLOUDQ_CONFIG``, else in the default place. Raises `ConfigProblem` and
    `InvalidInput`.
    """
    own = _configured(environ)
    store = evolve(own, **_given(endpoint, profile))
    files, workers = DiskFiles(), ThreadWorkers(COPIES_AT_ONCE)

    def close() -> None:
        files.stop()
        workers.close()

    def open_bucket(bucket: str) -> ObjectStore:
        return _open_bucket(evolve(store, bucket=bucket, prefix=""), own)

    return CopyParts(CopyObjects(open_bucket, files, workers, report), close)


def stopwatch() -> Callable[[], float]:
    """Return a function that returns the seconds since this call."""
    clock = SystemClock()
    began = clock.elapsed()
    return lambda: clock.elapsed() - began


def _configured(environ: Mapping[str, str]) -> StoreConfig:
    file = environ.get(_CONFIG_FILE, "")
    return load_config(environ, path=Path(file) if file else None).store


def _given(endpoint: str, profile: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if endpoint:
        # Another service has its own regions, addresses and keys.
        given = {"endpoint_url": _checked("ENDPOINT", checks.endpoint_url, endpoint), "region": ""}
        given |= {"addressing_style": "auto", "sse": "", "sse_kms_key_id": ""}
    if profile:
        given["profile"] = _checked("PROFILE", checks.word, profile)
    if given.get("endpoint_url", "").startswith("file://~"):
        raise InvalidInput("ENDPOINT: write the absolute path, file:///dir")
    return given


def _checked(name: str, check: Callable[[str], Value], text: str) -> Value:
    try:
        return check(text)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from error


def _open_bucket(config: StoreConfig, own: StoreConfig) -> ObjectStore:
    """Open a bucket; a directory that serves as a bucket must exist and hold no records of cloudq."""
    directory = config.directory
    if directory is not None:
        if not own.bucket and own.directory == directory.parent and config.bucket in TOP_LEVEL:
            raise StoreRefused(f"{directory} holds cloudq's own records, not a bucket: name another bucket")
        if not directory.is_dir():
            raise StoreRefused(
                f"the directory store has no bucket {config.bucket!r}: create the directory {directory}"
            )
    return open_store(config, SystemClock())
