"""Placeholders in values of presets, and the zone to build in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.clusters.preset import CLUSTER_TAG, fill, instance_types, unknown_placeholders, with_tag
from cloudq.domain.clusters.request import JobBucket, chosen_zone
from cloudq.domain.errors import InvalidInput


class TestFill:
    def test_values_go_in_at_any_depth(self) -> None:
        preset = {
            "Region": "${region}",
            "HeadNode": {"Ssh": {"KeyName": "${keypair}"}, "Args": ["-n", "a/${region}/b"]},
        }

        assert fill(preset, {"region": "tokyo", "keypair": "k"}) == {
            "Region": "tokyo",
            "HeadNode": {"Ssh": {"KeyName": "k"}, "Args": ["-n", "a/tokyo/b"]},
        }

    def test_what_is_not_text_stays_what_it_is(self) -> None:
        assert fill({"MaxCount": 10, "Enabled": True, "Nothing": None}, {}) == {
            "MaxCount": 10,
            "Enabled": True,
            "Nothing": None,
        }

    def test_an_item_of_a_list_goes_with_its_value(self) -> None:
        preset = {
            "Policies": [{"Policy": "${store_policy}"}, {"Policy": "${secret_policy}"}],
            "Args": ["--secret=${secret}", "--x=1"],
        }

        assert fill(preset, {"store_policy": "arn", "secret_policy": "", "secret": ""}) == {
            "Policies": [{"Policy": "arn"}],
            "Args": ["--x=1"],
        }

    def test_a_value_is_never_looked_into_again(self) -> None:
        assert fill({"a": "${region}"}, {"region": "${keypair}", "keypair": "k"}) == {"a": "${keypair}"}

    @given(st.text())
    def test_a_value_is_exactly_what_was_put_in(self, value: str) -> None:
        assert fill({"a": ["x", "${region}y"]}, {"region": value}) == {"a": ["x", f"{value}y"]}

    def test_a_placeholder_without_a_value_is_named(self) -> None:
        assert unknown_placeholders({"a": ["${region}", {"b": "${nope} ${nope} ${neither}"}]}) == [
            "nope",
            "neither",
        ]
        with pytest.raises(InvalidInput, match=r"unknown placeholder \$\{nope\}"):
            fill({"a": "${nope}"}, {"region": "r"})


def test_a_cluster_is_tagged_whatever_its_preset_says() -> None:
    mine = {"Key": "project", "Value": "p"}

    tagged = with_tag({"Tags": [mine, {"Key": CLUSTER_TAG, "Value": "another"}]}, "c")

    assert tagged == {"Tags": [mine, {"Key": CLUSTER_TAG, "Value": "c"}]}
    assert (
        with_tag({}, "c") == with_tag({"Tags": None}, "c") == {"Tags": [{"Key": CLUSTER_TAG, "Value": "c"}]}
    )


def test_instance_types_are_found_wherever_they_stand() -> None:
    queues = [
        {"ComputeResources": [{"InstanceType": "c5.large"}, {"Instances": [{"InstanceType": "g5.large"}]}]}
    ]

    assert instance_types({"HeadNode": {"InstanceType": "t3.medium"}, "Queues": queues}) == (
        "t3.medium",
        "c5.large",
        "g5.large",
    )


OFFERED = {"1a": frozenset({"c5", "t3"}), "1c": frozenset({"c5", "t3", "p4"}), "1d": frozenset({"t3"})}


class TestZone:
    def test_the_first_one_with_everything_is_taken(self) -> None:
        assert chosen_zone("", ("c5", "t3"), OFFERED) == "1a"
        assert chosen_zone("", ("p4", "t3"), OFFERED) == "1c"

    def test_the_one_that_was_asked_for_is_taken_if_it_has_everything(self) -> None:
        assert chosen_zone("1c", ("c5",), OFFERED) == "1c"
        with pytest.raises(InvalidInput, match="zone 1a does not have p4; choose one of 1c"):
            chosen_zone("1a", ("p4", "t3"), OFFERED)

    def test_a_zone_that_is_none_is_told_with_those_that_are(self) -> None:
        with pytest.raises(
            InvalidInput, match=r"zone '1b' cannot be used in this region \(available: 1a, 1c, 1d"
        ):
            chosen_zone("1b", ("t3",), OFFERED)

    def test_a_type_that_no_zone_has_is_told(self) -> None:
        with pytest.raises(InvalidInput, match="instance type p9: no zone of this region has it"):
            chosen_zone("", ("t3", "p9"), OFFERED)

    def test_types_that_are_never_together_are_told_with_their_zones(self) -> None:
        with pytest.raises(InvalidInput, match=r"instance type a: only in 1; .*\ninstance type b: only in 2"):
            chosen_zone("", ("a", "b"), {"1": frozenset("a"), "2": frozenset("b")})


@pytest.mark.parametrize(
    ("endpoint", "is_amazons"),
    [
        ("", True),
        ("https://s3.ap-northeast-1.amazonaws.com", True),
        ("https://s3.abci.ai", False),
        ("https://amazonaws.com.example.org", False),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
    ],
)
def test_only_amazon_s_own_buckets_can_be_opened_by_a_role(endpoint: str, is_amazons: bool) -> None:
    assert JobBucket("b", endpoint).is_amazons is is_amazons
