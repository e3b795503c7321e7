"""Commands that are run and waited for, as on any operating system."""

from __future__ import annotations

import os
import sys

import pytest

from cloudq.adapters.portable_process import DidNotEnd, Ended, run_portably

TELLS = "import os, sys; print(sys.argv[1:], os.environ.get('X')); print('é', file=sys.stderr); sys.exit(3)"


def test_words_arrive_as_they_are_and_all_that_was_printed_comes_back() -> None:
    env = {**os.environ, "X": "1", "PYTHONIOENCODING": "utf-8"}

    ended = run_portably([sys.executable, "-c", TELLS, "a b", "$HOME", ";", ""], env, 60)

    assert (ended.status, ended.stderr.strip()) == (3, "é")
    assert ended.stdout.strip() == "['a b', '$HOME', ';', ''] 1"


def test_it_reads_nothing_of_what_the_user_types() -> None:
    ended = run_portably([sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"], os.environ, 60)

    assert ended.stdout.strip() == "''"


def test_bytes_that_are_no_text_are_told_all_the_same() -> None:
    write = "import sys; sys.stdout.buffer.write(b'a\\xff')"

    assert run_portably([sys.executable, "-c", write], os.environ, 60) == Ended(0, "a\ufffd", "")


def test_what_does_not_end_is_killed() -> None:
    with pytest.raises(DidNotEnd, match="gave no answer within 0 seconds"):
        run_portably([sys.executable, "-c", "import time; time.sleep(600)"], os.environ, 0.3)


def test_what_cannot_be_started_is_told() -> None:
    with pytest.raises(DidNotEnd, match="nowhere/pcluster cannot be run"):
        run_portably(["/nowhere/pcluster"], os.environ, 1)
