"""The parts of a user's script and options that go into the job shell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.schedulers.pbs.scheduler import PBS_DIALECT
from cloudq.adapters.schedulers.slurm.scheduler import SLURM_DIALECT
from cloudq.domain.scripts.header import Header, HeaderSyntax, header_lines, late_lines, read_header
from cloudq.domain.scripts.jobscript import Jobscript
from tests.parts.cases import case

GRID = HeaderSyntax("#$", anywhere=True, interpreter_option="-S")
OTHER = HeaderSyntax("#SBATCH")
BODY = b"#!/bin/bash\n#SBATCH -n 1\n\n# words\n#SBATCH --time=1:00:00\necho hi\n#SBATCH -p late\n"


def test_header_lines_end_at_the_first_command() -> None:
    assert header_lines(Jobscript("job.sh", BODY), OTHER) == ("#SBATCH -n 1", "#SBATCH --time=1:00:00")


def test_some_schedulers_read_header_lines_in_the_whole_script() -> None:
    script = Jobscript("job.sh", b"#!/bin/sh\n#$ -j y\necho\n#$ -r n\n  #$ -V\n")

    assert header_lines(script, GRID) == ("#$ -j y", "#$ -r n")


def test_header_lines_of_another_scheduler_are_left_out() -> None:
    assert header_lines(Jobscript("job.sh", BODY), HeaderSyntax("#PBS")) == ()


def test_header_lines_may_be_indented_where_the_scheduler_reads_those_too() -> None:
    script = Jobscript("job.sh", b"#!/bin/bash\n  #PBS -N a \n\t#PBS -l x\n# #PBS -z\n  echo\n#PBS -I\n")

    assert header_lines(script, HeaderSyntax("#PBS")) == ()
    assert header_lines(script, HeaderSyntax("#PBS", indented=True)) == ("#PBS -N a", "#PBS -l x")


def test_header_lines_may_follow_lines_that_the_scheduler_passes_over() -> None:
    script = Jobscript("s", b"#!/bin/bash\n: no command to PBS\n#PBS -N a\n : a command\n#PBS -N b\n")

    assert header_lines(script, HeaderSyntax("#PBS", passed_over=":")) == ("#PBS -N a",)
    assert header_lines(script, HeaderSyntax("#PBS")) == ()


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"#PBS -l \\\nwalltime=5\n#PBS -N a\n", ("#PBS -l walltime=5", "#PBS -N a")),
        (b"#PBS -N a \\ \n -l x \\\n -q y\necho\n#PBS -N b", ("#PBS -N a  -l x  -q y",)),
        (b"#PBS -N a\\", ("#PBS -N a",)),
        (b"# a comment \\\n#PBS -N a\n", ("#PBS -N a",)),
    ],
)
def test_header_lines_may_be_continued_where_the_scheduler_joins_lines(
    body: bytes, lines: tuple[str, ...]
) -> None:
    assert header_lines(Jobscript("s", body), HeaderSyntax("#PBS", continued=True)) == lines


def test_only_a_line_feed_ends_a_header_line() -> None:
    body = "#SBATCH --comment=a\u2028b\x0cc\n#SBATCH -n 1\n".encode()

    assert len(header_lines(Jobscript("job.sh", body), HeaderSyntax("#SBATCH"))) == 2


@given(st.binary(max_size=200))
def test_no_bytes_make_two_lines_of_one(body: bytes) -> None:
    lines = header_lines(Jobscript("job.sh", body), HeaderSyntax("#"))

    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("body", "options", "header"),
    [
        ("#$ -j y\necho\n#$ -r n", (), Header(("#$ -j y", "#$ -r n"))),
        ("#$ -S /usr/bin/python3", (), Header((), "/usr/bin/python3")),
        ("#$-S /bin/sh -j y", (), Header(("#$ -j y",), "/bin/sh")),
        ("#$ -j y -S '/bin/sh' -r n # -S", (), Header(("#$ -j y -r n # -S",), "/bin/sh")),
        ("#$ -S /bin/sh\n#$ -S /bin/ksh", (), Header((), "/bin/ksh")),
        ("#$ -S /bin/sh", ("-V", "-S", "/bin/ksh"), Header((), "/bin/ksh")),
        ("#$ -N x-S y\n#$ -Sx /bin/sh\n#$", (), Header(("#$ -N x-S y", "#$ -Sx /bin/sh", "#$"))),
        ("#$ -S", ("-S",), Header(("#$ -S",))),
    ],
)
def test_the_interpreter_is_taken_out_of_the_lines(
    body: str, options: tuple[str, ...], header: Header
) -> None:
    assert read_header(Jobscript("job.sh", body.encode()), options, GRID) == header


def test_where_no_option_names_an_interpreter_all_lines_are_copied() -> None:
    script = Jobscript("job.sh", b"#SBATCH -S 1\necho\n#SBATCH -n 1\n")

    assert read_header(script, ("-S", "2"), OTHER) == Header(("#SBATCH -S 1",))


# PBS ----------------------------------------------------------------------------------------------

PBS = HeaderSyntax("#PBS", indented=True, interpreter_option="-S", may_adjoin=True)


@pytest.mark.parametrize(
    ("body", "options", "header"),
    [
        ("#PBS -S /bin/csh\n#PBS -N x", (), Header(("#PBS -N x",), "/bin/csh")),
        ("#PBS -N x -S/bin/csh -j oe", (), Header(("#PBS -N x -j oe",), "/bin/csh")),
        ("#PBS -S /bin/csh@node1,/bin/sh", (), Header((), "/bin/sh")),
        ("#PBS -S /bin/csh@node1,/bin/sh@node2", (), Header((), "/bin/csh")),
        ("#PBS -S /bin/csh", ("-S/bin/ksh",), Header((), "/bin/ksh")),
    ],
)
def test_interpreter_of_a_pbs_script_is_found(body: str, options: tuple[str, ...], header: Header) -> None:
    assert read_header(Jobscript("job.pbs", body.encode()), options, PBS) == header


def test_interpreter_of_the_reported_pbs_script_is_csh() -> None:
    script = Jobscript("job.pbs", case("19", "job.pbs").encode())

    assert read_header(script, (), PBS_DIALECT.header).interpreter == "/bin/csh"


# Lines of other schedulers, and lines that no scheduler reads -------------------------------------


def test_slurm_is_given_the_lines_that_it_reads_of_others() -> None:
    script = Jobscript("job.sh", case("06", "job.sh").encode())

    assert read_header(script, (), SLURM_DIALECT.header).lines == (
        "#PBS -N pbsname", "#PBS -l walltime=00:01:00", "#PBS -o pbs.out",
    )  # fmt: skip


def test_lines_after_the_first_command_are_named_with_their_numbers() -> None:
    assert list(late_lines(Jobscript("job.sh", case("21", "job.sh").encode()))) == [
        "job.sh lines 4, 5: #SBATCH comes after the first command and has no effect there"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "#!/bin/bash\n#SBATCH -n 1\n\n# text\n#PBS -N x\necho\n",
        "echo\n# SBATCH -n 1\n#SBATCHES\n#PBSX\n#$ -l x=1\n",
        "cat >job <<'END'\n#!/bin/bash\n#SBATCH -n 1\nEND\n",
        'cat >job <<-"A B"\n\t#PBS -N x\n\tA B\n',
        "cat >job <<END\n#SBATCH -n 1\n#PBS -N x\n",
        ": PBS reads on\n#PBS -N x\n",
        "#PBS -l \\\n walltime=5 \\\n -q y\n#PBS -N x\n",
    ],
)
def test_lines_that_are_read_or_are_another_scripts_are_not_named(body: str) -> None:
    assert list(late_lines(Jobscript("job.sh", body.encode()))) == []


def test_lines_behind_a_here_document_are_named() -> None:
    body = "cat <<<x\ncat <<END\n#SBATCH -n 1\nEND\n#LOCAL --slots 2\n  #BSUB -J x\n"

    assert [text.partition(": ")[0] for text in late_lines(Jobscript("j", body.encode()))] == [
        "j line 5", "j line 6",
    ]  # fmt: skip
