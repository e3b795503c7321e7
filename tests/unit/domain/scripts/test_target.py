"""The systems that may run a job: pinned ones, or any system that its owner does not exclude."""

from __future__ import annotations

import pytest

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.target import (
    AnySystem,
    Pinned,
    Target,
    case_warnings,
    named_systems,
    read_target,
)

LOCAL = Jobscript("run.sh", b"echo hi\n")
HEAD = b"#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\n"
META = MetaScript.parse("mjob.sh", HEAD + b"echo hi\n")
ON_ALPHA = MetaScript.parse("mjob.sh", HEAD + b"#$ run_on: alpha\necho hi\n")


@pytest.mark.parametrize(
    ("script", "submit_to", "only", "without", "target"),
    [
        (LOCAL, "alpha", (), (), Pinned(("alpha",))),
        (LOCAL, " Alpha , beta", (), (), Pinned(("alpha", "beta"))),
        (META, "", (), (), AnySystem()),
        (META, "", ("alpha,Beta", "gamma"), (), AnySystem(("alpha", "beta", "gamma"))),
        (META, "", (), ("beta",), AnySystem(without=("beta",))),
        (META, "", ("beta",), (), Pinned(("beta",))),
        (META, "", ("beta",), ("alpha",), AnySystem(("beta",), ("alpha",))),
        (ON_ALPHA, "", (), (), Pinned(("alpha",))),
        (ON_ALPHA, "alpha", (), (), Pinned(("alpha",))),
        (None, "", (), (), AnySystem()),
    ],
)
def test_script_and_options_name_the_target(
    script: Jobscript | None, submit_to: str, only: tuple[str, ...], without: tuple[str, ...], target: Target
) -> None:
    assert read_target(script, submit_to, only, without) == target


def test_all_problems_of_a_target_are_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_target(ON_ALPHA, "beta", ["no/system"], ["gamma"])

    assert [problem.partition(" ")[0] for problem in caught.value.problems] == [
        "'no/system'", "run_on", "systems",
    ]  # fmt: skip


@pytest.mark.parametrize(("systems", "submit_to"), [(("alpha",), "alpha"), (("alpha", "beta"), "")])
def test_a_record_names_the_target_only_if_it_is_one_system(systems: tuple[str, ...], submit_to: str) -> None:
    assert Pinned(systems).submit_to == submit_to
    assert AnySystem(systems).submit_to == ""


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        (AnySystem(), "alpha beta gamma"),
        (AnySystem(only=("alpha", "beta")), "alpha beta"),
        (AnySystem(without=("beta",)), "alpha gamma"),
        (AnySystem(only=("alpha", "beta"), without=("beta",)), "alpha"),
    ],
)
def test_the_owner_excludes_systems(target: AnySystem, allowed: str) -> None:
    assert [system for system in ("alpha", "beta", "gamma") if target.allows(system)] == allowed.split()


def test_a_name_in_upper_case_is_taken_with_a_warning() -> None:
    assert list(case_warnings(["alpha, Beta", ""])) == [
        "Beta is taken as beta: names of systems are lower case."
    ]


def test_a_system_that_is_named_twice_counts_once() -> None:
    assert named_systems(["alpha,beta", "Alpha"]) == ("alpha", "beta")
