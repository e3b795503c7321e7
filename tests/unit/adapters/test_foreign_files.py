"""Files that a job may have replaced are read only if they are of the expected kind."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cloudq.adapters import filesystem
from cloudq.adapters.filesystem import opened_foreign, read_record


def put_link(path: Path) -> None:
    path.symlink_to("/proc/self/environ")


def put_link_to_a_file_of_ones_own(path: Path) -> None:
    path.with_name("secret").write_text("secret")
    path.symlink_to("secret")


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_directory(path: Path) -> None:
    path.mkdir()


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_nothing(path: Path) -> None:
    """Leave the path absent."""


TRICKS = [put_link, put_link_to_a_file_of_ones_own, put_pipe, put_directory, put_device, put_nothing]


@pytest.mark.parametrize("trick", TRICKS)
def test_what_is_no_regular_file_is_not_opened(trick: object, tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    trick(path)  # type: ignore[operator]

    with pytest.raises(OSError, match=str(path.name)), opened_foreign(path):
        pass
    assert read_record(path) is None


def test_a_regular_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_bytes(b"hello")

    with opened_foreign(tmp_path / "stdout") as handle:
        assert os.read(handle, 100) == b"hello"


def test_a_directory_that_is_reached_by_a_link_is_the_users_choice(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "stdout").write_bytes(b"hello")
    (tmp_path / "home").symlink_to("scratch")

    assert read_record(tmp_path / "home" / "stdout") == b"hello"


def test_another_accounts_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stdout").write_bytes(b"hello")
    real = os.fstat

    def fstat(handle: int) -> os.stat_result:
        info = list(real(handle))
        info[4] += stat.S_ISREG(info[0])  # st_uid
        return os.stat_result(info)

    monkeypatch.setattr(filesystem.os, "fstat", fstat)

    assert read_record(tmp_path / "stdout") is None


def test_a_record_beyond_its_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "exit").write_bytes(b"x" * 101)

    assert read_record(tmp_path / "exit", 100) is None
    assert read_record(tmp_path / "exit", 101) == b"x" * 101
