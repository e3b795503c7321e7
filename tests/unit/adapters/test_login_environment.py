"""A job gets the environment of a login, and nothing of the moment in which the agent was started."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudq.adapters.login_environment import (
    LEFT_OUT,
    Interpreter,
    login_environment,
    reason_to_leave_out,
)

SYSTEM = Interpreter("/usr", "/usr")


def names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOT_FOR_JOBS = names("""
AWS_SECRET_ACCESS_KEY CLOUDQ_HOME PYTHONPATH PYTHON_HISTORY VIRTUAL_ENV VIRTUAL_ENV_PROMPT PYENV_VERSION
PYENV_ROOT UV UV_RUN_RECURSION_DEPTH UV_PYTHON UV_TOOL_DIR PIPX_HOME POETRY_ACTIVE PIPENV_ACTIVE
SSH_AUTH_SOCK SSH_AGENT_PID SSH_CONNECTION SSH_CLIENT SSH_TTY SSH_ORIGINAL_COMMAND SSH_ASKPASS
GIT_ASKPASS GITHUB_TOKEN HF_TOKEN TOKEN CLIENT_SECRET APP_SECRET_KEY X_SECRETS SECRET SECRET_KEY_BASE
DB_PASSWORD PASSWORD WANDB_API_KEY RESTIC_PASSPHRASE GOOGLE_APPLICATION_CREDENTIALS PGPASSWORD SSHPASS
MYSQL_PWD KRB5CCNAME GPG_AGENT_INFO GPG_TTY GNOME_KEYRING_CONTROL CREDENTIALS_DIRECTORY
DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR XDG_SESSION_ID XDG_SESSION_TYPE XDG_SEAT XDG_VTNR DISPLAY
WAYLAND_DISPLAY XAUTHORITY ICEAUTHORITY SESSION_MANAGER DESKTOP_STARTUP_ID WINDOWID TMUX TMUX_PANE STY
VSCODE_IPC_HOOK_CLI TERM_PROGRAM TERM_SESSION_ID SUDO_USER INVOCATION_ID JOURNAL_STREAM NOTIFY_SOCKET
LISTEN_FDS LISTEN_PID SYSTEMD_EXEC_PID MAINPID WATCHDOG_USEC MEMORY_PRESSURE_WATCH PWD OLDPWD SHLVL _
SLURM_JOB_ID SLURM_CLUSTERS SLURM_EXIT_ERROR SLURMD_NODENAME SRUN_DEBUG SALLOC_WAIT_ALL_NODES
SCANCEL_STATE SQUEUE_FORMAT SACCT_FORMAT SINFO_FORMAT SCONTROL_ALL SPRIO_FORMAT SSTAT_FORMAT
SREPORT_CLUSTER SBATCH_WAIT SBATCH_CLUSTERS SBATCH_ARRAY_INX SBATCH_OUTPUT SBATCH_ERROR SBATCH_DEBUG
SGE_TASK_ID JOB_ID JOB_NAME JOB_SCRIPT TASK_ID PE_HOSTFILE NSLOTS NHOSTS NQUEUES PBS_JOBID PBS_DPREFIX
LSB_JOBID ARY_TASK_ID PMI_RANK PMI2_FD PMIX_RANK PMIX_NAMESPACE OMPI_COMM_WORLD_RANK
OMPI_MCA_ess_base_jobid OMPI_UNIVERSE_SIZE PRTE_LAUNCHED ORTE_X OPAL_PREFIX PALS_RANKID
MV2_COMM_WORLD_RANK MPI_LOCALRANKID MPI_LOCALNRANKS HYDRA_LAUNCHER HYDI_CONTROL_FD MPIEXEC_HOSTNAME
FLUX_URI
""")

LOGIN = names("""
HOME USER LANG LC_ALL TZ PATH MANPATH MODULEPATH LOADEDMODULES LMOD_CMD MODULESHOME BASH_ENV TERM EDITOR QUEUE
TOKENIZERS_PARALLELISM MAX_TOKENS SECRETARY PASSWORD_STORE_DIR KEYBOARD DISPLAY_NAME XDG_DATA_HOME
XDG_CONFIG_DIRS XDG_CACHE_HOME SSH_KEYS STYLE TMPDIR UV_CACHE_DIR PIP_INDEX_URL CUDA_VISIBLE_DEVICES
SLURM_CONF SLURM_CONF_SERVER SLURM_JWT SLURM_SACK_SOCKET SGE_ROOT SGE_CELL PBS_CONF_FILE PBS_SERVER
SBATCH_PARTITION SBATCH_ACCOUNT SBATCH_TIMELIMIT SBATCH_EXPORT SBATCH_JOB_NAME SBATCH_IGNORE_PBS
OMPI_CC OMPI_MCA_btl OMPI_MCA_pml PMIX_MCA_gds I_MPI_FABRICS OMP_NUM_THREADS MPIR_CVAR_X CONDA_EXE
BASH_FUNC_module%% https_proxy
""")


def of_login(environ: dict[str, str], interpreter: Interpreter = SYSTEM) -> dict[str, str]:
    return login_environment({"HOME": "/home/me", **environ}, interpreter)


@pytest.mark.parametrize("name", NOT_FOR_JOBS)
def test_job_does_not_see_what_belongs_to_the_agents_start(name: str) -> None:
    assert of_login({name: "x"}) == {"HOME": "/home/me"}


@pytest.mark.parametrize("name", LOGIN)
def test_job_sees_what_a_login_gives(name: str) -> None:
    assert of_login({name: "x"})[name] == "x"


@pytest.mark.parametrize("pattern", [pattern for rule in LEFT_OUT for pattern in rule.names])
def test_every_pattern_of_the_table_has_an_example(pattern: str) -> None:
    assert any(re.fullmatch(pattern, name) for name in NOT_FOR_JOBS)
    assert not any(re.fullmatch(pattern, name) and reason_to_leave_out(name) for name in LOGIN)


def test_dead_step_leaves_neither_its_devices_nor_its_directory() -> None:
    own = {"CUDA_VISIBLE_DEVICES": "2", "TMPDIR": "/tmp/slurm.7", "QUEUE": "all.q"}

    assert of_login({"SLURM_JOB_ID": "7", **own}) == of_login({"JOB_ID": "7", **own}) == {"HOME": "/home/me"}


# The agent's own interpreter ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interpreter", "environ"),
    [
        (Interpreter("/opt/agent", "/usr"), {}),
        (SYSTEM, {"VIRTUAL_ENV": "/opt/agent"}),
        (Interpreter("/opt/agent/", "/opt/agent/"), {"CONDA_PREFIX": "/opt/agent", "CONDA_SHLVL": "1"}),
        (SYSTEM, {"CONDA_PREFIX": "/opt/agent", "CONDA_DEFAULT_ENV": "agent", "_CE_M": "", "MAMBA_EXE": "m"}),
        (Interpreter("/venv", "/opt/agent"), {"PYENV_VERSION": "3.12", "UV": "/usr/bin/uv"}),
    ],
)
def test_no_directory_of_the_agents_interpreter_is_left(
    interpreter: Interpreter, environ: dict[str, str]
) -> None:
    paths = {
        "PATH": "/usr/bin:/opt/agent/bin:/opt/agent/bin/:/opt/agents/bin:/opt/agent/condabin:/bin",
        "LD_LIBRARY_PATH": "/opt/agent/lib:/apps/lib",
        "SSL_CERT_FILE": "/opt/agent/ssl/cert.pem",
        "MANPATH": ":/opt/agent/share/man",
    }

    assert of_login({**environ, **paths}, interpreter) == {
        "HOME": "/home/me", "PATH": "/usr/bin:/opt/agents/bin:/bin", "LD_LIBRARY_PATH": "/apps/lib",
    }  # fmt: skip


@pytest.mark.parametrize(
    "prefix", ["/", "/usr", "/usr/local", "/opt/homebrew", "/home", "/home/me", "/home/me/.local"]
)
def test_directory_that_holds_more_than_a_python_stays(prefix: str) -> None:
    environ = {"HOME": "/home/me", "PATH": f"{prefix}/bin:/usr/bin"}

    assert login_environment(environ, Interpreter(prefix, prefix)) == environ


def test_directory_with_the_schedulers_commands_stays(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sbatch").touch()
    path = f"{tmp_path}/bin:/usr/bin"

    assert of_login({"PATH": path}, Interpreter(str(tmp_path), str(tmp_path)))["PATH"] == path


def test_python_of_the_sites_modules_stays_as_the_modules_say() -> None:
    environ = {"LOADEDMODULES": "python/3.12", "PATH": "/apps/python/3.12/bin:/usr/bin"}

    kept = of_login(environ, Interpreter("/home/me/venv", "/apps/python/3.12"))

    assert kept == {"HOME": "/home/me", **environ}


def test_conda_that_a_login_activates_stays_unless_it_is_the_agents() -> None:
    environ = {"CONDA_PREFIX": "/conda", "CONDA_DEFAULT_ENV": "base", "PATH": "/conda/bin:/usr/bin"}

    assert of_login(environ, Interpreter("/home/me/venv", "/usr")) == {"HOME": "/home/me", **environ}
    assert of_login(environ, Interpreter("/conda", "/conda")) == {"HOME": "/home/me", "PATH": "/usr/bin"}


def test_exported_function_is_not_changed() -> None:
    function = {"BASH_FUNC_m%%": "() {  PATH=/usr/bin:/opt/agent/bin:$PATH tool\n}"}

    assert of_login(function, Interpreter("/opt/agent", "/usr")) == {"HOME": "/home/me", **function}
