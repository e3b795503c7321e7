"""Presets on disk: those of the user, the shipped ones, and everything that may be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.preset_files import MAX_TEMPLATE_BYTES, PresetFiles
from cloudq.adapters.presets import PRESETS, shipped_preset
from cloudq.domain.clusters.preset import FILES, NETWORK_PARAMETERS
from cloudq.domain.errors import ConfigProblem, InvalidInput, TargetExists
from tests.parts.builder import CONFIGURATION, NETWORK, write_preset


@pytest.fixture
def presets(tmp_path: Path) -> PresetFiles:
    return PresetFiles(tmp_path / "presets")


@pytest.mark.parametrize("name", PRESETS)
def test_a_shipped_preset_is_good_as_it_is_and_as_a_copy(presets: PresetFiles, name: str) -> None:
    shipped = presets.load(name)
    place = presets.copy(name)
    own = presets.load(name)

    assert {path.name for path in place.iterdir()} == set(FILES)
    assert (own.network, own.configuration, own.scripts) == (
        shipped.network,
        shipped.configuration,
        shipped.scripts,
    )
    assert own.place == str(place)
    assert shipped.parameters >= {*NETWORK_PARAMETERS, "StoreBucket", "StorePrefix", "SecretArn"}


def test_a_user_s_own_goes_before_the_shipped_one(presets: PresetFiles) -> None:
    write_preset(presets.own / "default")

    assert presets.load("default").network == NETWORK != shipped_preset("default")["network.yaml"].decode()


def test_a_copy_never_overwrites(presets: PresetFiles) -> None:
    presets.copy("default")

    with pytest.raises(TargetExists, match="never overwritten"):
        presets.copy("default")


def test_only_what_is_shipped_can_be_copied(presets: PresetFiles) -> None:
    with pytest.raises(InvalidInput, match="shipped with cloudq: default"):
        presets.copy("mine")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".", "C:x", "a\\b"])
def test_a_preset_is_no_path(presets: PresetFiles, name: str) -> None:
    for ask in (presets.load, presets.copy):
        with pytest.raises(InvalidInput, match="is not a valid preset name"):
            ask(name)


def test_every_file_that_is_missing_is_named(presets: PresetFiles) -> None:
    write_preset(presets.own / "p", network=None, compute_node=None)

    with pytest.raises(ConfigProblem) as told:
        presets.load("p")

    assert [problem.split(":")[0] for problem in told.value.problems] == [
        str(presets.own / "p" / name) for name in ("network.yaml", "compute-node.sh")
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("HeadNode:\n  a: [1\nb: 2\n", r"cluster\.yaml:3: not YAML"),
        ("a: 1\na: 2\n", r"cluster\.yaml:1: not YAML: the key 'a' appears twice"),
        ("HeadNode: {x: {b: 1, b: 2}}\n", "the key 'b' appears twice"),
        ("- a\n", "has no sections"),
        ("", "has no sections"),
        ("a: ${nope}\n", r"unknown placeholder \$\{nope\} \(known: region"),
        ("a: \x00\n", "not YAML"),
        ("? [a]\n: 1\n", "not YAML"),
        ("a: &a [*a]\n", "refers to itself"),
    ],
)
def test_a_broken_configuration_is_told_with_its_place(presets: PresetFiles, text: str, told: str) -> None:
    write_preset(presets.own / "p", cluster=text)

    with pytest.raises(ConfigProblem, match=told):
        presets.load("p")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (NETWORK.replace("Zone:", "Area:"), r"network\.yaml: Parameters: Zone is missing"),
        (NETWORK.replace("VpcId:", "Vpc:"), r"network\.yaml: Outputs: VpcId is missing"),
        (NETWORK + "#" * MAX_TEMPLATE_BYTES, "larger than the 51200 bytes"),
        ("Parameters: [", r"network\.yaml:\d: not YAML"),
    ],
)
def test_a_broken_template_is_told_before_anything_is_made(
    presets: PresetFiles, text: str, told: str
) -> None:
    write_preset(presets.own / "p", network=text)

    with pytest.raises(ConfigProblem, match=told):
        presets.load("p")


def test_a_script_saved_on_windows_is_told(presets: PresetFiles) -> None:
    write_preset(presets.own / "p", head_node="#!/bin/bash\r\n")

    with pytest.raises(ConfigProblem, match="line ends"):
        presets.load("p")


def test_a_configuration_is_written_as_it_was_read(presets: PresetFiles) -> None:
    write_preset(presets.own / "p")
    preset = presets.load("p")

    text = presets.text_of(preset.configuration)
    write_preset(presets.own / "q", cluster=text)

    assert presets.load("q").configuration == preset.configuration
    assert "${head_subnet}" in CONFIGURATION


@pytest.mark.parametrize("value", ["no", "1e3", "x: y", "-a", "${", "'", '"', "a\nb", "2026-01-01", "ÄÖ"])
def test_no_value_changes_its_kind_on_the_way(presets: PresetFiles, value: str) -> None:
    write_preset(presets.own / "p", cluster=presets.text_of({"a": value}))

    assert presets.load("p").configuration == {"a": value}
