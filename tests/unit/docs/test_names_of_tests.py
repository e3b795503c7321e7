"""The promise of conftest: even a test whose parameter is huge can start commands."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HUGE = ["x" * 5_000_000, "x" * 4_999_999, "\N{SNOWMAN}\0" * 1_000_000, b"\0\xff" * 1_000_000]


@pytest.mark.parametrize("value", HUGE)
def test_a_command_starts_in_a_test_of_a_huge_value(value: str | bytes) -> None:
    assert "PYTEST_CURRENT_TEST" in os.environ

    assert subprocess.run([sys.executable, "-I", "-c", ""], check=False).returncode == 0
