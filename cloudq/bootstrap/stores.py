"""Open the store that a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cloudq.adapters.mounts import LockReach, mount_of
from cloudq.adapters.object_stores.wrappers.retrying import RetryingStore
from cloudq.adapters.object_stores.wrappers.silence import ReportSilence
from cloudq.config import StoreConfig
from cloudq.ports.bucket_survey import SettingsReader
from cloudq.ports.clock import Clock
from cloudq.ports.object_store import ObjectStore

if TYPE_CHECKING:
    from cloudq.adapters.object_stores.s3.store import S3Store


def open_store(
    config: StoreConfig, clock: Clock, on_silence: Callable[[str], object] | None = None
) -> ObjectStore:
    """Return the bucket or directory, with retries. Sends nothing; loads boto3 only for S3.

    *on_silence* gets a message, from another thread, when the store does not answer for 2 s.
    """
    store = _open(config, clock)
    if on_silence is None:
        return RetryingStore(store, clock)
    return RetryingStore(store, clock, watch=ReportSilence(on_silence, clock.elapsed, config.in_words))


def settings_reader_of(config: StoreConfig, clock: Clock) -> SettingsReader | None:
    """Return a reader of the bucket's settings; None for a directory, which has none. Sends nothing."""
    return None if config.directory is not None else _open_bucket(config, clock)


def doubts_of(config: StoreConfig) -> str:
    """Return why conditional writes may fail there, as far as this machine knows; empty for no known reason.

    Agents rewrite records of a directory store under file locks. No test on one machine can show that another
    machine does not respect them.
    """
    mount = None if config.directory is None else mount_of(config.directory)
    if mount is None or mount.lock_reach is not LockReach.THIS_HOST:
        return ""
    return f"file locks on {mount.in_words} hold on one host only"


def _open(config: StoreConfig, clock: Clock) -> ObjectStore:
    directory = config.directory
    if directory is not None:
        from cloudq.adapters.object_stores.directory.store import DirectoryStore  # noqa: PLC0415

        return DirectoryStore(directory / config.prefix if config.prefix else directory)
    return _open_bucket(config, clock)


def _open_bucket(config: StoreConfig, clock: Clock) -> S3Store:
    from cloudq.adapters.object_stores.s3.store import Encryption, S3Store  # noqa: PLC0415 (boto3 takes long to load)

    return S3Store(
        endpoint_url=config.endpoint_url,
        bucket=config.bucket,
        prefix=config.prefix,
        profile=config.profile,
        region=config.region,
        addressing_style=config.addressing_style,
        checksums=config.checksums,
        encryption=Encryption(config.sse, config.sse_kms_key_id),
        allow_plain_http=config.allow_plain_http,
        elapsed=clock.elapsed,
    )
