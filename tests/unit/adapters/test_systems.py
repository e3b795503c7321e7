"""Profiles as files: those that come with cloudq, and those of a site."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.systems import load_profile, reading, shipped_profiles
from cloudq.adapters.systems.reading import read_profile
from cloudq.bootstrap import schedulers
from cloudq.bootstrap.profiles import agent_profile, profile_of
from cloudq.config import Config, load_config
from cloudq.domain.errors import ConfigProblem
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.domain.scripts.walltime import Walltime
from cloudq.toml_tables import TomlFile
from tests.parts.world import RecordingLog

SCHEDULERS = {
    "local": "local",
    "slurm": "slurm",
    "gridengine": "gridengine",
    "pbs": "pbs",
    "parallelcluster": "slurm",
    "abci": "pbs",
    "abci2": "gridengine",
}
"""Every profile that comes with cloudq, with its scheduler."""


def configured(home: Path, text: str = "") -> Config:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(text)
    return load_config({}, home=home)


def problems_of(directory: Path, text: str, name: str = "mysite") -> list[str]:
    """Return the problems of a site's own profile with this text."""
    (directory / f"{name}.toml").write_text(text)
    with pytest.raises(ConfigProblem) as caught:
        load_profile(name, directory)
    place = re.compile(rf"{re.escape(f'{directory / name}.toml')}(?: line \d+)?[,:] ")
    return [place.sub("", problem) for problem in caught.value.problems]


# Profiles that come with cloudq --------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEDULERS)
def test_an_agent_can_run_with_every_profile_that_comes_with_cloudq(tmp_path: Path, name: str) -> None:
    profile = agent_profile(configured(tmp_path, f'[agent]\nprofile = "{name}"\n'))

    assert (profile.name, profile.scheduler) == (name, SCHEDULERS[name])
    assert profile.poll_interval < profile.query_limit <= profile.submit_limit


def test_no_other_profile_comes_with_cloudq() -> None:
    assert set(shipped_profiles()) == set(SCHEDULERS)


@pytest.mark.parametrize("name", reading.SCHEDULERS)
def test_every_scheduler_that_a_profile_may_name_can_be_built(tmp_path: Path, name: str) -> None:
    scheduler, _ = schedulers.build_scheduler(
        SystemProfile(name="mine", scheduler=name), tmp_path, RecordingLog()
    )

    assert scheduler.poll_interval_s == SystemProfile(name="mine", scheduler=name).poll_interval
    assert name in SCHEDULERS.values()


def test_a_profile_without_a_file_is_refused_when_an_agent_starts(tmp_path: Path) -> None:
    config = configured(tmp_path, '[agent]\nprofile = "mine"\n')

    expected = r"unknown profile 'mine': .*/systems/mine.toml does not exist.*: abci, abci2"
    with pytest.raises(ConfigProblem, match=expected):
        agent_profile(config)


# Profiles of a site --------------------------------------------------------------------------


def test_a_site_may_change_single_values_of_a_profile(tmp_path: Path) -> None:
    (tmp_path / "slurm.toml").write_text(
        'poll_interval = 60\nsubmit_wait = 0.5\n[options]\nproject = ""\n[limits]\nwalltime = "24h"\n'
    )

    profile, shipped = load_profile("slurm", tmp_path), load_profile("slurm", tmp_path / "none")

    assert (profile.poll_interval, profile.submit_wait, profile.scheduler) == (60, 0.5, "slurm")
    assert (profile.project, profile.limits.walltime) == (None, Walltime(86_400))
    assert (profile.resource, profile.walltime) == (shipped.resource, shipped.walltime)


