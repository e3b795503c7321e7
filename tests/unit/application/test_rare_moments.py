"""Moments that are rare enough to be met only by chance: most were found by the simulation."""

from __future__ import annotations

from cloudq.adapters.schedulers.scripted import Script
from tests.parts.world import World

LONG = Script(300, 0, "hello\n")


def test_pieces_of_a_log_that_an_agent_before_put_go_once_the_whole_log_is_there(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: LONG)
    first = world.agent(alpha)
    job_id = world.submit("alpha")
    first.cycles(40)
    first.die()
    assert f"jobs/{job_id}/1/log/stdout/{0:020}" in world.stored()

    world.agent(alpha).until_final(job_id)

    assert [key for key in world.stored() if "/log/" in key] == []
