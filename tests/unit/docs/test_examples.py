"""The example jobscripts: each suits every system that it is for."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudq.adapters.schedulers.grid_engine.options import read_grid_engine_options
from cloudq.adapters.schedulers.grid_engine.scheduler import GRID_ENGINE_DIALECT
from cloudq.adapters.schedulers.local.options import read_local_options
from cloudq.adapters.schedulers.local.scheduler import LOCAL_DIALECT
from cloudq.adapters.schedulers.pbs.options import read_pbs_options
from cloudq.adapters.schedulers.pbs.scheduler import PBS_DIALECT
from cloudq.adapters.schedulers.slurm.options import read_slurm_options
from cloudq.adapters.schedulers.slurm.scheduler import SLURM_DIALECT
from cloudq.adapters.systems import load_profile, shipped_profiles
from cloudq.bootstrap.preview import conversion_preview
from cloudq.config import Config, load_config
from cloudq.domain.jobs.job_shell import ShellDialect
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.directive import is_meta
from cloudq.domain.scripts.header import header_lines
from cloudq.domain.scripts.jobscript import Jobscript

EXAMPLES = Path(__file__).parents[3] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.sh"))
META = [path for path in SCRIPTS if path.name.startswith("mjob_")]
LOCAL = [path for path in SCRIPTS if path.name.startswith("ljob_")]
TRAINING = [path for path in SCRIPTS if "_mnist." in path.name]

READERS: dict[str, tuple[Callable[..., object], ShellDialect]] = {
    "local": (read_local_options, LOCAL_DIALECT),
    "slurm": (read_slurm_options, SLURM_DIALECT),
    "gridengine": (read_grid_engine_options, GRID_ENGINE_DIALECT),
    "pbs": (read_pbs_options, PBS_DIALECT),
}
"""For each scheduler: the reader of a script's own options, and the syntax of its header lines."""

named = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)


def site_of(path: Path) -> str:
    """Return the profile that a local jobscript is for, from its name."""
    return path.name.split(".")[1]


def configured(home: Path) -> Config:
    """Return a configuration with the names of examples/names.toml."""
    (home / "config.toml").write_bytes((EXAMPLES / "names.toml").read_bytes())
    return load_config({}, home=home)


def own_options(path: Path) -> object:
    """Return the options for the script's scheduler; raise `SubmitRefused` if it would reject one."""
    scheduler = load_profile(site_of(path), Path("nowhere")).scheduler
    reader, dialect = READERS[scheduler]
    return reader((), header_lines(Jobscript.checked(path.name, path.read_bytes()), dialect.header))


def program_in(path: Path) -> str:
    return path.read_text().partition("<<'PYTHON'\n")[2].partition("PYTHON\n")[0]


def test_the_examples_that_the_original_names_are_there() -> None:
    names = {path.name for path in SCRIPTS}

    assert names >= {"mjob_array.sh", "mjob_pt_mnist.sh", "mjob_tf_mnist.sh", "ljob_tf_mnist.abci.sh"}
    assert {site_of(path) for path in LOCAL} == {"abci", "abci2", "local", "slurm"}


@pytest.mark.parametrize("profile", sorted(shipped_profiles()))
@pytest.mark.parametrize("path", META, ids=lambda path: path.name)
def test_a_meta_jobscript_is_converted_for_every_system(path: Path, profile: str, tmp_path: Path) -> None:
    array = "1-4:1" if "array" in path.name else None
    shown = conversion_preview(configured(tmp_path))(path, profile, array_tid=array)
    command = shown.text.splitlines()[0]

    assert shown.warnings == ()
    assert re.search(r"\b0:[13]0:00 ", command)
    assert ("1-4" in command) == (array is not None)
    assert ("image           CONTAINER_IMG0 from docker://nvcr.io/" in shown.text) == (path in TRAINING)


@pytest.mark.parametrize("path", LOCAL, ids=lambda path: path.name)
def test_a_local_jobscript_s_options_are_read_by_its_scheduler(path: Path) -> None:
    options = own_options(path)
    is_array = path.name.startswith("ljob_array.") and site_of(path) != "local"

    assert getattr(options, "array", None) == (ArrayRange.parse("1-4") if is_array else None)
    assert not is_meta(path.read_bytes()), "it would be taken for a meta jobscript"


@named
def test_a_script_says_how_it_is_submitted(path: Path) -> None:
    said = re.findall(r"^#   cloudqcli submit --script examples/(\S+)(.*)$", path.read_text(), re.MULTILINE)
    pinned = path in LOCAL

    assert [name for name, _ in said] == [path.name]
    assert ("--submit_to" in said[0][1]) == pinned


@pytest.mark.parametrize("framework", ["pt", "tf"])
def test_the_same_training_is_in_every_script_and_is_python(framework: str) -> None:
    programs = {program_in(path) for path in TRAINING if f"_{framework}_" in path.name}

    assert len(programs) == 1
    compile(programs.pop(), "train.py", "exec")


@named
def test_bash_can_read_it(path: Path) -> None:
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


def test_every_file_is_in_the_table() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}

    assert {name for name in files if f"[{name}]({name})" not in page} == set()


@pytest.mark.parametrize(("page", "profile"), [("abci.md", ""), ("aws-compute.md", "parallelcluster")])
def test_a_page_shows_what_becomes_of_an_example_there(page: str, profile: str, tmp_path: Path) -> None:
    """The configuration has the names that the page asks the reader to write down."""
    text = (EXAMPLES.parent / "docs" / page).read_text(encoding="utf-8")
    names = re.findall(r"```toml\n(\[(?:projects|resources)\..*?)```", text, re.DOTALL)
    (tmp_path / "config.toml").write_text(names[0])
    system = re.findall(r"--system (\w+) ", text[text.index("cloudqcli convert") :])[0]
    shown = re.findall(r"^(submit command  .*?)\n…$", text, re.MULTILINE | re.DOTALL)[0]

    preview = conversion_preview(load_config({}, home=tmp_path))
    converted = preview(EXAMPLES / "mjob_array.sh", system, profile=profile, array_tid="1-4:1")

    assert converted.text.startswith(shown)
