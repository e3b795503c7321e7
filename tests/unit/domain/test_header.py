"""What of a user's script and options goes into the job shell."""

from __future__ import annotations

import pytest

from cloudq.domain.header import Header, HeaderSyntax, read_header
from cloudq.domain.jobscript import Jobscript

GRID = HeaderSyntax("#$", anywhere=True, interpreter_option="-S")
OTHER = HeaderSyntax("#SBATCH")


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
