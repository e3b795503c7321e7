"""Test whole agents and clients on a bucket in which any object may be rewritten, moved or forged."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cloudq.adapters.workspace import DirectoryLeaseMemory
from cloudq.domain.errors import CloudqError
from tests.fuzz.damage import damaged, damaged_bytes
from tests.fuzz.hostile_world import HostileWorld
from tests.parts.scripted_scheduler import Script

STRANGE_KEYS = (
    "queue/alpha/00000000.1", "queue/alpha/00000000.999999", "queue/alpha/00000000.1.cancel",
    "queue/alpha/{id}.2", "queue/alpha/{id}.1.cancel", "queue/alpha/{id}.1.cancel.3",
    "queue/alpha/{id}.1.follow", "queue/alpha/{id}.7.cancel", "queue/beta/{id}.1", "queue/alpha/../x", "queue/alpha//", "queue/alpha/\n",
    "jobs/{id}/claims/1.json", "jobs/{id}/claims/2.json", "jobs/{id}/claims/3.json",
    "jobs/{id}/claims/999999.json",
    "jobs/{id}/input.zip", "jobs/{id}/script/run.sh", "jobs/{id}/1/stdout", "jobs/{id}/1/../../evil",
    "jobs/{id}/1/output.zip", "jobs/{id}/1/stdout.7", "jobs/{id}/1/log/stdout/00000000000000000005",
    "history/x", "history/999999999999999~{id}~DONE~alpha~-~..%2Fx",
    "systems/beta/lease/999999999999999999.json",
    "systems/alpha/active/5.json", "systems/beta/active/1.json", "systems/x/y", "doorbell/alpha", "jobs/", "",
)  # fmt: skip


@st.composite
def attacks(draw: st.DrawFn, hostile: HostileWorld, victims: list[str], spared: tuple[str, ...]) -> None:
    """Attack the bucket once, without touching the objects of the *spared* jobs."""
    keys = sorted(
        key
        for key in hostile.store.objects
        if not any(each in key for each in spared) and not key.endswith("/lease.json")
    )
    match draw(st.sampled_from(["damage", "damage", "damage", "copy", "drop", "make up"])):
        case "damage" if keys:
            key = draw(st.sampled_from(keys))
            hostile.put(key, draw(damaged(hostile.world.body(key))))
        case "copy" if keys:
            key = draw(st.sampled_from(keys))
            made = draw(st.sampled_from(STRANGE_KEYS)).format(id=draw(st.sampled_from(victims)))
            hostile.put(made, hostile.world.body(key))
        case "drop" if keys:
            hostile.store.delete([draw(st.sampled_from(keys))])
            hostile.ring()
        case _:
            made = draw(st.sampled_from(STRANGE_KEYS)).format(id=draw(st.sampled_from(victims)))
            hostile.put(made, draw(damaged_bytes(b'{"format":"1.0"}')))


@given(st.data())
@settings(max_examples=settings().max_examples // 2)
def test_an_agent_goes_on_and_serves_honest_jobs_whatever_happens_to_the_others(data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        hostile = HostileWorld(folder)
        hostile.system.scheduler._behaviour = lambda *_: Script(
            duration_s=20, stdout="hi\n", outputs={"o": b"1"}
        )
        victims = [hostile.submit(), hostile.submit(array="1-3")]
        victims.append(hostile.submit(hold_jid=(victims[0],)))
        hostile.cycle(data.draw(st.integers(0, 8)))
        honest = hostile.submit()
        for _ in range(data.draw(st.integers(1, 4))):
            data.draw(attacks(hostile, victims, (honest,)))
            hostile.cycle(data.draw(st.integers(0, 4)))
        hostile.until_done(honest)
        hostile.cycle(data.draw(st.integers(0, 30)))
        for victim in victims:
            with suppress(CloudqError):
                hostile.ask(folder / "into" / victim, victim)
        hostile.cycle(3)
        hostile.check()
    finally:
        shutil.rmtree(folder)


@given(st.data())
@settings(max_examples=settings().max_examples // 2)
def test_an_agent_whose_own_lease_is_spoilt_says_so_and_goes_on_once_it_is_removed(
    data: st.DataObject,
) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        hostile = HostileWorld(folder)
        job_id = hostile.submit()
        hostile.cycle(data.draw(st.integers(0, 3)))
        for _ in range(data.draw(st.integers(1, 3))):
            keys = [key for key in hostile.store.objects if key.startswith("systems/alpha/")]
            old = data.draw(st.sampled_from(["1", "2", "3", "9", "9" * 18]))
            key = data.draw(
                st.sampled_from([*keys, "systems/alpha/lease.json", f"systems/alpha/lease/{old}.json"])
            )
            body = hostile.world.body(keys[0]) if keys else b'{"format":"1.0"}'
            hostile.put(key, data.draw(damaged(body)))
            if data.draw(st.booleans()):
                hostile.world.clock.pass_by(400)
            hostile.cycle(data.draw(st.integers(0, 3)))
        for key in [key for key in hostile.store.objects if key.startswith("systems/alpha/lease")]:
            hostile.store.delete([key])
        hostile.world.clock.pass_by(400)
        hostile.agent.cycle()
        DirectoryLeaseMemory(hostile.system.home, "alpha").confirm()
        hostile.until_done(job_id)
        hostile.check()
    finally:
        shutil.rmtree(folder)
