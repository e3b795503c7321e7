"""The job shell on real bash: a script starts at most once, and its outcome is recorded."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.job_shell import render_job_shell
from cloudq.adapters.schedulers.pbs.scheduler import PBS_DIALECT
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.jobs.job_shell import BLOCKED, NOT_ITS_TURN, JobShellPlan, ShellDialect
from cloudq.domain.jobs.outcome import ExitRecord
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import HeaderSyntax
from tests.parts.shell_claim import BASHES, bash, bash_is_before, prepare

TAG = ClaimTag("3f7e7681", 1)
GROUP = ShellDialect(HeaderSyntax("#TEST"), '"${TEST_JOB:-}"', '"${TEST_TASK:-}"', forward_signals=False)
FORWARD = ShellDialect(HeaderSyntax("#TEST"), '"${TEST_JOB:-}"', '"${TEST_TASK:-}"', forward_signals=True)

COPY = ShellDialect(
    HeaderSyntax("#TEST"), '"${TEST_JOB:-}"', '"${TEST_TASK:-}"', forward_signals=True, copies_output=True
)

each_dialect = pytest.mark.parametrize("dialect", [GROUP, FORWARD], ids=["group", "forward"])


@pytest.fixture(autouse=True, params=BASHES)
def bash_of_the_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BASH", request.param)


@pytest.fixture
def space(tmp_path: Path) -> Iterator[DirectoryClaimSpace]:
    space = DirectoryWorkspace(tmp_path / "it's a $HOME é", SystemClock(), RandomIds()).space(TAG)
    yield space
    if space.control_dir.is_dir():
        names = [path.name for path in space.control_dir.iterdir()]
        assert [name for name in names if ".tmp." in name or ".pid." in name or ".code." in name] == []


def started(
    space: DirectoryClaimSpace,
    scheduler_job_id: str = "42",
    task: int | None = None,
    attempt: int = 1,
    **env: str,
) -> subprocess.Popen[str]:
    env = {"PATH": os.environ["PATH"], "TEST_JOB": scheduler_job_id, "TEST_TASK": str(task or ""), **env}
    return subprocess.Popen(
        [*bash(), space.job_shell_for(attempt)], env=env, text=True, start_new_session=True, cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(
    space: DirectoryClaimSpace,
    scheduler_job_id: str = "42",
    task: int | None = None,
    attempt: int = 1,
    **env: str,
) -> tuple[int, str, str]:
    process = started(space, scheduler_job_id, task, attempt, **env)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def skip_what_an_old_bash_cannot(name: str) -> None:
    if name == "INT" and bash_is_before(4, 3):
        pytest.skip("bash before 4.3 makes scripts in the background ignore INT, whatever its shell does")


def signalled(
    space: DirectoryClaimSpace, dialect: ShellDialect, number: signal.Signals
) -> tuple[int, str, str]:
    """Run the script, and signal it as this kind of scheduler does once it reports that it is ready."""
    process = started(space)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    send: Callable[[int, int], None] = os.kill if dialect.forward_signals else os.killpg
    send(process.pid, number)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def exit_record(space: DirectoryClaimSpace, task: int | None = None) -> ExitRecord:
    record = space.records([task])[task].exit
    assert record is not None
    return record


@each_dialect
@pytest.mark.parametrize("code", [0, 1, 7, 99, 100, 126, 127, 137, 143, 255])
def test_every_exit_code_is_kept(space: DirectoryClaimSpace, dialect: ShellDialect, code: int) -> None:
    prepare(space, f"#!/bin/bash\nexit {code}\n", dialect)

    assert run(space)[0] == code
    record = exit_record(space)
    assert (record.exit_code, record.signal, record.scheduler_job_id) == (code, "", "42")
    assert record.started is not None
    assert record.finished is not None
    assert record.host == os.uname().nodename


@each_dialect
@pytest.mark.parametrize("name", ["TERM", "INT", "USR1", "USR2", "HUP", "XCPU"])
def test_a_script_that_catches_a_signal_ends_with_its_own_code(
    space: DirectoryClaimSpace, dialect: ShellDialect, name: str
) -> None:
    if dialect.forward_signals:
        skip_what_an_old_bash_cannot(name)
    body = f"#!/bin/bash\ntrap 'echo caught; exit 7' {name}\necho ready\nwhile :; do sleep 0.02; done\n"
    prepare(space, body, dialect)

    code, out, _ = signalled(space, dialect, signal.Signals[f"SIG{name}"])

    assert (code, out) == (7, "caught\n")
    assert (exit_record(space).exit_code, exit_record(space).signal) == (7, name)


@each_dialect
def test_a_script_that_a_signal_ends_is_recorded_with_it(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    prepare(space, "#!/bin/bash\necho ready\nexec sleep 60\n", dialect)

    assert signalled(space, dialect, signal.SIGTERM)[0] == 143
    assert (exit_record(space).exit_code, exit_record(space).signal) == (143, "TERM")


@each_dialect
def test_a_script_that_a_signal_does_not_end_is_waited_for(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    prepare(
        space,
        "#!/bin/bash\ntrap 'go=1' USR1\necho ready\nuntil [ $go ]; do sleep 0.02; done\nexit 5\n",
        dialect,
    )

    assert signalled(space, dialect, signal.SIGUSR1)[0] == 5
    assert (exit_record(space).exit_code, exit_record(space).signal) == (5, "USR1")


def test_a_signal_that_comes_as_the_script_starts_is_passed_on(space: DirectoryClaimSpace) -> None:
    # The shell signals itself right after it forks the process that starts the script.
    prepare(space, "#!/bin/bash\nexec sleep 60\n", FORWARD)
    text = space.job_shell.read_text()
    assert text.count("cq_waiter=$!\n") == 1
    space.job_shell.write_text(text.replace("cq_waiter=$!\n", "kill -TERM $$\ncq_waiter=$!\n"))

    assert run(space)[0] == 143
    assert exit_record(space).signal == "TERM"


@pytest.mark.parametrize("before", ["if ! rm -f", "cq_copy() {", "exec 9<&0"])
def test_a_signal_that_comes_before_the_script_has_started_is_kept_for_it(
    space: DirectoryClaimSpace, before: str
) -> None:
    prepare(space, "#!/bin/bash\ntouch started\nexec sleep 60\n", COPY)
    text = space.job_shell.read_text()
    assert text.count(f"\n{before}") == 1
    space.job_shell.write_text(text.replace(f"\n{before}", f"\nkill -TERM $$\n{before}"))

    assert run(space)[0] == 143
    assert (exit_record(space).exit_code, exit_record(space).signal) == (143, "TERM")


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1", "USR2"])
def test_a_signal_that_is_delivered_at_once_with_another_is_passed_on(
    space: DirectoryClaimSpace, name: str
) -> None:
    # Slurm sends CONT and then the signal; on a busy machine the job shell gets both at once.
    skip_what_an_old_bash_cannot(name)
    body = f"#!/bin/bash\ntrap 'echo caught; exit 7' {name}\necho ready\nwhile :; do sleep 0.02; done\n"
    prepare(space, body, FORWARD)
    process = started(space)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        os.kill(process.pid, signal.Signals[f"SIG{name}"])
        os.kill(process.pid, signal.SIGCONT)
        out, _ = process.communicate(timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    assert out == "caught\n"
    assert (exit_record(space).exit_code, exit_record(space).signal) == (7, name)


def test_signals_reach_the_script_where_the_job_shell_has_no_bell(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\ntrap 'exit 7' USR1\necho ready\nwhile :; do sleep 0.02; done\n", FORWARD)
    text = space.job_shell.read_text()
    assert text.count("exec 199<> <(:)") == 1
    space.job_shell.write_text(text.replace("exec 199<> <(:)", "exec 199<>/no/such/pipe"))

    assert signalled(space, FORWARD, signal.SIGUSR1) == (7, "", "")


def test_signals_reach_the_script_where_bash_does_not_know_its_process(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\ntrap 'exit 7' USR1\necho ready\nwhile :; do sleep 0.02; done\n", FORWARD)
    head, parts = space.job_shell.read_text().split("\n", 1)
    space.job_shell.write_text(f"{head}\nunset BASHPID 2>/dev/null\n{parts}")  # bash 3.2 has none

    assert signalled(space, FORWARD, signal.SIGUSR1) == (7, "", "")


def test_the_script_has_no_open_files_but_its_own_streams(space: DirectoryClaimSpace) -> None:
    prepare(space, f"#!{sys.executable}\nimport os\nprint(sorted(os.listdir('/proc/self/fd')))\n", COPY)

    assert run(space)[1] == "['0', '1', '2', '3']\n"  # 3 is the descriptor of the listing itself


@each_dialect
def test_of_racing_submissions_one_starts_the_script(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    prepare(space, "#!/bin/bash\necho once >>runs\nsleep 0.1\n", dialect)

    racers = [started(space, str(scheduler_job_id)) for scheduler_job_id in range(100, 108)]
    told = [racer.communicate(timeout=20)[1] for racer in racers]

    assert (space.work_dir / "runs").read_text() == "once\n"
    assert sorted(racer.returncode for racer in racers) == [0, *[NOT_ITS_TURN] * 7]
    assert sum("not started again" in text for text in told) == 7
    assert space.records([None])[None].holder == exit_record(space).scheduler_job_id


def test_the_tasks_of_an_array_have_locks_of_their_own(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\nexit $TEST_TASK\n", GROUP)

    assert [run(space, task=task)[0] for task in (1, 2)] == [1, 2]
    assert [exit_record(space, task).exit_code for task in (1, 2)] == [1, 2]
    assert space.records([3])[3].holder is None


@each_dialect
def test_a_requeue_under_the_same_id_runs_again_without_its_old_record(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    prepare(space, "#!/bin/bash\n[ -e $CONTROL/exit ] && exit 9\necho again >>runs\nexit 4\n", dialect)
    environment = {"CONTROL": "../.cloudq/3f7e7681.1"}

    assert run(space, **environment)[0] == 4
    assert run(space, **environment)[0] == 4
    assert (space.work_dir / "runs").read_text() == "again\nagain\n"


def test_another_attempt_that_got_the_same_id_from_a_scheduler_that_was_reset_starts_nothing(
    space: DirectoryClaimSpace,
) -> None:
    prepare(space, "#!/bin/bash\necho run\nexit 3\n", GROUP)
    run(space, attempt=2)
    before = space.records([None])

    code, out, err = run(space, attempt=1)

    assert (code, out) == (NOT_ITS_TURN, "")
    assert "belongs to local job '42', attempt 2: the script was not started again" in err
    assert space.records([None]) == before  # not even its time changed
    assert run(space, attempt=2)[:2] == (3, "run\n")  # a requeue


def test_a_blocked_claim_is_not_started(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\ntouch ran\n", GROUP)
    assert space.block(None) == BLOCKED

    code, _, err = run(space)

    assert code == NOT_ITS_TURN
    assert "not started" in err
    assert not (space.work_dir / "ran").exists()


@each_dialect
def test_a_script_without_shebang_is_run_by_bash(space: DirectoryClaimSpace, dialect: ShellDialect) -> None:
    prepare(space, "shopt -s nullglob && echo $BASH\n", dialect)

    assert run(space)[:2] == (0, "/bin/bash\n")


@each_dialect
def test_a_script_is_run_by_its_own_interpreter(space: DirectoryClaimSpace, dialect: ShellDialect) -> None:
    prepare(space, f"#!{sys.executable}\nimport sys\nprint(sys.argv[0])\nsys.exit(6)\n", dialect)

    code, out, _ = run(space)

    assert (code, out.strip()) == (6, str(space.work_dir / "run.sh"))


def shown_by(directory: Path) -> str:
    """The path of an interpreter that prints its arguments."""
    program = directory / "show"
    program.write_text("#!/bin/bash\nprintf '<%s>' \"$@\"\n")
    program.chmod(0o700)
    return str(program)


@pytest.mark.parametrize(
    "line",
    ["#!{}", "#! {}", "#!\t{} \t", "#!{} -a", "#! {}  a  b\t", "#!{} -S x='*' $HOME `id`", "#!{} \\n"],
)
def test_script_is_started_as_the_kernel_would(space: DirectoryClaimSpace, tmp_path: Path, line: str) -> None:
    prepare(space, line.format(shown_by(tmp_path)) + "\nno shell reads this\n", GROUP)
    by_kernel = subprocess.run([space.work_dir / "run.sh"], capture_output=True, text=True, check=True)

    assert run(space)[1] == by_kernel.stdout


def test_interpreter_without_a_directory_is_looked_for_where_the_kernel_does(
    space: DirectoryClaimSpace,
) -> None:
    prepare(space, "#!echo\n", GROUP)

    code, out, err = run(space)

    assert (code, out) == (127, "")
    assert "its interpreter ./echo is not here" in err


@pytest.mark.real
@each_dialect
@pytest.mark.parametrize(
    "shebang", ["", "#!/bin/bash -e\n", f"#!/usr/bin/env -S {sys.executable} -u\n", "#!/usr/bin/awk -f\n"]
)
def test_script_runs_where_nothing_may_be_executed(
    tmp_path: Path, dialect: ShellDialect, shebang: str
) -> None:
    with mounted_noexec(tmp_path / "home") as home:
        space = DirectoryWorkspace(home, SystemClock(), RandomIds()).space(TAG)
        body = "BEGIN { exit 6 }" if "awk" in shebang else "exit(6)" if "python" in shebang else "exit 6"
        prepare(space, f"{shebang}{body}\n", dialect)

        assert run(space)[0] == 6
        assert exit_record(space).exit_code == 6


@contextlib.contextmanager
def mounted_noexec(path: Path) -> Iterator[Path]:
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "noexec,size=4m,mode=700", "none", str(path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@each_dialect
@pytest.mark.parametrize("shebang", ["", "#!/bin/bash\n"])
def test_an_interpreter_that_the_user_asked_for_runs_the_script_whatever_its_first_line_says(
    space: DirectoryClaimSpace, dialect: ShellDialect, shebang: str
) -> None:
    asking = evolve(dialect, header=HeaderSyntax("#TEST", anywhere=True, interpreter_option="-S"))
    body = f"{shebang}import sys\nprint(sys.argv[0])\n#TEST -x -S {sys.executable}\nsys.exit(6)\n"
    prepare(space, body, asking)

    code, out, _ = run(space)

    assert (code, out.strip()) == (6, str(space.work_dir / "run.sh"))
    assert "#TEST -x\n" in space.job_shell.read_text()
    assert "-S" not in space.job_shell.read_text()


@pytest.mark.parametrize(
    "name", ["a b.sh", "quo\"te's.sh", "$HOME.sh", "`id`.sh", "ジョブ.sh", "-n", "a;b&.sh"]
)
@pytest.mark.parametrize("shebang", ["#!/bin/bash\n", ""])
def test_a_script_sees_its_own_name_and_directory(
    space: DirectoryClaimSpace, name: str, shebang: str
) -> None:
    prepare(space, f'{shebang}printf "%s\\n" "$0" "$PWD"\n', GROUP, name)

    assert run(space)[1].split("\n")[:2] == [str(space.work_dir / name), str(space.work_dir)]


def test_the_script_sees_the_environment_as_it_was(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\necho $lock $host $record; env | grep -c cq_\n", GROUP)

    assert run(space, lock="a", host="b", record="c")[1] == "a b c\n0\n"


def test_a_work_directory_that_is_gone_leaves_an_exit_record(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\n", GROUP)
    space.work_dir.rename(space.work_dir.with_name("elsewhere"))

    code, _, err = run(space)

    assert code == 1
    assert "cannot enter" in err
    assert exit_record(space).exit_code == 1


@each_dialect
def test_an_interpreter_that_is_missing_leaves_an_exit_record(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    prepare(space, "#!/no/such/interpreter\n", dialect)

    code, _, err = run(space)

    assert code in {126, 127}
    assert "run.sh" in err
    assert exit_record(space).exit_code == code


@pytest.mark.parametrize("scheduler_job_id", ["", "42/../x"])
def test_without_a_job_id_nothing_is_started(space: DirectoryClaimSpace, scheduler_job_id: str) -> None:
    prepare(space, "#!/bin/bash\ntouch ran\n", GROUP)

    code, _, err = run(space, scheduler_job_id)

    assert code == 1
    assert "no job id" in err
    assert not (space.work_dir / "ran").exists()


def test_without_a_place_for_records_nothing_is_started(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\ntouch ran\n", GROUP)
    shell = space.job_shell.rename(space.cache / "job_shell.sh")
    space.control_dir.rename(space.control_dir.with_name("gone"))
    moved = subprocess.run([*bash(), shell], env={"TEST_JOB": "42"}, capture_output=True, check=False)

    assert moved.returncode == 1
    assert b"cannot write" in moved.stderr
    assert not (space.work_dir / "ran").exists()


def test_a_record_that_cannot_be_written_does_not_hide_the_exit_code(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\nrm -r $CONTROL\nexit 5\n", GROUP)

    code, _, err = run(space, CONTROL="../.cloudq/3f7e7681.1")

    assert code == 5
    assert "the exit code was 5" in err


def test_a_lock_that_cannot_be_made_starts_nothing(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\ntouch ran\n", GROUP)
    tools = space.cache.parent / "tools"
    tools.mkdir()
    (tools / "ln").write_text("#!/bin/sh\nexit 1\n")
    (tools / "ln").chmod(0o700)

    code, _, err = run(space, PATH=f"{tools}:{os.environ['PATH']}")

    assert code == 1
    assert "cannot make" in err
    assert not (space.work_dir / "ran").exists()


@pytest.mark.parametrize(("name", "dialect"), [("group", GROUP), ("forward", FORWARD), ("pbs", PBS_DIALECT)])
def test_the_text_of_a_job_shell(
    name: str, dialect: ShellDialect, golden: Callable[[str, str], None]
) -> None:
    plan = JobShellPlan(
        tag=TAG,
        control_dir="/home/me/.cloudq/cache/.cloudq/3f7e7681.1",
        work_dir="/home/me/.cloudq/cache/3f7e7681",
        script_path="/home/me/.cloudq/cache/3f7e7681/it's my job.sh",
        has_shebang=name == "group",
        header_lines=("#TEST --time 1:00:00", "#TEST -N name"),
        system="alpha",
        array=ArrayRange.parse("1-4") if name == "group" else None,
    )

    golden(f"job_shell_{name}.sh", render_job_shell(plan, dialect))


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({"PBS_JOBID": "12.pbs1"}, ("12.pbs1", None)),
        ({"PBS_JOBID": "12[3].pbs1", "PBS_ARRAY_INDEX": "3"}, ("12[].pbs1", 3)),
        ({"PBS_JOBID": "12[1234].a-b.c", "PBS_ARRAY_INDEX": "1234"}, ("12[].a-b.c", 1234)),
        ({"PBS_JOBID": "12.pbs1", "CLOUDQ_TASK": "7"}, ("12.pbs1", 7)),
        ({"PBS_JOBID": "12.pbs1", "CLOUDQ_TASK": "7", "PBS_ARRAY_INDEX": "7"}, ("12.pbs1", 7)),
    ],
)  # fmt: skip
def test_a_job_shell_knows_its_job_and_task_on_pbs(
    space: DirectoryClaimSpace, variables: dict[str, str], shown: tuple[str, int | None]
) -> None:
    prepare(space, "#!/bin/bash\n", PBS_DIALECT)

    assert run(space, **variables)[0] == 0
    assert exit_record(space, shown[1]).scheduler_job_id == shown[0]


@each_dialect
def test_signals_that_keep_coming_do_not_cost_the_record(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    prepare(space, "#!/bin/bash\ntrap 'exit 7' TERM\necho ready\nwhile :; do sleep 0.01; done\n", dialect)
    process = started(space)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        _send_many(process, dialect)
        process.communicate(timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    assert (process.returncode, exit_record(space).exit_code, exit_record(space).signal) == (7, 7, "TERM")


def _send_many(process: subprocess.Popen[str], dialect: ShellDialect) -> None:
    """Send TERM and CONT in turn, up to 100 times: without a limit a busy machine would never finish."""
    number = signal.SIGTERM
    for _ in range(100):
        if process.poll() is not None:
            return
        os.kill(process.pid, number) if dialect.forward_signals else os.killpg(process.pid, number)
        number = signal.SIGCONT if number is signal.SIGTERM else signal.SIGTERM
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.005)


# Output that the user's options redirect ---------------------------------------------------------


def logs(space: DirectoryClaimSpace, task: int | None = None) -> list[str]:
    return [space.log_path(stream, task).read_text() for stream in ("stdout", "stderr")]


def test_output_that_goes_elsewhere_is_copied_into_the_logs(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\nfor i in {1..30000}; do echo $i; done\necho err >&2; exit 3\n", COPY)

    code, out, err = run(space, task=2)

    assert (code, out.count("\n"), err) == (3, 30_000, "err\n")
    assert logs(space, 2) == [out, err]
    assert not [path for path in space.control_dir.iterdir() if ".fifo." in path.name]


def test_output_that_goes_into_the_logs_already_is_not_copied(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\necho out; echo err >&2\n", COPY)
    with (
        space.log_path("stdout", None).open("ab") as out,
        space.log_path("stderr", None).open("ab") as err,
    ):
        env = {"PATH": os.environ["PATH"], "TEST_JOB": "42"}
        subprocess.run([*bash(), space.job_shell], env=env, stdout=out, stderr=err, check=True, timeout=20)

    assert logs(space) == ["out\n", "err\n"]


def test_what_a_script_says_as_a_signal_ends_everything_is_copied(space: DirectoryClaimSpace) -> None:
    prepare(
        space,
        "#!/bin/bash\ntrap 'echo last words; exit 7' TERM\necho ready\nwhile :; do sleep 0.02; done\n",
        COPY,
    )
    process = started(space)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=20)

    assert process.returncode == 7
    assert out.startswith("last words\n")  # repeated if the signal reached the script twice
    assert logs(space)[0] == f"ready\n{out}"


TAKE = ShellDialect(
    HeaderSyntax("#TEST"), '"${TEST_JOB:-}"', '"${TEST_TASK:-}"', forward_signals=False, copies_output=True,
    takes_output='"${TEST_TAKE:-}"', own_variables=("TEST_TAKE", "TEST_TAG"),
)  # fmt: skip


def test_output_that_nobody_wants_elsewhere_goes_into_the_logs_alone(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\necho out; echo err >&2; exit 3\n", TAKE)

    assert run(space, task=2, TEST_TAKE="log") == (3, "", "")
    assert logs(space, 2) == ["out\n", "err\n"]


def test_output_that_is_wanted_elsewhere_is_copied_all_the_same(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\necho out; echo err >&2; exit 3\n", TAKE)

    assert run(space) == (3, "out\n", "err\n")
    assert logs(space) == ["out\n", "err\n"]


def test_a_log_that_cannot_be_opened_leaves_the_output_where_the_scheduler_has_it(
    space: DirectoryClaimSpace,
) -> None:
    prepare(space, "#!/bin/bash\necho out; exit 3\n", TAKE)
    space.log_path("stdout", None).mkdir()

    code, out, err = run(space, TEST_TAKE="log")

    assert (code, out) == (3, "out\n")
    assert "stdout: Is a directory" in err


def test_the_submissions_own_variables_do_not_reach_the_script(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\nenv | grep -c ^TEST_; env | grep ^TEST_MINE\n", TAKE)

    assert run(space, TEST_TAKE="", TEST_TAG="x", TEST_MINE="mine")[1] == "3\nTEST_MINE=mine\n"


def test_a_job_that_is_told_to_stay_starts_where_it_is(space: DirectoryClaimSpace) -> None:
    prepare(space, "#!/bin/bash\npwd; cat\n", COPY)
    env = {"PATH": os.environ["PATH"], "TEST_JOB": "42"}
    done = subprocess.run(
        [*bash(), space.job_shell, "stay"],
        env=env, cwd="/usr", input="from stdin\n", capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip

    assert done.stdout == "/usr\nfrom stdin\n"


# The script's output is on the disk before its exit record --------------------------------------


def with_sync(space: DirectoryClaimSpace, folder: Path, command: str) -> str:
    """A PATH with another ``sync``; in *command*, the variable ``$record`` is the path of the exit record."""
    folder.mkdir()
    record = shlex.quote(str(space.control_dir / "exit"))
    (folder / "sync").write_text(f"#!/bin/bash\nrecord={record}\n{command}\n")
    (folder / "sync").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@each_dialect
def test_the_work_directory_is_flushed_before_the_end_is_recorded(
    space: DirectoryClaimSpace, dialect: ShellDialect, tmp_path: Path
) -> None:
    prepare(space, "#!/bin/bash\necho made >result\n", dialect)
    flushed = tmp_path / "flushed"
    note = f'echo "$@" "$(cat "$2/result")" >{flushed}; [ ! -e "$record" ] && echo first >>{flushed}'

    assert run(space, PATH=with_sync(space, tmp_path / "bin", note))[0] == 0

    assert flushed.read_text() == f"-f {space.work_dir} made\nfirst\n"
    assert exit_record(space).exit_code == 0


@each_dialect
@pytest.mark.parametrize("command", ["exit 1", "exec sleep 60"], ids=["fails", "hangs"])
def test_a_flush_that_fails_or_hangs_keeps_no_job_from_ending(
    space: DirectoryClaimSpace, dialect: ShellDialect, tmp_path: Path, command: str
) -> None:
    prepare(space, "#!/bin/bash\nexit 7\n", dialect)
    text = space.job_shell.read_text()
    space.job_shell.write_text(text.replace("{1..1200}", "{1..3}"))
    assert "{1..1200}" in text

    code, _, said = run(space, PATH=with_sync(space, tmp_path / "bin", command))

    assert (code, exit_record(space).exit_code) == (7, 7)
    assert ("was not flushed" in said) == ("sleep" in command)