def test_a_profile_of_another_name_may_build_on_any(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('extends = "slurm"\npoll_interval = 20\nquery_limit = 90\n')
    (tmp_path / "mysite.toml").write_text(
        'extends = "site"\npoll_interval = 30\n[resources.gpu]\noptions = "--gpus={n}"\nn_resource = 8\n'
    )

    profile = load_profile("mysite", tmp_path)

    assert (profile.name, profile.scheduler) == ("mysite", "slurm")
    assert (profile.poll_interval, profile.query_limit) == (30, 90)
    assert profile.resources["gpu"].max_n == 8


def test_a_profile_may_be_entirely_new(tmp_path: Path) -> None:
    (tmp_path / "mysite.toml").write_text('scheduler = "slurm"\n')

    profile = load_profile("mysite", tmp_path)

    assert (profile.scheduler, profile.resource, profile.poll_interval) == ("slurm", None, 10)


def test_what_a_shipped_profile_builds_on_is_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "pbs.toml").write_text("submit_wait = 1\n")

    assert load_profile("pbs", tmp_path).submit_wait == 1
    assert load_profile("abci", tmp_path).submit_wait == 30


def test_an_agent_runs_with_a_profile_of_the_site(tmp_path: Path) -> None:
    config = configured(tmp_path, '[agent]\nname = "kaede"\nprofile = "mysite"\n')
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "mysite.toml").write_text('extends = "local"\n')

    assert agent_profile(config).scheduler == "local"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("poll_intervall = 3", "poll_intervall: unknown key; did you mean poll_interval?"),
        ("poll_interval = 0", "poll_interval: 0 is not a number of seconds above 0"),
        ("poll_interval = true", "poll_interval: True is not a number of seconds above 0"),
        ('poll_interval = "soon"', "poll_interval: 'soon' is not a number of seconds above 0"),
        ('scheduler = "lsf"', "scheduler: must be one of local, slurm, gridengine, pbs, not 'lsf'"),
        ("options = 3", "options: must be a section, [options]"),
        ('[option]\nproject = ""', "option: unknown section; did you mean options?"),
        ("[options]\nproject = 3", "[options] project: must be a text in quotes, not 3"),
        (
            '[options]\nproject = "-P {group}"',
            "[options] project: '-P {group}': unknown field {group} (known: {project})",
        ),
        (
            '[options]\nwalltime = "-t {walltime_hms!r}"',
            (
                "[options] walltime: '-t {walltime_hms!r}': unknown field {walltime_hms!r} (known: "
                "{walltime_hms}, {walltime_minutes}, {walltime_seconds})"
            ),
        ),
        (
            '[options]\nresource = "{resource}"',
            (
                "[options] resource: '{resource}': '{resource}' is not an option: a submit command would "
                "take it for the jobscript"
            ),
        ),
        (
            '[options]\nresource = "-l \'x"',
            '[options] resource: options "-l \'x" cannot be split into words: No closing quotation',
        ),
        ('[options]\nresource = "-l {n"', None),
        ('[options]\nresorce = "-l"', "[options] resorce: unknown key; did you mean resource?"),
        ("[resources]\ngpu = 3", "[resources] gpu: must be a section, [resources.gpu]"),
        (
            "[resources.gpu]\nn_resource = 0",
            "[resources.gpu] n_resource: '0' is not a number from 1 to 1000000",
        ),
        (
            '[resources.gpu]\nn_resource = "2"',
            "[resources.gpu] n_resource: must be a whole number, not '2'",
        ),
        ("[resources.gpu]\nmax = 2", "[resources.gpu] max: unknown key (known: n_resource, options)"),
        ('[shell]\npreamble = "x"', "[shell] preamble: must be a list of at most 100 texts, not 'x'"),
        ('[shell]\npreamble = ["a\\nb"]', "[shell] preamble: 'a\\nb' is not one line of shell"),
        (
            '[shell]\npreamble = ["echo \'a"]',
            '[shell] preamble: "echo \'a" is not one line of shell: No closing quotation',
        ),
        ('[shell]\nmodules = ["a; b"]', "[shell] modules: 'a; b' is not the name of a module"),
        (
            '[container]\nruntime = "lxc"',
            "[container] runtime: must be one of apptainer, singularity, podman, docker, none, not 'lxc'",
        ),
        ('[limits]\narray_lists = "no"', "[limits] array_lists: must be true or false, not 'no'"),
        ("[limits]\nwalltime = 3600", "[limits] walltime: must be a text in quotes, not 3600"),
        ('extends = "nowhere"', None),
        ('extends = "mysite"', "extends: 'mysite' itself extends this profile"),
        ("extends = 3", "extends: 3 is not the name of a profile"),
        ("[limits]\nn_resource = 4", "scheduler: is missing; must be one of local, slurm, gridengine, pbs"),
        (
            'scheduler = "slurm"\n[resources.gpu]\nn_resource = 3',
            "[resources.gpu] options: is missing, like [options] resource",
        ),
        ("poll_interval", None),
    ],
)
def test_what_is_wrong_in_a_profile_is_named_with_its_place(
    tmp_path: Path, text: str, problem: str | None
) -> None:
    [told] = problems_of(tmp_path, text)

    assert problem is None or told == problem


