"""CloudFormation stacks: which ones exist, their last events and their failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attrs import frozen
from botocore.exceptions import ClientError

from cloudq.adapters.parallelcluster.aws import Aws, as_cloud_problem, code_of, words_of
from cloudq.domain.clusters.cluster import Stack, StackState
from cloudq.domain.clusters.preset import CLUSTER_TAG
from cloudq.domain.errors import ConfigurationRejected

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef

STATES: Mapping[str, StackState] = MappingProxyType({
    "CREATE_IN_PROGRESS": StackState.CREATING,
    "REVIEW_IN_PROGRESS": StackState.CREATING,
    "IMPORT_IN_PROGRESS": StackState.CREATING,
    "CREATE_COMPLETE": StackState.COMPLETE,
    "IMPORT_COMPLETE": StackState.COMPLETE,
    # Only a user updates a stack; it exists before, during and after the update.
    "UPDATE_IN_PROGRESS": StackState.COMPLETE,
    "UPDATE_COMPLETE": StackState.COMPLETE,
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": StackState.COMPLETE,
    "UPDATE_ROLLBACK_IN_PROGRESS": StackState.COMPLETE,
    "UPDATE_ROLLBACK_COMPLETE": StackState.COMPLETE,
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": StackState.COMPLETE,
    "UPDATE_FAILED": StackState.FAILED,
    "UPDATE_ROLLBACK_FAILED": StackState.FAILED,
    "CREATE_FAILED": StackState.FAILED,
    "ROLLBACK_IN_PROGRESS": StackState.FAILED,
    "ROLLBACK_FAILED": StackState.FAILED,
    "ROLLBACK_COMPLETE": StackState.FAILED,
    "IMPORT_ROLLBACK_IN_PROGRESS": StackState.FAILED,
    "IMPORT_ROLLBACK_FAILED": StackState.FAILED,
    "IMPORT_ROLLBACK_COMPLETE": StackState.FAILED,
    "DELETE_FAILED": StackState.FAILED,
    "DELETE_IN_PROGRESS": StackState.DELETING,
    "DELETE_COMPLETE": StackState.DELETING,
})  # fmt: skip

MAX_FAILURES = 8
_MAX_EVENTS = 2_000
_MAX_DEPTH = 3
_NESTED = "AWS::CloudFormation::Stack"
_FOLLOWS = ("Resource creation cancelled", "The following resource(s) failed", "Resource deletion cancelled")
"""The reasons that CloudFormation gives for resources that failed only because others did."""


@frozen
class FoundStack:
    """A stack and the cluster that it belongs to."""

    stack: Stack
    cluster: str
    """The cluster that the stack's tag names; empty if the stack is not cloudq's."""


@frozen
class Stacks:
    """CloudFormation in one region."""

    aws: Aws

    def find(self, name: str) -> FoundStack | None:
        """Return the stack of this name, or None if it does not exist or was deleted."""
        with as_cloud_problem(f"stack {name}"):
            try:
                stacks = self.aws.cloudformation.describe_stacks(StackName=name)["Stacks"]
            except ClientError as error:
                if _is_missing(error):
                    return None
                raise
        return next(
            (_found_stack(stack) for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"), None
        )

    def all(self) -> Iterator[FoundStack]:
        """Yield every existing stack that is not nested in another one."""
        with as_cloud_problem("stacks"):
            for page in self.aws.cloudformation.get_paginator("describe_stacks").paginate():
                for stack in page["Stacks"]:
                    if stack["StackStatus"] != "DELETE_COMPLETE" and not stack.get("ParentId"):
                        yield _found_stack(stack)

    def create(self, name: str, template: str, parameters: Mapping[str, str], cluster: str) -> None:
        """Begin to create a stack; an existing one of this name is no error."""
        with as_cloud_problem(f"stack {name}"):
            try:
                self.aws.cloudformation.create_stack(
                    StackName=name,
                    TemplateBody=template,
                    Parameters=[
                        {"ParameterKey": key, "ParameterValue": parameters[key]} for key in parameters
                    ],
                    Tags=[{"Key": CLUSTER_TAG, "Value": cluster}],
                    Capabilities=["CAPABILITY_IAM"],  # the template contains the machines' policies
                    OnFailure="ROLLBACK",
                )
            except ClientError as error:
                if code_of(error) == "ValidationError":
                    raise ConfigurationRejected(f"the template of the network: {words_of(error)}") from error
                if code_of(error) != "AlreadyExistsException":
                    raise

    def delete(self, name: str) -> None:
        """Begin to delete a stack; a missing one is no error."""
        with as_cloud_problem(f"stack {name}"):
            try:
                self.aws.cloudformation.delete_stack(StackName=name)
            except ClientError as error:
                if not _is_missing(error):
                    raise

    def last_event(self, name: str) -> str:
        """Return the last event of a stack; empty if there is none."""
        for event in self._events(name):
            return f"{event.get('LogicalResourceId', '')} {event.get('ResourceStatus', '')}".strip()
        return ""

    def failures(self, name: str) -> tuple[str, ...]:
        """Return the failures of a stack and of its nested stacks, oldest first, at most `MAX_FAILURES`."""
        return tuple(dict.fromkeys(self._failures(name, _MAX_DEPTH)))[:MAX_FAILURES]

    def _failures(self, name: str, depth: int) -> Iterator[str]:
        for event in reversed(list(self._events(name))):
            reason = " ".join(event.get("ResourceStatusReason", "").split())
            kind = event.get("ResourceType", "")
            if not event.get("ResourceStatus", "").endswith("_FAILED") or reason.startswith(_FOLLOWS):
                continue
            inner = event.get("PhysicalResourceId", "")
            if kind == _NESTED and depth and inner and inner != event.get("StackId"):
                yield from self._failures(inner, depth - 1)
            yield f"{event.get('LogicalResourceId', '')} ({kind}): {reason or 'no reason was given'}"

    def _events(self, name: str) -> Iterator[StackEventTypeDef]:
        """Yield the events of a stack, newest first; none if the stack does not exist."""
        seen = 0
        with as_cloud_problem(f"stack {name}"):
            try:
                pages = self.aws.cloudformation.get_paginator("describe_stack_events").paginate(
                    StackName=name
                )
                for page in pages:
                    yield from page["StackEvents"]
                    seen += len(page["StackEvents"])
                    if seen >= _MAX_EVENTS:
                        return
            except ClientError as error:
                if not _is_missing(error):
                    raise


def _found_stack(stack: StackTypeDef) -> FoundStack:
    tags = {tag.get("Key", ""): tag.get("Value", "") for tag in stack.get("Tags", [])}
    status: str = stack["StackStatus"]
    return FoundStack(
        Stack(
            name=stack["StackName"],
            # An unknown status counts as a failure, so that a person looks at it.
            state=STATES.get(status, StackState.FAILED),
            created=stack["CreationTime"],
            status=status,
            reason=stack.get("StackStatusReason", ""),
            outputs=_pairs(stack.get("Outputs"), "Output"),
            parameters=_pairs(stack.get("Parameters"), "Parameter"),
        ),
        tags.get(CLUSTER_TAG, ""),
    )


def _pairs(items: Any, kind: str) -> Mapping[str, str]:
    return MappingProxyType({item[f"{kind}Key"]: item.get(f"{kind}Value", "") for item in items or ()})


def _is_missing(error: ClientError) -> bool:
    return code_of(error) == "ValidationError" and "does not exist" in words_of(error)
