"""The environment that a login would give, in which jobs and the commands that submit them run.

An agent may be started in a virtual environment, over ``ssh -A`` or in a step of an MPI job. Variables that
belong to that situation are left out, each kind for its reason (`LEFT_OUT`); all others stay as they are.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen


@frozen
class EnvironmentRule:
    """Variables of one kind, and the reason why no job gets them."""

    reason: str
    names: tuple[str, ...]
    """Patterns that match whole names."""

    def fits(self, name: str) -> bool:
        """Return whether *name* is of this kind."""
        return any(re.fullmatch(pattern, name) for pattern in self.names)


LEFT_OUT = (
    EnvironmentRule("the agent's own keys and settings", ("AWS_.*", "CLOUDQ_.*")),
    EnvironmentRule(
        "the agent's own Python",
        ("PYTHON.*", r"VIRTUAL_ENV(?:_PROMPT|_DISABLE_PROMPT)?", "PYENV_.*", "UV",
         r"UV_(?:RUN|PYTHON|PROJECT|TOOL|INTERNAL)(?:_.*)?", "PIPX_.*", r"(?:PIPENV|POETRY)_ACTIVE"),
    ),
    EnvironmentRule(
        "handles of an SSH login",
        (r"SSH_(?:AUTH_SOCK|AGENT_PID|AGENT_LAUNCHER)", r"SSH_(?:CONNECTION|CLIENT|TTY)",
         r"SSH_(?:ORIGINAL_COMMAND|USER_AUTH)", r"SSH_ASKPASS(?:_REQUIRE)?", "GIT_ASKPASS"),
    ),
    EnvironmentRule(
        "secrets",
        (r"(?:.*_)?TOKEN", r".*_SECRET.*", r"SECRETS?(?:_.*)?", r"(?:.*_)?(?:PASSWORD|PASSWD|PASSPHRASE)",
         r"(?:.*_)?(?:API|ACCESS|PRIVATE|ENCRYPTION)_?KEY", r".*_CREDENTIALS?", "PGPASSWORD", "SSHPASS",
         "MYSQL_PWD"),
    ),
    EnvironmentRule(
        "tickets and keyrings of a login",
        ("KRB5CCNAME", "GPG_AGENT_INFO", "GPG_TTY", "GNOME_KEYRING_.*", "CREDENTIALS_DIRECTORY"),
    ),
    EnvironmentRule(
        "the desktop of a login",
        ("DBUS_.*", r"XDG_(?:RUNTIME_DIR|SESSION_.*|SEAT.*|VTNR)", "DISPLAY", r"WAYLAND_(?:DISPLAY|SOCKET)",
         r"(?:X|ICE)AUTHORITY", "SESSION_MANAGER", "DESKTOP_STARTUP_ID", "WINDOWID"),
    ),
    EnvironmentRule(
        "the terminal of a login",
        ("TMUX.*", "STY", "VSCODE_.*", r"TERM_PROGRAM(?:_VERSION)?", "TERM_SESSION_ID", "SUDO_.*"),
    ),
    EnvironmentRule(
        "the service that the agent runs as",
        ("INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET", r"LISTEN_(?:FDS|PID|FDNAMES)",
         r"MAINPID|MANAGERPID|SYSTEMD_EXEC_PID", r"WATCHDOG_(?:PID|USEC)",
         r"MEMORY_PRESSURE_(?:WATCH|WRITE)"),
    ),
    EnvironmentRule("variables that every shell sets", ("PWD", "OLDPWD", "SHLVL", "_")),
    EnvironmentRule("a job or step of Slurm", (r"SLURM(?:D|CTLD|STEPD)?_.*", "SRUN_.*", "SALLOC_.*")),
    EnvironmentRule(
        "defaults of client commands, which would change the agent's own commands",
        (r"(?:SCANCEL|SQUEUE|SACCT|SACCTMGR|SINFO|SCONTROL)_.*",
         r"(?:SPRIO|SSTAT|SREPORT|SSHARE|SDIAG|STRIGGER|SCRONTAB)_.*"),
    ),
    EnvironmentRule(
        "defaults of sbatch that cloudq cannot follow",
        (r"SBATCH_(?:WAIT|CLUSTERS|ARRAY_INX)", r"SBATCH_(?:OUTPUT|ERROR|INPUT)",
         r"SBATCH_(?:DEBUG|VERBOSE|QUIET)"),
    ),
    EnvironmentRule(
        "a job of Grid Engine",
        ("SGE_.*", r"JOB_(?:ID|NAME|SCRIPT)", "TASK_ID", "PE_HOSTFILE", r"NSLOTS|NHOSTS|NQUEUES"),
    ),
    EnvironmentRule("a job of PBS or LSF", ("PBS_.*", "LSB_.*")),
    EnvironmentRule("a task of an array", ("ARY_TASK_.*",)),
    EnvironmentRule(
        "a step of MPI",
        (r"PMI[0-9]?_.*", r"PMIX_(?!MCA_).*", r"(?:OPAL|ORTE|PRTE)_.*",
         r"(?:PALS|JSM|MV2_COMM_WORLD|ALPS)_.*",
         r"OMPI_(?!(?:CC|CXX|FC|F77|F90|[A-Z]+FLAGS|LIBS)$|MCA_(?:btl|pml|mtl|osc|coll|io|opal|mpi)(?:_|$)).*",
         r"MPI_LOCAL.*", r"(?:HYDRA|HYDI|MPIEXEC|FLUX)_.*"),
    ),
)  # fmt: skip
"""Every kind of variable that no job gets."""

STAYS = re.compile(
    r"SLURM_(?:CONF|CONF_SERVER|JWT|SACK_.*)"
    r"|SGE_(?:ROOT|CELL|CLUSTER_NAME|QMASTER_PORT|EXECD_PORT)"
    r"|PBS_(?:CONF_FILE|DEFAULT|SERVER|EXEC|HOME)"
)
"""Variables by which a site's commands find and access their scheduler; overrides `LEFT_OUT`."""

