"""Provide a builder whose cloud is in memory, and a preset that creates almost nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from cloudq.adapters.preset_files import PresetFiles
from cloudq.application.builder.cluster_report import Report
from cloudq.bootstrap.builder import BuilderParts, wire_builder
from cloudq.domain.clusters.preset import CONFIGURATION_FILE, FILES, NETWORK_FILE, Preset
from cloudq.domain.clusters.request import ClusterRequest, JobBucket
from cloudq.ports.presets import Wheel
from cloudq.testing.fake_clock import FakeClock
from tests.parts.memory_clusters import MemoryCloud

NETWORK = """\
Parameters:
  ClusterName: {Type: String}
  Zone: {Type: String}
  StoreBucket: {Type: String, Default: ''}
  StorePrefix: {Type: String, Default: ''}
  SecretArn: {Type: String, Default: ''}
Resources: {Vpc: {Type: AWS::EC2::VPC}}
Outputs:
  VpcId: {Value: !Ref Vpc}
  HeadNodeSubnetId: {Value: a}
  ComputeSubnetId: {Value: b}
"""
CONFIGURATION = """\
HeadNode:
  InstanceType: t3.medium
  Subnet: ${head_subnet}
  Ssh: {AllowedIps: '${allowed_cidr}'}
  KeyName: ${keypair}
  Args: ['--wheel=${wheel}', '--secret=${secret}', '--bucket=${store_bucket}', '--region=${store_region}']
  Policies: [{Policy: '${store_policy}'}, {Policy: '${secret_policy}'}]
"""
WHEEL = Wheel("cloudq-1-py3-none-any.whl", b"wheel")
OWN_BUCKET, FOREIGN_BUCKET = "my-jobs", "jobs-elsewhere"


def write_preset(folder: Path, **files: str | None) -> Path:
    """Write a preset; *files*, by name without suffix, replace the default ones; None leaves a file out."""
    folder.mkdir(parents=True, exist_ok=True)
    content = dict.fromkeys(FILES, "#!/bin/bash\n")
    content |= {NETWORK_FILE: NETWORK, CONFIGURATION_FILE: CONFIGURATION}
    for name, text in content.items():
        given = files.get(name.partition(".")[0].replace("-", "_"), text)
        if given is not None:
            (folder / name).write_text(given, encoding="utf-8", newline="")
    return folder


def own_store() -> JobBucket:
    """Return a bucket of the account that builds."""
    return JobBucket(OWN_BUCKET)


def foreign_store(profile: str = "abci") -> JobBucket:
    """Return a bucket of another service."""
    return JobBucket(FOREIGN_BUCKET, "https://s3.abci.ai", profile)


_LOADED: dict[tuple[bytes, ...], Preset] = {}


@frozen
class KeptPresets(PresetFiles):
    """Presets that parse the same files only once: that is most of the work of a cluster in memory."""

    def load(self, name: str) -> Preset:
        """Return the preset; only its place differs from that of another folder with the same files."""
        folder = self.own / name
        content = tuple((folder / file).read_bytes() for file in FILES if (folder / file).is_file())
        if len(content) < len(FILES):
            return super().load(name)
        if (name.encode(), *content) not in _LOADED:
            _LOADED[name.encode(), *content] = super().load(name)
        return evolve(_LOADED[name.encode(), *content], place=str(folder))


@define
class World:
    """The builder of one user, and all its messages."""

    home: Path
    clock: FakeClock = field(factory=FakeClock)
    said: list[str] = field(factory=list)
    noted: list[str] = field(factory=list)
    progress: list[str] = field(factory=list)
    cloud: MemoryCloud = field(init=False)

    def __attrs_post_init__(self) -> None:
        write_preset(self.home / "presets/tiny")
        self.cloud = MemoryCloud(
            self.clock, buckets={OWN_BUCKET: "ap-northeast-1"}, profiles={"abci": "key-of-abci"}
        )

    def builder(self, cloud: Any = None) -> BuilderParts:
        """Return a builder without knowledge of earlier ones; *cloud* replaces the world's own cloud."""
        report = Report(self.said.append, self.noted.append, self.progress.append)
        there = cloud or self.cloud
        return wire_builder(
            there, there, KeptPresets(self.home / "presets"), self.clock, report, lambda: WHEEL
        )

    def request(self, name: str = "c", **others: Any) -> ClusterRequest:
        """Return a user's request for a cluster."""
        return ClusterRequest(
            **{"name": name, "keypair": "my-key", "store": own_store(), "preset": "tiny", **others}
        )

    def create(self, name: str = "c", *, wait: bool = True, **others: Any) -> Any:
        """Create a cluster, as one command does."""
        return self.builder().create(self.request(name, **others), wait=wait)

    def delete(self, name: str = "c", *, wait: bool = True) -> Any:
        """Delete a cluster, as one command does."""
        return self.builder().delete(name, wait=wait)

    def state(self, name: str = "c") -> str:
        """Return the state in the list; empty if the list does not show the cluster."""
        shown = {cluster.name: cluster.state.value for cluster in self.builder().list()}
        return shown.get(name, "")
