"""Provide a login, and the environments from which people start agents, which must not affect jobs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.parts.site import Site, wait_until

REPOSITORY = Path(__file__).parents[2]

PROFILE = """\
export MODULEPATH=/apps/modulefiles
export SBATCH_TIMELIMIT=5 SBATCH_JOB_NAME=by-default
export ODD=$'two\\nlines' TOKENIZERS_PARALLELISM=false
module() { LOADEDMODULES=$2; }
export -f module
ulimit -S -n 777
umask 027
"""

PROBE = """\
#!/bin/bash
env -0 >env.new
{ ulimit -S -a; ulimit -H -a; umask; } >limits.txt
mv env.new env.bin
"""

SSH = {
    "SSH_AUTH_SOCK": "/tmp/ssh-x/agent.1", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2", "SSH_TTY": "/dev/pts/1",
    "SSH_CLIENT": "10.0.0.1 1 22", "KRB5CCNAME": "FILE:/tmp/krb5cc_1", "XDG_RUNTIME_DIR": "/run/user/1",
    "XDG_SESSION_ID": "7", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/bus", "DISPLAY": "localhost:10.0",
    "TMUX": "/tmp/tmux-1/default,1,0", "VSCODE_IPC_HOOK_CLI": "/run/x.sock", "GITHUB_TOKEN": "x",
    "DB_PASSWORD": "x",
}  # fmt: skip
STEP = {
    "PMI_RANK": "1", "PMIX_RANK": "1", "PMIX_NAMESPACE": "slurm.pmix.7.0", "OMPI_COMM_WORLD_RANK": "1",
    "MPI_LOCALRANKID": "1", "HYDRA_LAUNCHER": "slurm", "SLURM_JOB_ID": "7", "SLURM_NTASKS": "4",
    "SLURMD_NODENAME": "n1", "SRUN_DEBUG": "3", "SCANCEL_STATE": "PENDING", "SQUEUE_FORMAT": "%A",
    "SACCT_FORMAT": "JobID", "SINFO_FORMAT": "%P", "CUDA_VISIBLE_DEVICES": "3", "TMPDIR": "/tmp/slurm.7",
    "SBATCH_WAIT": "1", "SGE_TASK_ID": "3", "JOB_ID": "7", "PBS_JOBID": "7.pbs",
}  # fmt: skip


@frozen
class Start:
    """The interpreter and the variables with which an agent is started."""

    python: str
    variables: Mapping[str, str]


def starts(root: Path, login: Mapping[str, str]) -> Iterator[tuple[str, Start]]:
    """Yield every environment with its name."""
    venv = Path(sys.prefix)
    path = {"PATH": f"{venv}/bin:{login['PATH']}"}
    yield "venv", Start(sys.executable, {"VIRTUAL_ENV": str(venv), "VIRTUAL_ENV_PROMPT": "(agent)", **path})
    yield "conda", _conda(root / "conda", login)
    yield "ssh -A", Start(sys.executable, SSH)
    yield "MPI step", Start(sys.executable, STEP)


def _conda(prefix: Path, login: Mapping[str, str]) -> Start:
    """Create a Python with a separate prefix, as conda does."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    for name in ("bin", "lib", "conda-meta"):
        (prefix / name).mkdir(parents=True)
    shutil.copy(Path(sys.executable).resolve(), prefix / "bin" / "python")
    for found in base.glob("lib/libpython*"):
        (prefix / "lib" / found.name).symlink_to(found)
    (prefix / "lib" / version).symlink_to(base / "lib" / version)
    packages = next(Path(sys.prefix).glob("lib/python*/site-packages"))
    return Start(
        str(prefix / "bin" / "python"),
        {
            "PATH": f"{prefix}/bin:{prefix}/condabin:{login['PATH']}",
            "LD_LIBRARY_PATH": f"{prefix}/lib",
            "PYTHONPATH": f"{REPOSITORY}:{packages}",
            "CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": "agent", "CONDA_SHLVL": "1", "CONDA_EXE": "/c",
            "_CE_CONDA": "", "SSL_CERT_FILE": f"{prefix}/ssl/cacert.pem",
        },
    )  # fmt: skip


def login_of(root: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a login shell of an account whose home is below *root*."""
    home = root / "account"
    home.mkdir()
    (home / ".bash_profile").write_text(PROFILE)
    bare = {"HOME": str(home), "PATH": "/usr/bin:/bin", "USER": "me", "LANG": "C.UTF-8", **variables}
    shown = subprocess.run(["/bin/bash", "-lc", "env -0"], env=bare, capture_output=True, check=True).stdout
    return dict(line.split("=", 1) for line in os.fsdecode(shown).split("\0") if line)


def by_hand(login: Mapping[str, str], directory: Path, *command: str) -> None:
    """Run a command as a user does after a login."""
    directory.mkdir()
    (directory / "probe.sh").write_text(PROBE)
    (directory / "probe.sh").chmod(0o700)
    words = ["/bin/bash", "-c", 'umask 027; ulimit -S -n 777; "$@"', "bash", *command]
    done = subprocess.run(words, env=login, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wait_until((directory / "env.bin").exists, 60)


@contextmanager
def agent(site: Site, start: Start, login: Mapping[str, str]) -> Iterator[None]:
    """Run an agent that was started after a login, in the given environment."""
    own = {name: value for name, value in site.environment().items() if name.startswith(("CLOUDQ_", "AWS_"))}
    words = ["/bin/bash", "-c", 'umask 027; ulimit -S -n 777; exec "$@"', "bash", start.python]
    with (site.root / "agent.out").open("ab") as log:
        running = subprocess.Popen(
            [*words, "-m", "cloudq.entrypoints.cloudqd", "--daemon"],
            env={**login, **own, **start.variables}, cwd=site.root,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=60) == 0, (site.root / "agent.out").read_text()[-3000:]


def environment_in(directory: Path) -> dict[str, str]:
    """Return the environment that the probe recorded."""
    text = os.fsdecode((directory / "env.bin").read_bytes())
    found = dict(line.split("=", 1) for line in text.split("\0") if line)
    # Grid Engine puts the job's own directory first.
    return {**found, "PATH": re.sub(r"^[^:]*/[0-9]+\.[0-9]+\.[^/:]+:", "", found["PATH"])}


def differences(found: Mapping[str, str], plain: Mapping[str, str]) -> set[str]:
    """Return the variables that differ between the two."""
    return {name for name in found.keys() | plain.keys() if found.get(name) != plain.get(name)}
