"""Count the requests of each operation on a store in memory, and price them as Amazon S3 does."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from common import scratch, table, without_fsync

from cloudq.adapters.job_repository import BucketJobRepository
from cloudq.domain.jobs.selector import Selector
from tests.builders import a_finished_job, at
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.parts.world import POLL_S, Agent, World

DOLLARS = {"PUT": 5e-6, "POST": 5e-6, "LIST": 5e-6, "GET": 4e-7, "DELETE": 0.0}
"""The price of one request of the Standard class in us-east-1. One POST deletes up to 1,000 keys."""
HOUR = int(3600 / POLL_S)
HOURS_A_MONTH = 730

Row = tuple[str, str, str, str, str]


class Scene:
    """A world with one agent, whose store counts requests."""

    def __init__(self, tmp: Path) -> None:
        self.world = World(tmp)
        self.store = CountingStore(self.world.store)
        self.world.store = self.store
        self.alpha = self.world.system(behaviour=lambda *_: Script(3, 0, "out\n", "err\n", {"result": b"1"}))
        self.agent: Agent = self.world.agent(self.alpha)
        self.agent.cycles(2)

    def counted(self, work: Callable[[], object]) -> dict[str, int]:
        self.store.reset()
        work()
        return self.store.counts

    def run(self, count: int) -> list[str]:
        job_ids = [self.world.submit("alpha") for _ in range(count)]
        self.agent.until_final(*job_ids)
        self.agent.cycles(2)
        return job_ids


def row(what: str, counts: dict[str, int], promised: str, original: str = "") -> Row:
    told = " + ".join(f"{counts[kind]} {kind}" for kind in DOLLARS if kind in counts) or "none"
    dollars = sum(DOLLARS[kind] * count for kind, count in counts.items())
    price = f"${dollars * HOURS_A_MONTH:.2f} a month" if "hour" in what else f"${dollars * 1000:.4f}"
    return what, told, price, promised, original


def one_job(tmp: Path) -> list[Row]:
    scene = Scene(tmp)
    submit = scene.counted(lambda: scene.world.submit("alpha"))
    life = scene.counted(lambda: scene.agent.cycles(4))
    job_id = scene.run(1)[0]
    client = scene.world.client()
    return [
        row("submit", submit, "4 PUT 1 LIST 1 GET"),
        row("one short job, agent", life, "<= 12, and <= 3 a cycle", "17 (first), 30 (fourth)"),
        row("stat", scene.counted(lambda: client.query.job(job_id)), "1 GET"),
        row("delete one", scene.counted(lambda: client.delete(job_id)), "1 GET 2 LIST 3 POST 1 DELETE"),
    ]


def idle(tmp: Path, finished: int) -> Row:
    scene = Scene(tmp)
    scene.run(finished)
    counts = scene.counted(lambda: scene.agent.cycles(HOUR))
    was = {0: 1, 100: 201, 1000: 2009}.get(finished)
    original = f"{was * HOUR} requests" if was else ""
    return row(f"idle hour, {finished} finished", counts, "720 GET 60 PUT 12 LIST", original)


def listing(tmp: Path, jobs: int) -> Row:
    scene = Scene(tmp)
    scene.alpha.scheduler.holds_queue = True
    for _ in range(jobs):
        scene.world.submit("alpha")
    scene.agent.cycles(3)
    counts = scene.counted(scene.world.client().query.active)
    promised = f"{1 + -(-jobs // 1000)} LIST 1 GET"
    return row(f"list, {jobs} jobs", counts, promised, {100: "11-17 s"}.get(jobs, ""))


def history(tmp: Path, jobs: int) -> Row:
    scene = Scene(tmp)
    repository = BucketJobRepository(scene.world.store, scene.world.ids)
    for number in range(jobs):
        repository.put_history(repository.history_key(a_finished_job(f"{number:08x}")))
    counts = scene.counted(lambda: list(scene.world.client().query.history()))
    was = {1000: "103 s", 3000: "328 s"}.get(jobs, "")
    return row(f"history of {jobs}", counts, f"{-(-jobs // 1000)} LIST (and one if full)", was)


def selected(tmp: Path, jobs: int) -> list[Row]:
    """Measure selections among *jobs* finished jobs, a hundred of which have ended since then."""
    scene = Scene(tmp)
    repository = BucketJobRepository(scene.world.store, scene.world.ids)
    for number in range(jobs):
        entry = a_finished_job(f"{number:08x}", at(number), labels=(f"half={number % 2}",))
        repository.put_history(repository.history_key(entry))
    scene.world.clock.pass_by(jobs - scene.world.clock.seconds)
    query = scene.world.client().query
    since, label = Selector.parse(since="100s"), Selector.parse(labels=["half=1"])
    return [
        row(f"history --since, {jobs}", scene.counted(lambda: list(query.history(None, since))), "1 LIST"),
        row(
            f"history --label, {jobs}",
            scene.counted(lambda: list(query.history(None, label))),
            f"{jobs // 1000 + 1} LIST",
        ),
        row(f"list --label, {jobs}", scene.counted(lambda: query.active(label)), "2 LIST"),
    ]


def delete_all(tmp: Path, jobs: int) -> Row:
    scene = Scene(tmp)
    scene.run(jobs)
    counts = scene.counted(lambda: list(scene.world.client().delete.all_finished()))
    objects = len(scene.store.deleted) / jobs
    promised = f"never a LIST a job ({objects:.0f} objects a job)"
    return row(f"delete --all of {jobs}", counts, promised)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", type=int, nargs="*", default=[1, 100, 1000], help="unfinished jobs")
    parser.add_argument("--history", type=int, nargs="*", default=[1000, 3000], help="finished jobs")
    parser.add_argument("--selected", type=int, nargs="*", default=[10_000], help="finished jobs")
    parser.add_argument("--idle", type=int, nargs="*", default=[0, 100], help="finished jobs")
    parser.add_argument("--delete", type=int, nargs="*", default=[300], help="finished jobs")
    sizes = parser.parse_args()
    without_fsync()
    with scratch() as place:
        made = (Path(place) / str(number) for number in range(100))
        rows = one_job(next(made))
        for number in sizes.selected:
            rows += selected(next(made), number)
        for measure, numbers in (
            (idle, sizes.idle), (listing, sizes.list), (history, sizes.history), (delete_all, sizes.delete),
        ):  # fmt: skip
            rows += [measure(next(made), number) for number in numbers]
    head = ("operation", "requests", "price of 1,000", "promised", "original 1.2.0")
    table("Requests", head, rows)


if __name__ == "__main__":
    main()
