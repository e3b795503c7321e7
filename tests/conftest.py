"""Provide a clean environment, golden files and repeatable property tests to all tests."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

# Where PYTHONDONTWRITEBYTECODE is set, each process of a run would compile, and pytest would rewrite, every
# module of the tests: a seventh of the time of the unit tests. The results go beside pytest's own cache.
if sys.dont_write_bytecode:
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "pycache")
    sys.dont_write_bytecode = False

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.parts.grid_engine import grid_engine
from tests.parts.pcluster.part import cloud, cloud_server, pcluster
from tests.parts.s3_services import ceph_service, moto_service, weak_moto_service
from tests.parts.slurm import slurm, slurm_with_accounting

__all__ = [  # fixtures for all
    "ceph_service",
    "cloud",
    "cloud_server",
    "grid_engine",
    "moto_service",
    "pcluster",
    "slurm",
    "slurm_with_accounting",
    "weak_moto_service",
]

# A busy machine must not make a property test fail. CI has the time for more examples.
settings.register_profile("cloudq", deadline=None, max_examples=100 if os.environ.get("CI") == "true" else 40)
# Long searches, as `make fuzz` runs them; docs/hostile-input.md has the results.
settings.register_profile(
    "deep", deadline=None, max_examples=int(os.environ.get("FUZZ_EXAMPLES", "10000")),
    phases=[Phase.generate] if os.environ.get("FUZZ_NO_SHRINK") else list(Phase), database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "cloudq"))

MAX_VALUE_IN_A_NAME = 100
ALLOW_ROOT = "CLOUDQ_AGENT_ALLOW_ROOT"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files")


def pytest_configure() -> None:
    """Hide the developer's settings and credentials, and the job that may run the tests, from all tests."""
    for name in list(os.environ):
        if name.startswith(("CLOUDQ_", "AWS_", "SLURM_", "SBATCH_", "SQUEUE_", "SACCT_", "SGE_")):
            del os.environ[name]
    if os.geteuid() == 0:  # agents in tests derive their environment from this one and run as the same user
        os.environ[ALLOW_ROOT] = "true"
    # A shell that runs the tests in its background makes the processes that they start ignore Ctrl-C, and
    # `nohup` makes them ignore the end of a session. A shell cannot trap a signal that it ignored when it
    # started.
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_finish() -> None:
    """Spare thousands of collected tests, which live until the end, from every search for garbage."""
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Shorten ids: a test's name is in the environment of its processes, where no word may have 128 KiB."""
    if not isinstance(val, str | bytes) or len(val) <= MAX_VALUE_IN_A_NAME:
        return None
    start = val[:MAX_VALUE_IN_A_NAME]
    shown = start.encode("unicode_escape") if isinstance(start, str) else start
    return f"{shown.decode('ascii', 'backslashreplace')}...{len(val)}"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with ``golden/NAME`` beside the test, or rewrite that file with --update-golden."""
    folder = Path(request.path).parent / "golden"

    def check(name: str, text: str) -> None:
        file = folder / name
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")

        assert file.read_text(encoding="utf-8") == text

    return check
