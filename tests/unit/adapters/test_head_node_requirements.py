"""The requirements of a head node are pinned by hash, and match those of cloudq."""

from __future__ import annotations

import io
import re
import tomllib
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cloudq.adapters import presets
from cloudq.adapters.own_wheel import own_wheel

PINS = Path(presets.__file__).with_name("head-node-requirements.txt")
PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def pins() -> dict[str, tuple[str, list[str]]]:
    """Return version and hashes by name."""
    text = PINS.read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    found = {}
    for requirement, *hashes in lines:
        name, _, version = requirement.partition("==")
        found[canonicalize_name(name)] = (version, hashes)
    return found


def test_every_dependency_is_pinned_to_a_version_that_is_allowed() -> None:
    needed = [Requirement(line) for line in tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]]
    found = pins()

    assert [each.name for each in needed if canonicalize_name(each.name) not in found] == []
    assert [each for each in needed if found[canonicalize_name(each.name)][0] not in each.specifier] == []


def test_every_pin_has_hashes() -> None:
    assert all(hashes for _, hashes in pins().values())
    assert all(
        re.fullmatch("--hash=sha256:[0-9a-f]{64}", each) for _, hashes in pins().values() for each in hashes
    )


def test_the_wheel_for_head_nodes_holds_the_pins() -> None:
    with zipfile.ZipFile(io.BytesIO(own_wheel().content)) as wheel:
        assert wheel.read("cloudq/adapters/presets/head-node-requirements.txt") == PINS.read_bytes()
