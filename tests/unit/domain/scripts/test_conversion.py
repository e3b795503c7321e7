"""The conversion of a meta jobscript for each kind of system."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.systems import load_profile, shipped_profiles
from cloudq.bootstrap.preview import conversion_preview
from cloudq.config import load_config
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.eligibility import offer_of, why_not
from cloudq.domain.names import file_name_problem
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.local_script import LocalScript, convert, local_name_of
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.option_template import OptionTemplate
from cloudq.domain.scripts.system_mapping import NameTables, SystemMapping
from cloudq.domain.scripts.system_profile import (
    PROJECT_FIELDS,
    RESOURCE_FIELDS,
    Limits,
    ResourceProfile,
    SystemProfile,
)
from cloudq.domain.scripts.walltime import Walltime

RESOURCES = {
    "local": "cpu",
    "slurm": "gpu",
    "parallelcluster": "c5.xlarge",
    "gridengine": "gpu",
    "pbs": "workq",
    "abci": "rt_HF",
    "abci2": "rt_F",
}
"""The resource that the meta jobscript names on each system."""

CASES = {
    "plain": "#$ walltime: 1:30:00\n",
    "array": "#$ walltime: 1:30:00\n",
    "containers": "#$ container_img: docker://nvcr.io/nvidia/pytorch:24.01-py3\n"
    "#$ container_img: file:///data/it's.sif\n",
    "walltime": "#$ walltime: 1-12:00:30\n",
    "no_walltime": "",
    "other_opts": "#$ other_opts: {other_opts}\n",
}

OTHER_OPTS = {
    "gridengine": "-N 'a b' --x=$(touch /tmp/x)",
    "local": "--time='1:00:00'",
    "pbs": "-N 'a b' -v 'X=$(touch /tmp/x)'",
    "slurm": "-N 'a b' '--x=$(touch /tmp/x)'",
}
"""Options that the scheduler takes, with blanks and with words that a shell would expand."""


def profile_named(name: str) -> SystemProfile:
    return load_profile(name, Path("nowhere"))


def a_script(more: str = "", resource: str = "gpu", n: int = 2) -> MetaScript:
    head = f"#!/bin/bash\n#$ project: grp1\n#$ resource: {resource}\n#$ n_resource: {n}\n{more}"
    return MetaScript.parse("mjob.sh", f'{head}\n# the work\necho "$SYSTEM $ARY_TASK_ID"\n'.encode())


def converted(
    profile: SystemProfile | str, script: MetaScript | None = None, array: str | None = None, **mapping: str
) -> LocalScript:
    chosen = profile_named(profile) if isinstance(profile, str) else profile
    tasks = ArrayRange.parse(array) if array else None
    return convert(script or a_script(), chosen, SystemMapping("kaede", **mapping), tasks)


def problems_of(*args: object, **more: object) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        converted(*args, **more)  # type: ignore[arg-type]
    return list(caught.value.problems)


# Every profile, every kind of script ---------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", RESOURCES)
def test_what_would_be_submitted_is_the_golden_text(
    name: str, case: str, golden: Callable[[str, str], None], tmp_path: Path
) -> None:
    options = OTHER_OPTS[profile_named(name).scheduler]
    script = a_script(CASES[case].format(other_opts=options), RESOURCES[name])
    (tmp_path / script.name).write_bytes(script.body)
    preview = conversion_preview(load_config({}, home=tmp_path))

    shown = preview(tmp_path / script.name, name, array_tid="1-9:2" if case == "array" else None)

    golden(f"{name}_{case}.txt", shown.text)


def test_every_profile_has_its_golden_texts() -> None:
    assert set(RESOURCES) == set(shipped_profiles())


# Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("mjob_tf_mnist.sh", "mjob_tf_mnist_local.sh"),
        ("job", "job_local"),
        ("a.b.py", "a.b_local.py"),
        (".hidden", ".hidden_local"),
        ("x" * 200, "x" * 194 + "_local"),
        ("é" * 98 + ".sh", "é" * 95 + "_local.sh"),
    ],
)
def test_the_local_script_has_the_name_of_the_script(name: str, local: str) -> None:
    assert local_name_of(name) == local


@given(st.text(min_size=1, max_size=210).filter(lambda name: file_name_problem(name) is None))
def test_the_local_name_is_a_file_name_other_than_the_script_s(name: str) -> None:
    assert file_name_problem(local_name_of(name)) is None
    assert local_name_of(name) != name


# Projects and resources ----------------------------------------------------------------------


def test_a_project_is_called_what_the_configuration_says() -> None:
    assert converted("slurm", project="imaging_2026").options[0] == "--account=imaging_2026"


def test_a_project_is_ignored_where_there_is_no_place_for_one() -> None:
    assert converted("local").options == ("--slots=2",)


def test_a_resource_is_called_what_the_configuration_says() -> None:
    words = ("-P", "grp1", "-q", "rt_HF", "-l", "select=2")

    assert converted("abci", resource="rt_HF").options == words


def test_a_resource_may_be_options_in_the_configuration() -> None:
    local = converted("slurm", resource="--partition=gpu --gpus={n} --comment='a b'")

    assert local.options == ("--account=grp1", "--partition=gpu", "--gpus=2", "--comment=a b")


def test_a_resource_that_is_not_known_is_refused_with_those_that_are() -> None:
    [problem] = problems_of("abci")

    assert problem == (
        "kaede: profile abci has no resource 'gpu' (known: rt_HC, rt_HF, rt_HG); "
        "map the name in the configuration"
    )


@pytest.mark.parametrize(("resource", "most"), [("rt_HF", 128), ("rt_HG", 1), ("rt_HC", 1)])
def test_more_of_a_resource_than_there_is_is_refused(resource: str, most: int) -> None:
    converted("abci", a_script(resource=resource, n=most))

    assert problems_of("abci", a_script(resource=resource, n=most + 1)) == [
        f"kaede: n_resource {most + 1}: at most {most} of resource {resource}"
    ]


def test_several_of_what_can_only_be_had_once_are_refused() -> None:
    assert converted("slurm", a_script(n=1), resource="--partition=gpu").options[-1] == "--partition=gpu"
    assert problems_of("slurm", a_script(n=2), resource="--partition=gpu") == [
        "kaede: n_resource 2: at most 1 of resource gpu"
    ]


def test_a_walltime_beyond_the_limit_is_refused() -> None:
    assert problems_of("abci", a_script("#$ walltime: 8-00:00:00\n", "rt_HF")) == [
        "kaede: walltime 192:00:00: at most 168:00:00"
    ]


def test_a_walltime_is_refused_where_none_can_be_asked_for() -> None:
    bare = SystemProfile(
        name="bare", scheduler="slurm", resource=OptionTemplate.parse("-p {resource}", RESOURCE_FIELDS)
    )

    assert converted(bare, a_script(n=1)).options == ("-p", "gpu")
    assert problems_of(bare, a_script("#$ walltime: 1h\n", n=1)) == [
        "kaede: walltime 1:00:00: profile bare has no option for it"
    ]


@pytest.mark.parametrize("array", ["1,3,5", "1-4,7"])
@pytest.mark.parametrize("name", ["gridengine", "pbs"])
def test_a_list_of_tasks_is_refused_where_the_scheduler_has_none(name: str, array: str) -> None:
    [problem] = problems_of(name, array=array)

    assert "the scheduler accepts FIRST-LAST:STEP, not a list" in problem


@pytest.mark.parametrize("name", ["slurm", "local"])
def test_a_list_of_tasks_is_taken_where_the_scheduler_has_it(name: str) -> None:
    assert converted(name, array="1,3,5%2").array == ArrayRange.parse("1,3,5%2")


def test_a_limit_of_running_tasks_is_refused_where_the_scheduler_has_none() -> None:
    profile = evolve(profile_named("slurm"), limits=Limits(array_running=False))

    [problem] = problems_of(profile, array="1-9%2")
    assert "cannot limit how many tasks run" in problem


def test_containers_are_refused_where_there_are_none() -> None:
    profile = evolve(profile_named("slurm"), container_runtime="none")

    assert problems_of(profile, a_script(CASES["containers"])) == [
        "kaede: container_img: the system has no container runtime"
    ]


def test_all_problems_are_told_at_once() -> None:
    script = a_script("#$ walltime: 8-00:00:00\n", "rt_X", 300)

    assert len(problems_of("abci", script, array="1,4")) == 3
    assert len(problems_of("abci", script, array="1,4", project="-x", resource="rt_HG")) == 4


# No user's text becomes more than a value ----------------------------------------------------

values = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TEMPLATES = SystemProfile(
    name="any",
    scheduler="slurm",
    project=OptionTemplate.parse("-P {project} --account={project}", PROJECT_FIELDS),
    resource=OptionTemplate.parse("-q {resource} -l select={n}:{resource}", RESOURCE_FIELDS),
)


def either(project: str, resource: str) -> Iterator[LocalScript]:
    """Yield the conversion, unless it is rejected."""
    try:
        yield converted(TEMPLATES, project=project, resource=resource)
    except InvalidInput:
        return


@given(values, values.filter(lambda text: not text.startswith("-")))
def test_no_mapped_value_ever_adds_a_word_or_an_option(project: str, resource: str) -> None:
    for local in either(project, resource):
        words = local.options
        used = (project or "grp1", resource or "gpu")

        assert len(words) == 7
        assert words == (
            "-P", used[0], f"--account={used[0]}", "-q", used[1], "-l", f"select=2:{used[1]}",
        )  # fmt: skip
        assert [word.startswith("-") for word in words] == [True, False, True, True, False, True, False]


@given(values)
def test_no_directive_ever_adds_a_word_or_an_option(value: str) -> None:
    body = f"#$ project: {value}\n#$ resource: {value}\n#$ n_resource: 2\necho\n".encode()
    try:
        script = MetaScript.parse("mjob.sh", body)
    except InvalidInput:
        return
    words = converted(TEMPLATES, script).options

    assert len(words) == 7
    assert [word.startswith("-") for word in words] == [True, False, True, True, False, True, False]


LIMITED = evolve(
    TEMPLATES,
    limits=Limits(n_resource=100, walltime=Walltime(7200), array_running=False),
    container_runtime="none",
)


# The systems to which a job may be offered ---------------------------------------------------


def reasons(
    profile: SystemProfile | str,
    script: MetaScript,
    mapping: SystemMapping | None = None,
    array: str | None = None,
    *,
    is_chosen: bool = False,
    unpinned: bool = True,
) -> str:
    chosen = profile_named(profile) if isinstance(profile, str) else profile
    tasks = ArrayRange.parse(array) if array else None
    offer = offer_of(chosen, unpinned=unpinned)
    there = mapping or SystemMapping("kaede")
    return "; ".join(why_not(offer, script, there, tasks, is_pinned=False, is_chosen=is_chosen))


def test_a_system_is_offered_what_its_profile_lists() -> None:
    assert reasons("abci", a_script(resource="rt_HF")) == ""
    assert (
        reasons("abci", a_script(resource="rt_F")) == "it has no resource 'rt_F' (known: rt_HC, rt_HF, rt_HG)"
    )


def test_a_system_that_would_pass_any_name_on_is_offered_a_job_only_if_it_was_named() -> None:
    assert reasons("slurm", a_script()) == "it has no resource 'gpu' (known: none)"
    assert reasons("slurm", a_script(), is_chosen=True) == ""


def test_a_mapped_resource_counts_as_known() -> None:
    assert reasons("slurm", a_script(), SystemMapping("kaede", resource="--gpus={n}")) == ""
    assert reasons("slurm", a_script(), SystemMapping("kaede", resource="gpuq")) == ""
    assert reasons("abci", a_script(), SystemMapping("kaede", resource="rt_F")) != ""


def test_every_limit_of_a_system_is_a_reason() -> None:
    profile = evolve(profile_named("abci"), container_runtime="none")
    script = a_script("#$ walltime: 8-00:00:00\n#$ container_img: docker://a\n", "rt_HG", 2)

    assert reasons(profile, script, array="1,3", unpinned=False).count(";") == 4


def test_a_job_is_offered_only_where_it_can_be_converted() -> None:
    """The system's offer alone decides: no agent takes a job that it must then reject."""
    one = OptionTemplate.parse("--gpu", RESOURCE_FIELDS)
    bare = SystemProfile(name="bare", scheduler="slurm", resource=one)
    listed = evolve(bare, resource=None, resources={"gpu": ResourceProfile(one, 8)})
    profiles = [
        *map(profile_named, RESOURCES),
        bare,
        listed,
        evolve(LIMITED, resources={"gpu": ResourceProfile()}),
    ]
    wanted = [
        a_script(more, resource, n)
        for more in ("", "#$ walltime: 1h\n", "#$ walltime: 9-00:00:00\n", CASES["containers"])
        for resource in ("gpu", "rt_HF", "cpu")
        for n in (1, 2, 200)
    ]
    mappings = [
        SystemMapping("kaede", resource=resource) for resource in ("", "--gpus={n}", "--gpu", "rt_HG")
    ]
    for profile in profiles:
        for script in wanted:
            for mapping in mappings:
                for array in (None, "1-4", "1,3", "1-4%2"):
                    may_run = reasons(profile, script, mapping, array, is_chosen=True) == ""

                    assert may_run == can_be_converted(profile, script, mapping, array), (
                        profile,
                        script,
                        mapping,
                    )


def can_be_converted(
    profile: SystemProfile, script: MetaScript, mapping: SystemMapping, array: str | None
) -> bool:
    try:
        convert(script, profile, mapping, ArrayRange.parse(array) if array else None)
    except InvalidInput:
        return False
    return True


def test_the_configuration_tells_names_system_by_system() -> None:
    names = NameTables(
        {"p": {"alpha": "grp", "delta": "-x"}}, {"gpu": {"beta": "--gpus={n}", "gamma": "--gpus={x}"}}
    )

    assert names.mappings("p", "gpu") == (
        SystemMapping("alpha", project="grp"),
        SystemMapping("beta", resource="--gpus={n}"),
    )
    assert names.mapping("p", "gpu", "other") == SystemMapping("other")