_OF_A_STEP = re.compile(r"SLURM_(?:JOB|STEP)_ID|JOB_ID|PBS_JOBID|OMPI_COMM_WORLD_RANK|PMIX?_RANK")
_OF_ITS_NODE = re.compile(
    r"(?:CUDA|ROCR|HIP)_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL|ZE_AFFINITY_MASK|TMPDIR"
    r"|PE|QUEUE|QUEUE_NAME|RESTARTED|ARC|REQNAME|REQUEST|ENVIRONMENT"
)
"""Variables that a scheduler sets for a step besides its own; a login may set these, too."""

_CONDA = re.compile(r"_?CONDA_.*|_CE_(?:CONDA|M)|MAMBA_.*|PIXI_.*")
_MANAGED = re.compile(r"/\.?pyenv/versions/|/uv/python/|/mise/installs/|/\.asdf/installs/")
_FUNCTION = "BASH_FUNC_"
_SYSTEM_PREFIXES = frozenset({"/", "/usr", "/usr/local", "/opt", "/opt/local", "/opt/homebrew", "/sw"})
_SUBMIT_COMMANDS = ("sbatch", "qsub")


@frozen
class Interpreter:
    """The Python that runs the agent, as `sys` describes it."""

    prefix: str
    base_prefix: str

    @classmethod
    def own(cls) -> Interpreter:
        """Return the interpreter that runs this code."""
        return cls(sys.prefix, sys.base_prefix)


def login_environment(environ: Mapping[str, str], interpreter: Interpreter | None = None) -> dict[str, str]:
    """Return *environ* as it would be after a login, for jobs and for commands that submit them."""
    own = _prefixes(environ, interpreter or Interpreter.own())
    is_step = any(_OF_A_STEP.fullmatch(name) for name in environ)
    kept = {}
    for name, value in environ.items():
        if reason_to_leave_out(name) or (is_step and _OF_ITS_NODE.fullmatch(name)):
            continue
        if _CONDA.fullmatch(name) and environ.get("CONDA_PREFIX", "").rstrip("/") in own:
            continue
        remaining = value if name.startswith(_FUNCTION) else _without(value, own)
        if remaining is not None:
            kept[name] = remaining
    return kept


def reason_to_leave_out(name: str) -> str:
    """Return why no job gets the variable *name*, whatever its value; empty if it stays."""
    if STAYS.fullmatch(name):
        return ""
    return next((rule.reason for rule in LEFT_OUT if rule.fits(name)), "")


# The interpreter's own directories ----------------------------------------------------------------


def _prefixes(environ: Mapping[str, str], interpreter: Interpreter) -> frozenset[str]:
    """Return the directories of the agent's Python and of an environment that no login activates."""
    candidates = {environ.get("VIRTUAL_ENV", ""), _activated_conda(environ)}
    if interpreter.prefix != interpreter.base_prefix:
        candidates.add(interpreter.prefix)
    if _is_personal(interpreter.base_prefix, environ):
        candidates.add(interpreter.base_prefix)
    home = environ.get("HOME", "")
    written = {prefix.rstrip("/") or "/" for prefix in candidates if prefix.startswith("/")}
    return frozenset(prefix for prefix in written if _is_dedicated(prefix, home))


def _activated_conda(environ: Mapping[str, str]) -> str:
    """Return the activated conda environment, unless it is ``base``, which logins often activate."""
    return "" if environ.get("CONDA_DEFAULT_ENV") == "base" else environ.get("CONDA_PREFIX", "")


def _is_personal(base_prefix: str, environ: Mapping[str, str]) -> bool:
    """Return whether a Python is not from the site's modules, which a job keeps as the login has them."""
    is_managed = (Path(base_prefix) / "conda-meta").is_dir() or _MANAGED.search(f"{base_prefix}/")
    return bool(is_managed) or not environ.get("LOADEDMODULES")


def _is_dedicated(prefix: str, home: str) -> bool:
    """Return whether *prefix* holds only a Python and its packages: else a job would lose much more."""
    if prefix in _SYSTEM_PREFIXES or f"{home}/".startswith(f"{prefix}/") or prefix == f"{home}/.local":
        return False
    return not any((Path(prefix) / "bin" / command).exists() for command in _SUBMIT_COMMANDS)


def _without(value: str, prefixes: Iterable[str]) -> str | None:
    """Return *value*, a path or a list of paths, without those below *prefixes*; None if none is left."""
    inside = tuple(f"{prefix}/" for prefix in prefixes)
    if not any(prefix in value for prefix in prefixes):
        return value
    parts = value.split(os.pathsep)
    left = [part for part in parts if not f"{part}/".startswith(inside)]
    if len(left) == len(parts):
        return value
    return os.pathsep.join(left) if any(left) else None
