"""The wheel for head nodes, built from the installed package."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from pathlib import Path

import cloudq
from cloudq import __version__
from cloudq.adapters.own_wheel import own_wheel


def members() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(own_wheel().content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_is_named_for_this_version() -> None:
    assert own_wheel().name == f"cloudq-{__version__}-py3-none-any.whl"


def test_has_every_file_of_the_package_and_no_other() -> None:
    root = Path(cloudq.__file__).parent
    installed = {
        f"cloudq/{path.relative_to(root).as_posix()}"
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {name for name in members() if name.startswith("cloudq/")} == installed


def test_says_what_it_is_what_it_needs_and_which_commands_it_brings() -> None:
    info = f"cloudq-{__version__}.dist-info"
    head = members()[f"{info}/METADATA"].decode().partition("\n\n")[0].splitlines()

    assert head[0].startswith("Metadata-Version: ")
    assert f"Version: {__version__}" in head
    assert "Name: cloudq" in head
    assert any(line.startswith("Requires-Dist: boto3") for line in head)
    assert b"cloudqd = cloudq.entrypoints.cloudqd:main" in members()[f"{info}/entry_points.txt"]
    assert b"Tag: py3-none-any" in members()[f"{info}/WHEEL"]


def test_its_record_fits_its_files() -> None:
    files = members()
    record = files.pop(f"cloudq-{__version__}.dist-info/RECORD").decode().splitlines()
    listed = {line.rsplit(",", 2)[0]: line.rsplit(",", 2)[1:] for line in record}

    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert listed.pop(name) == [f"sha256={digest}", str(len(content))]
    assert list(listed) == [f"cloudq-{__version__}.dist-info/RECORD"]


def test_the_same_files_make_the_same_wheel() -> None:
    assert own_wheel() == own_wheel()
