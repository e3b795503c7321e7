"""The machine's own clock and ids."""

from __future__ import annotations

import threading

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.domain.names import is_job_id


def test_time_goes_on_and_is_in_utc() -> None:
    clock = SystemClock()
    before = clock.elapsed()
    clock.sleep(0.001)

    assert clock.elapsed() >= before + 0.001
    assert clock.now().utcoffset() is not None
    assert clock.now().microsecond % 1000 == 0
    assert clock.boot_id() == SystemClock().boot_id()


def test_waking_ends_every_sleep() -> None:
    clock = SystemClock()
    sleepers = [threading.Thread(target=clock.sleep, args=(60,)) for _ in range(3)]
    for sleeper in sleepers:
        sleeper.start()

    clock.wake()
    for sleeper in sleepers:
        sleeper.join(10)
    clock.sleep(60)

    assert not any(sleeper.is_alive() for sleeper in sleepers)


def test_ids_are_ids() -> None:
    ids = RandomIds()

    assert is_job_id(ids.job_id())
    assert ids.nonce() != ids.nonce()
