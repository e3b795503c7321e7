"""Inspect and settle the identity of an agent's home, for the person in charge of it (protocol 6.7)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.filesystem import as_workspace_problem, remove_tree
from cloudq.adapters.job_repository import BucketSystemRegistry
from cloudq.adapters.workspace import DirectoryLeaseMemory, DirectoryWorkspace
from cloudq.adapters.workspace.home_place import forget_place
from cloudq.bootstrap.stores import open_store
from cloudq.config import Config

OF_THE_ORIGINAL = ("cache", "scheduler")
"""Work directories, and the queue of the embedded scheduler: a copy must be neither run nor followed."""


def lease_memory(config: Config) -> DirectoryLeaseMemory:
    """Return the home's memory of this system's lease; each store has its own, since epochs differ."""
    store = config.store
    place = "\n".join((store.endpoint_url, store.bucket, store.prefix))
    digest = hashlib.sha256(place.encode()).hexdigest()[:16]
    return DirectoryLeaseMemory(config.home, f"{config.agent.name}.{digest}")


def doubt_of(config: Config) -> str:
    """Return why the agent of this home starts no jobs; empty if it starts jobs, or never ran here."""
    return lease_memory(config).doubt() if config.home.is_dir() else ""


def confirm_home(config: Config) -> None:
    """Confirm that the home is the only one with its identity, and that the bucket is as it should be.

    Raises `StoreProblem` if the store does not return the lease.
    """
    registry = BucketSystemRegistry(open_store(config.store, SystemClock()), RandomIds())
    standing = registry.newest_lease(config.agent.name)
    forget_place(config.home)
    lease_memory(config).confirm(None if standing is None else standing.lease)


def give_new_identity(config: Config) -> tuple[Path, ...]:
    """Give the home another id, as if it had never been used; return the directories that were set aside.

    The ledger of starts stays: it can only keep jobs from running twice.
    """
    suffix = f".of-{DirectoryWorkspace(config.home, SystemClock(), RandomIds()).home}"
    with as_workspace_problem(f"change {config.home}"):
        (config.home / "home").unlink()  # first: a home without an id owns nothing of the original
        aside = tuple(_put_aside(config.home / name, suffix) for name in OF_THE_ORIGINAL)
        remove_tree(config.home / "lease")
    forget_place(config.home)
    return tuple(path for path in aside if path is not None)


def _put_aside(path: Path, suffix: str) -> Path | None:
    return path.rename(path.with_name(path.name + suffix)) if path.is_dir() else None