BAD = """\
scheduler = "x"
poll = 3
walltime = "1h"
[options]
project = 1
walltime = "{a}"
[limit]
walltime = "1h"
[resources."a b"]
n_resource = 0
"""


def test_every_problem_of_every_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('extends = "slurm"\n[shell]\nmodules = 3\n')
    (tmp_path / "mysite.toml").write_text('extends = "site"\n' + BAD)
    with pytest.raises(ConfigProblem) as caught:
        load_profile("mysite", tmp_path)

    assert [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == [
        "site.toml line 3, [shell] modules: must be a list of at most 100 texts, not 3",
        "mysite.toml line 2, scheduler: must be one of local, slurm, gridengine, pbs, not 'x'",
        (
            "mysite.toml line 3, poll: unknown key (known: container, limits, options, poll_interval, "
            "query_limit, resources, scheduler, shell, submit_limit, submit_wait)"
        ),
        ("mysite.toml line 4, walltime: unknown key; did you mean [options] walltime or [limits] walltime?"),
        "mysite.toml line 6, [options] project: must be a text in quotes, not 1",
        (
            "mysite.toml line 7, [options] walltime: '{a}': unknown field {a} (known: {walltime_hms}, "
            "{walltime_minutes}, {walltime_seconds})"
        ),
        (
            "mysite.toml line 7, [options] walltime: '{a}': '{a}' is not an option: a submit command would "
            "take it for the jobscript"
        ),
        "mysite.toml line 8, limit: unknown section; did you mean limits?",
        (
            "mysite.toml line 10, [resources] a b: 'a b' is not a name: letters, digits, '_', '.' and '-', "
            "128 at most, not beginning with '.' or '-'; if a system uses another name, map it in the "
            "configuration"
        ),
        "mysite.toml line 11, [resources.a b] n_resource: '0' is not a number from 1 to 1000000",
    ]


NAMES = (
    "scheduler poll_interval options resources shell container limits project resource walltime preamble "
    "modules runtime n_resource array_lists gpu x"
)
names = st.sampled_from(["", *NAMES.split()])
texts = (
    st.sampled_from(["slurm", "-P {project}", "-q {resource} {n}", "{", "-x {y}", "1h", "a\nb"]) | st.text()
)
leaves = texts | st.integers() | st.floats() | st.booleans() | st.lists(texts, max_size=3)
contents = st.recursive(leaves, lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=12)


@given(st.dictionaries(names, contents, max_size=6))
def test_whatever_a_file_says_it_is_a_profile_or_refused_in_words(told: dict[str, object]) -> None:
    shipped = {"scheduler": "slurm", "poll_interval": 10}
    with suppress(ConfigProblem):
        profile = read_profile("mysite", [TomlFile("shipped", shipped), TomlFile("own", told)])

        assert profile.scheduler in reading.SCHEDULERS


# The profile of a system ---------------------------------------------------------------------


def test_the_profile_of_a_system_is_looked_for_in_order(tmp_path: Path) -> None:
    config = configured(tmp_path, '[agent]\nname = "abci"\nprofile = "slurm"\n')

    assert profile_of(config, "abci", "pbs").name == "pbs"
    assert profile_of(config, "abci").name == "slurm"
    assert profile_of(config, "abci2").name == "abci2"

    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "abci.toml").write_text('scheduler = "gridengine"\n')

    assert profile_of(config, "abci").scheduler == "gridengine"


def test_a_system_without_a_profile_is_said_to_need_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match=r"this machine has no profile of kaede: name its profile"):
        profile_of(configured(tmp_path), "kaede")
