"""Run lives: ``python -m tests.simulation.run --lives 1000``, or one again: ``--seed N``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.simulation.life import Life
from tests.simulation.story import Broken


def broken_in(seed: int, base: Path, most_steps: int | None = None, *, raises: bool = False) -> str:
    """What the life of *seed* broke, with its story and how to see it again; empty if nothing."""
    tmp = base / str(seed)
    tmp.mkdir(parents=True)
    again = f"replay: python -m tests.simulation.run --seed {seed}"
    again += f" --most-steps {most_steps}" if most_steps else ""
    life = Life(seed, tmp, raises=raises, most_steps=most_steps)
    try:
        life.live()
    except Broken as error:
        return f"{life.story.text()}\n\n{error}\n{again}"
    except Exception:  # noqa: BLE001 (a defect of the simulation itself must name its seed too)
        return f"{life.story.text()}\n\n{traceback.format_exc()}\n{again}"
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="live this one life and tell its story")
    parser.add_argument("--lives", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--most-steps", type=int, help="make lives short")
    parser.add_argument("--stop-after", type=int, default=0, help="stop after so many broken lives")
    parser.add_argument("--raises", action="store_true", help="show where unexpected exceptions come from")
    chosen = parser.parse_args()
    os.fsync = lambda _: None  # no machine loses its power here
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as base:

        def live(seed: int) -> str:
            return broken_in(seed, Path(base), chosen.most_steps, raises=chosen.raises)

        return _count(chosen, live) if chosen.seed is None else _tell(chosen.seed, live)


def _tell(seed: int, live: Callable[[int], str]) -> int:
    told = live(seed)
    _say(told or f"life {seed} kept every promise")
    return 1 if told else 0


def _count(chosen: argparse.Namespace, live: Callable[[int], str]) -> int:
    began, broken, done = time.monotonic(), 0, 0
    for seed in range(chosen.first, chosen.first + chosen.lives):
        told, done = live(seed), done + 1
        if told:
            broken += 1
            _say(f"{seed}, life {done}: {' | '.join(told.splitlines()[-2:])}"[:600])
            if broken == chosen.stop_after:
                break
    took = time.monotonic() - began
    _say(f"{done} lives, {broken} broken, {1000 * took / max(done, 1):.0f} ms a life")
    return 1 if broken else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
