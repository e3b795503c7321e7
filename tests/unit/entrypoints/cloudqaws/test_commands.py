"""``cloudqaws`` on a cloud in memory: messages, table and JSON, beside those of the original."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import define
from click.testing import CliRunner, Result

from cloudq import __version__
from cloudq.application.builder.cluster_report import Report
from cloudq.bootstrap.builder import BuilderParts
from cloudq.domain.clusters.cluster import Cluster, Part, Stack, StackState
from cloudq.entrypoints.cloudqaws import main
from cloudq.entrypoints.cloudqaws.output import cluster_lines, cluster_record
from cloudq.entrypoints.cloudqaws.session import Session
from tests.parts.builder import World

COMMANDS = ("create", "list", "delete", "preset")
CREATE = ("create", "--name", "c", "--keypair", "my-key", "--preset_name", "tiny")


@define
class Builder:
    """A runner for commands of a user whose cloud is the one of the world."""

    world: World

    def __call__(self, *args: str) -> Result:
        def connect(_: Path, __: str, report: Report) -> BuilderParts:
            self.world.said = []
            parts = self.world.builder()
            for name, to in (("say", report.say), ("note", report.note), ("progress", report.progress)):
                object.__setattr__(parts.create.report, name, to)
            return parts

        return CliRunner().invoke(main, list(args), obj=Session(connect))


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    monkeypatch.setenv("CLOUDQ_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    return Builder(World(tmp_path))


def stack(part: Part, cluster: str, state: StackState, created: datetime) -> Stack:
    return Stack(part.stack_of(cluster), state, created)


def cluster(name: str, nodes: StackState, created: datetime) -> Cluster:
    network = stack(Part.NETWORK, name, StackState.COMPLETE, created)
    return Cluster(name, network, stack(Part.NODES, name, nodes, created))


class TestWords:
    def test_create_says_what_the_original_says(self, builder: Builder) -> None:
        result = builder(*CREATE, "--cs_bucket", "my-jobs")

        assert result.exit_code == 0, result.stderr
        assert result.stdout.splitlines() == [
            "The stack (c-vpc) is creating. Please wait a minute.",
            "The stack (c-nodes) is creating. Please wait a minute.",
            "AWS compute cluster (c) has been created.",
        ]

    def test_delete_says_what_the_original_says(self, builder: Builder) -> None:
        builder(*CREATE, "--cs_bucket", "my-jobs")

        assert builder("delete", "--name", "c").stdout.splitlines() == [
            "The stack (c-nodes) is deleting. Please wait a minute.",
            "The stack (c-vpc) is deleting. Please wait a minute.",
            "AWS compute cluster (c) has been deleted.",
        ]

    def test_the_table_is_the_original_s(self) -> None:
        first = datetime(2022, 1, 23, 11, 22, 33, tzinfo=UTC)
        second = datetime(2022, 2, 1, 23, 59, 59, tzinfo=UTC)
        clusters = (
            cluster("your-cluster-01", StackState.COMPLETE, first),
            cluster("your-cluster-02", StackState.COMPLETE, second),
            cluster("your-cluster-03", StackState.CREATING, second),
            cluster("your-cluster-04", StackState.FAILED, second),
        )
        seed = Path(__file__).parent / "seed/list.txt"

        assert "".join(f"{line}\n" for line in cluster_lines(clusters)) == seed.read_text()

    def test_a_long_name_moves_the_columns_for_all(self) -> None:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        lines = list(
            cluster_lines([cluster("x" * 20, StackState.FAILED, now), cluster("y", StackState.FAILED, now)])
        )

        assert [line.index("FAILED") for line in lines[2:]] == [22, 22]
        assert lines[0].index("Status") == 22

    def test_a_part_without_the_other_is_explained(self, builder: Builder) -> None:
        builder.world.create(wait=False)
        builder.world.cloud.delete("c", Part.NODES)
        builder.world.clock.pass_by(1_000)

        result = builder("list")

        assert "c                PARTIAL" in result.stdout
        assert "'cloudqaws delete --name c' removes it" in result.stderr


class TestOptions:
    def test_every_option_is_taken_in_both_spellings(self, builder: Builder) -> None:
        shown = builder("create", "--help").stdout

        for option in ("cs_profile", "cs_endpoint", "cs_bucket", "preset_name", "dry_run", "no_wait"):
            assert f"--{option}" in shown
            assert f"--{option.replace('_', '-')}" in shown

    def test_without_a_bucket_the_client_s_own_is_taken(
        self, builder: Builder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLOUDQ_STORE_BUCKET", "my-jobs")
        monkeypatch.setenv("CLOUDQ_STORE_PREFIX", "team")

        assert builder(*CREATE).exit_code == 0
        network = builder.world.cloud.find("c").network
        assert network is not None
        assert network.parameters["StorePrefix"] == "team/"

    def test_without_any_bucket_nothing_is_made(self, builder: Builder) -> None:
        result = builder(*CREATE)

        assert result.exit_code == 3
        assert "--cs_bucket" in result.stderr
        assert builder.world.cloud.made == []

    def test_keys_of_another_service_are_named_by_their_profile(self, builder: Builder) -> None:
        options = ("--cs_profile", "abci", "--cs_endpoint", "https://s3.abci.ai", "--cs_bucket", "cloudq")

        assert builder(*CREATE, *options).exit_code == 0
        assert builder.world.cloud.secrets == {"cloudq/c/store": '"key-of-abci"'}

    def test_no_wait_returns_with_what_comes_next(self, builder: Builder) -> None:
        result = builder(*CREATE, "--cs_bucket", "my-jobs", "--no-wait")

        assert result.stdout.splitlines()[-1] == "The stack (c-nodes) is creating. Please wait a minute."
        assert "'cloudqaws list' shows when it is COMPLETED" in result.stderr
        assert "c                CREATING" in builder("list").stdout

    def test_a_deletion_that_is_not_waited_for_tells_what_stays(self, builder: Builder) -> None:
        builder(*CREATE, "--cs_bucket", "my-jobs")

        result = builder("delete", "--name", "c", "--no_wait")

        assert result.stdout == "The stack (c-nodes) is deleting. Please wait a minute.\n"
        assert "The network remains, and may cost money" in result.stderr

    def test_a_dry_run_prints_every_file_and_makes_nothing(self, builder: Builder) -> None:
        result = builder(*CREATE, "--cs_bucket", "my-jobs", "--dry-run")

        heads = [line for line in result.stdout.splitlines() if line.startswith("==> ")]
        assert heads == [
            "==> network.yaml <==",
            "==> cluster.yaml <==",
            "==> head-node.sh <==",
            "==> compute-node.sh <==",
            "==> iam-policy.json <==",
            "==> iam-boundary.json <==",
        ]
        assert builder.world.cloud.made == []

    def test_a_preset_is_copied_once(self, builder: Builder) -> None:
        place = builder.world.home / "presets/enable_gpu"

        assert builder("preset", "--preset_name", "enable_gpu").stdout == (
            f"Preset (enable_gpu) has been copied to {place}.\n"
        )
        assert (place / "cluster.yaml").is_file()
        assert builder("preset", "--preset-name", "enable_gpu").exit_code == 2


class TestJson:
    def test_stdout_is_one_document(self, builder: Builder) -> None:
        made = builder(*CREATE, "--cs_bucket", "my-jobs", "--json")
        listed = builder("list", "--json")
        gone = builder("delete", "--name", "c", "--json")

        assert json.loads(made.stdout)["status"] == "COMPLETED"
        assert "is creating" in made.stderr
        assert [each["name"] for each in json.loads(listed.stdout)] == ["c"]
        assert json.loads(gone.stdout) == {
            "name": "c",
            "status": "DELETED",
            "creation_time": None,
            "network": None,
            "nodes": None,
        }

    def test_a_cluster_is_told_with_its_stacks(self) -> None:
        record = cluster_record(cluster("c", StackState.FAILED, datetime(2026, 1, 1, tzinfo=UTC)))

        assert record["creation_time"] == "2026-01-01T00:00:00Z"
        assert record["nodes"] == {
            "stack": "c-nodes",
            "status": "FAILED",
            "reason": "",
            "creation_time": "2026-01-01T00:00:00Z",
        }


class TestTrouble:
    def test_a_failure_ends_with_its_events_and_status(self, builder: Builder) -> None:
        builder.world.cloud.fails["c-nodes"] = "HeadNode (AWS::EC2::Instance): no capacity"

        result = builder(*CREATE, "--cs_bucket", "my-jobs")

        assert result.exit_code == 15
        assert "cloudqaws:   HeadNode (AWS::EC2::Instance): no capacity" in result.stderr
        assert "c                FAILED" in builder("list").stdout

    def test_an_interrupt_tells_what_goes_on(self, builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(_: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(type(builder.world.clock), "sleep", lambda *_: interrupted(0))
        result = builder(*CREATE, "--cs_bucket", "my-jobs")

        assert result.exit_code == 130
        assert "AWS continues what was started, and charges for it" in result.stderr
        assert "'cloudqaws delete --name c' removes what exists so far" in result.stderr


class TestHelp:
    def test_commands_stand_in_the_order_of_their_use(self) -> None:
        assert tuple(main.list_commands(None)) == COMMANDS  # type: ignore[attr-defined]

    def test_says_its_version(self, builder: Builder) -> None:
        assert builder("--version").stdout == f"cloudqaws {__version__}\n"
