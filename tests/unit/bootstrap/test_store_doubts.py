"""Doubts about a store that this machine raises before the first request."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.mounts import Mount
from cloudq.bootstrap import stores
from cloudq.config import load_config

HOST_ONLY = Mount("/data", "nfs4", frozenset({"rw", "local_lock=all"}))
SHARED = Mount("/data", "nfs4", frozenset({"rw", "local_lock=none"}))


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        (HOST_ONLY, "file locks on /data (nfs4, local_lock=all) hold on one host only"),
        (SHARED, ""),
        (Mount("/data", "something", frozenset()), ""),
        (None, ""),
    ],
)
def test_a_directory_is_doubted_where_its_locks_hold_on_one_host_only(
    mount: Mount | None, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stores, "mount_of", lambda _: mount)

    assert stores.doubts_of(load_config({}, home=tmp_path).store) == words


def test_a_bucket_is_not_judged_by_mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stores, "mount_of", lambda _: HOST_ONLY)
    config = load_config({"CLOUDQ_STORE_BUCKET": "jobs"}, home=tmp_path)

    assert stores.doubts_of(config.store) == ""
