"""The options of the embedded scheduler, in header lines and in --submit_opt."""

from __future__ import annotations

import pytest

from cloudq.adapters.schedulers.local.options import LocalOptions, read_local_options
from cloudq.adapters.schedulers.local.scheduler import LOCAL_DIALECT
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.scripts.header import header_lines
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.walltime import Walltime


def test_options_of_submit_opt_take_precedence_over_header_lines() -> None:
    options = read_local_options(("--slots=3",), ("#LOCAL --slots 2", "#LOCAL\t--time\t1:00:00"))

    assert options == LocalOptions(slots=3, time=Walltime(3600))


def test_a_header_line_without_options_asks_for_nothing() -> None:
    lines = header_lines(Jobscript("job.sh", b"#!/bin/bash\n#LOCAL  \n"), LOCAL_DIALECT.header)

    assert lines == ("#LOCAL",)
    assert read_local_options((), lines) == LocalOptions()


def test_problems_name_the_header_line() -> None:
    with pytest.raises(SubmitRefused, match=r"^#LOCAL --wait: --wait: unknown option.*; submit_opt: --x: "):
        read_local_options(("--x",), ("#LOCAL --wait",))
