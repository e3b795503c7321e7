"""Provide tables, medians and timed processes to the benchmarks."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks use parts of the tests

TICKS = os.sysconf("SC_CLK_TCK")


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table whose columns are as wide as their content."""
    cells = [list(map(str, row)) for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if not number:
            print("  " + "  ".join("-" * width for width in widths))


def median(values: Sequence[float]) -> float:
    """Return the middle value, which a single slow run does not distort."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """Return the median and the range, in seconds."""
    return f"{median(values):.2f} s ({min(values):.2f}-{max(values):.2f})"


def without_fsync() -> None:
    """Turn off fsync: the counts must not depend on the speed of a disk."""
    os.fsync = lambda _: None


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Create a directory in memory if possible, so that no count depends on a disk."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="cloudq-bench-", dir=memory if memory.is_dir() else None)


def seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds that *work* takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process so far, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mb(pid: int | str = "self") -> float:
    """Return the highest memory use of a process so far, in MB (2**20 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def moto() -> Iterator[dict[str, str]]:
    """Start an S3 service with one bucket on this machine; yield the variables that lead to it."""
    from tests.parts.s3_services import BUCKET, S3Service  # noqa: PLC0415 (found once ROOT is on the path)

    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(ROOT / "tests/parts/locked_moto.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        try:
            assert server.stdout is not None
            service = S3Service(f"http://127.0.0.1:{int(server.stdout.readline())}", "moto", "any secret")
            service.make_bucket()
            os.environ.update(service.environment())  # for clients in this process
            store = {"CLOUDQ_STORE_ENDPOINT_URL": service.endpoint_url, "CLOUDQ_STORE_BUCKET": BUCKET}
            yield {**service.environment(), **store}
        finally:
            server.kill()
