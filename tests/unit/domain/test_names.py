"""Names and ids from a bucket that anyone may have written to."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import (
    MAX_FILE_NAME_BYTES,
    ClaimTag,
    checked_file_name,
    checked_job_id,
    checked_local_job_id,
    checked_system,
    duration,
    file_name_problem,
    is_job_id,
    span,
)


@pytest.mark.parametrize("text", ["3f7e7681", "00000000"])
def test_eight_hexadecimal_digits_are_a_job_id(text: str) -> None:
    assert checked_job_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "3F7E7681", "3f7e768", "3f7e76811", "3f7e7681\n", "../../ab", "٣f7e7681"]
)
def test_anything_else_is_no_job_id(text: str) -> None:
    assert not is_job_id(text)
    with pytest.raises(InvalidInput, match="is not a job id"):
        checked_job_id(text)


@pytest.mark.parametrize("text", ["abci", "my-cluster_2", "9", "a" * 63])
def test_a_system_is_named_in_plain_lower_case(text: str) -> None:
    assert checked_system(text) == text


@pytest.mark.parametrize("text", ["", "ABCI", "-a", "a.b", "a/b", "a b", "a" * 64, "é", "a\n"])
def test_other_system_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a system name"):
        checked_system(text)


@pytest.mark.parametrize("text", ["5150599", "12[3].pbs1", "12.host-a", "local_7"])
def test_local_job_ids_of_all_schedulers_pass(text: str) -> None:
    assert checked_local_job_id(text) == text


@pytest.mark.parametrize("text", ["", "-1", "--all", "1 2", "1;rm", "$(x)", "a/b", "1" * 129])
def test_a_local_job_id_that_could_be_an_option_or_a_command_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a scheduler job id"):
        checked_local_job_id(text)


@pytest.mark.parametrize(
    "name",
    ["job.sh", "my job.sh", 'it\'s "quoted".sh', "-rf.sh", "..sh", "ジョブ.sh", "a" * MAX_FILE_NAME_BYTES],
)
def test_a_users_own_choice_of_a_file_name_is_fine(name: str) -> None:
    assert checked_file_name(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is not a file name"),
        (".", "is not a file name"),
        ("..", "is not a file name"),
        ("../job.sh", "separator"),
        ("/etc/passwd", "separator"),
        ("a\\b", "separator"),
        ("C:job.sh", "colon"),
        ("a\nb", "unprintable"),
        ("a\0b", "unprintable"),
        ("a\x1b[31mb", "unprintable"),
        ("a\u202eb", "unprintable"),
        ("a\udc80b", "unprintable"),
        ("é" * 101, "longer than 200 bytes"),
    ],
)
def test_a_file_name_that_leaves_its_directory_or_hides_something_is_refused(name: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        checked_file_name(name)


@given(st.text(max_size=40))
def test_whatever_passes_stays_in_its_directory_on_every_system(name: str) -> None:
    if file_name_problem(name) is not None:
        return

    assert (PurePosixPath("/work") / name).parent == PurePosixPath("/work")
    assert (PureWindowsPath("D:/work") / name).parent == PureWindowsPath("D:/work")
    name.encode()


@given(st.from_regex(r"[0-9a-f]{8}", fullmatch=True), st.integers(1, 999_999))
def test_a_claim_tag_reads_back_as_it_was_written(job_id: str, n: int) -> None:
    tag = ClaimTag(job_id, n)

    assert ClaimTag.parse(str(tag)) == tag


@pytest.mark.parametrize(
    "text", ["3f7e7681", "3f7e7681.", "3f7e7681.0", "3f7e7681.01", "3f7e7681.1.cancel", "x.1"]
)
def test_anything_else_is_no_claim_tag(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a claim tag"):
        ClaimTag.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (119.9, "119 s"),
        (120.0, "2 min"),
        (7_199.0, "119 min"),
        (7_200.0, "2 h"),
        (172_800.0, "2 days"),
    ],
)
def test_a_span_has_one_unit_and_is_rounded_down(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (119, "1 min 59 s"), (3600, "1 h"), (3601, "1 h"),
        (18_720, "5 h 12 min"), (86_400, "1 day"), (93_600, "1 day 2 h"), (1_000_000, "11 days 13 h"),
    ],
)  # fmt: skip
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
