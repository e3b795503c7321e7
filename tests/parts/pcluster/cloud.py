"""Run a moto server that can hold clusters of ParallelCluster, as a separate process.

Run as ``python cloud.py``: it prints its port and ends with its stdin. moto cannot create everything in the
template of a cluster. What it cannot create becomes a stand-in; the rest (roles, security groups, launch
templates, tables, volumes, log groups, the head node) is really created. Stacks take time. The file
``CLOUD_ORDERS`` states how long they take and which of them fail; it is read at each creation and deletion.
It also states which stacks keep their state for now, and is read repeatedly for that.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
os.environ.setdefault("MOTO_AMIS_PATH", str(HERE / "images.json"))
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "true")

from moto.cloudformation import parsing  # noqa: E402  moto reads the variables when it is imported
from moto.cloudformation.models import CloudFormationBackend  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402

STOOD_IN = ("Custom::", "AWS::CloudFormation::")
CLUSTER_TAGS = ("cloudq:cluster", "parallelcluster:version")

make_resource = parsing.parse_and_create_resource
make_stack = CloudFormationBackend.create_stack
remove_stack = CloudFormationBackend.delete_stack


def orders() -> dict[str, Any]:
    """Return the test's orders: ``seconds`` per stack, ``fails``: stack → reason, ``held``: stacks."""
    file = os.environ.get("CLOUD_ORDERS", "")
    return json.loads(Path(file).read_text()) if file and Path(file).exists() else {}


class StandIn:
    """A resource that is only a name."""

    def __init__(self, name: str, kind: str) -> None:
        self.logical_resource_id = name
        self.type = kind
        self.physical_resource_id = self.name = f"stand-in-{name}"
        self.tags: list[Any] = []

    def get_cfn_attribute(self, attribute: str) -> str:
        return f"stand-in-{self.logical_resource_id}-{attribute}"

    def has_cfn_attr(self, _: str) -> bool:
        return True

    def is_created(self) -> bool:
        return True

    def delete(self, *_: Any, **__: Any) -> None:
        """Do nothing: there is nothing to delete."""


def create_resource(name: str, told: Any, others: Any, account_id: str, region_name: str) -> Any:
    kind = told.get("Type", "")
    if not kind.startswith(STOOD_IN):
        try:
            made = make_resource(name, with_image(kind, told, others), others, account_id, region_name)
        except Exception as error:  # noqa: BLE001  any resource that moto cannot create
            print("stood in for", name, kind, error, file=sys.stderr)
            made = None
        if made is not None:
            return made
        if "Condition" in told and not others.lazy_condition_map.get(told["Condition"], True):
            return None
    others._parsed_resources[name] = made = StandIn(name, kind)
    return made


def with_image(kind: str, told: Any, others: Any) -> Any:
    """Copy the image from the head node's launch template to the instance, where moto looks for it."""
    properties = told.get("Properties", {})
    if kind != "AWS::EC2::Instance" or "ImageId" in properties:
        return told
    template = properties["LaunchTemplate"]["LaunchTemplateId"]["Ref"]
    data = parsing.clean_json(others._resource_json_map[template]["Properties"]["LaunchTemplateData"], others)
    interface = others._resource_json_map.get("HeadNodeENI", {}).get("Properties", {})
    tags = [
        tag
        for each in data.get("TagSpecifications", [])
        if each.get("ResourceType") == "instance"
        for tag in each["Tags"]
    ]
    own = {tag["Key"] for tag in properties.get("Tags", [])}
    return {
        "Type": kind,
        "Properties": {
            "ImageId": data["ImageId"],
            "InstanceType": data["InstanceType"],
            "KeyName": data.get("KeyName"),
            "SubnetId": interface.get("SubnetId"),
            "SecurityGroupIds": [],
            "Tags": properties.get("Tags", []) + [tag for tag in tags if tag["Key"] not in own],
        },
    }


def create_stack(self: Any, name: str, template: str, *args: Any, **kwargs: Any) -> Any:
    stack = make_stack(self, name, template, *args, **kwargs)
    if any(tag in (stack.tags or {}) for tag in CLUSTER_TAGS):
        stack.status = "CREATE_IN_PROGRESS"
        later(stack.name, lambda: created(self, stack, orders().get("fails", {}).get(name)))
    return stack


def created(self: Any, stack: Any, reason: str | None) -> None:
    if stack.status != "CREATE_IN_PROGRESS":
        return
    if reason:
        stack.status = "ROLLBACK_COMPLETE"
        stack.status_reason = "The following resource(s) failed to create: [HeadNode]."
        tell(stack, "HeadNode", "AWS::EC2::Instance", "CREATE_FAILED", reason)
        tell(stack, "Alarm", "AWS::CloudWatch::Alarm", "CREATE_FAILED", "Resource creation cancelled")
        return
    stack.status = "CREATE_COMPLETE"
    if "parallelcluster:version" in stack.tags:
        fleet_is_up(self, stack.name)


def tell(stack: Any, name: str, kind: str, status: str, reason: str) -> None:
    """Add an event of a resource."""
    stack._add_stack_event(status, reason, "{}")
    event = stack.events[-1]
    event.logical_resource_id, event.resource_type, event.physical_resource_id = name, kind, "stand-in"


def fleet_is_up(self: Any, cluster: str) -> None:
    """Write the report of a head node that has started."""
    from moto.dynamodb.models import dynamodb_backends

    now = datetime.now(UTC).isoformat()
    data = {"status": {"S": "RUNNING"}, "lastStatusUpdatedTime": {"S": now}}
    item = {"Id": {"S": "COMPUTE_FLEET"}, "Data": {"M": data}}
    dynamodb_backends[self.account_id][self.region_name].put_item(f"parallelcluster-{cluster}", item)


def delete_stack(self: Any, key: str) -> None:
    stack = next((each for each in self.stacks.values() if key in {each.name, each.stack_id}), None)
    if stack is None or not any(tag in (stack.tags or {}) for tag in CLUSTER_TAGS):
        remove_stack(self, key)
        return
    if stack.status != "DELETE_IN_PROGRESS":
        stack.status = "DELETE_IN_PROGRESS"
        later(stack.name, lambda: removed(self, stack))


def removed(self: Any, stack: Any) -> None:
    try:
        remove_stack(self, stack.stack_id)
    except Exception as error:  # noqa: BLE001  stand-ins cannot be taken apart
        print("removed without its resources:", stack.name, error, file=sys.stderr)
        self.stacks.pop(stack.stack_id, None)


def later(stack: str, do: Any) -> None:
    """Call *do* once the stack's time has passed and it is not held."""

    def wait_and_do() -> None:
        time.sleep(float(orders().get("seconds", 2)))
        while stack in orders().get("held", ()):
            time.sleep(0.1)
        do()

    threading.Thread(target=wait_and_do, daemon=True).start()


class QuietHandler(WSGIRequestHandler):
    """A handler that does not log requests."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (werkzeug's name)
        """Log nothing."""


def end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    parsing.parse_and_create_resource = create_resource
    CloudFormationBackend.create_stack = create_stack  # type: ignore[method-assign]
    CloudFormationBackend.delete_stack = delete_stack  # type: ignore[method-assign]
    server = make_server(
        "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), True, request_handler=QuietHandler
    )
    print(server.server_port, flush=True)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
