"""Presets as directories: the user's below ``~/.cloudq/presets``, the shipped ones in the package."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from attrs import frozen

from cloudq.adapters.presets import PRESETS, iam_boundary, iam_policy, shipped_preset
from cloudq.domain.clusters.preset import (
    CONFIGURATION_FILE,
    FILES,
    NETWORK_FILE,
    NETWORK_OUTPUTS,
    NETWORK_PARAMETERS,
    PLACEHOLDERS,
    Preset,
    unknown_placeholders,
)
from cloudq.domain.errors import ConfigProblem, InvalidInput, TargetExists
from cloudq.domain.problems import Problems

MAX_FILE_BYTES = 1 << 20
MAX_TEMPLATE_BYTES = 51_200
"""The largest template that CloudFormation accepts in a request."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@frozen
class PresetFiles:
    """The real `Presets`; *own* is the directory of the user's presets."""

    own: Path

    def load(self, name: str) -> Preset:
        problems = Problems()
        place, content = self._content(name, problems)
        problems.raise_if_any(ConfigProblem)
        configuration = _parsed(content[CONFIGURATION_FILE], f"{place}/{CONFIGURATION_FILE}", problems)
        network = _parsed(content[NETWORK_FILE], f"{place}/{NETWORK_FILE}", problems)
        problems.extend(_wrong_placeholders(configuration, place))
        problems.extend(_wrong_network(network, content[NETWORK_FILE], place))
        problems.raise_if_any(ConfigProblem)
        scripts = {file: text for file, text in content.items() if file.endswith(".sh")}
        parameters = frozenset(network.get("Parameters") or {})
        return Preset(name, place, content[NETWORK_FILE].decode(), parameters, configuration, scripts)

    def copy(self, name: str) -> Path:
        target = self.own / _checked(name)
        if target.exists():
            raise TargetExists(f"{target} already exists and is never overwritten: edit it, or move it away")
        if name not in PRESETS:
            raise InvalidInput(f"unknown preset {name!r} (shipped with cloudq: {', '.join(PRESETS)})")
        new = self.own / f".{name}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for file, content in shipped_preset(name).items():
            (new / file).write_bytes(content)
        new.rename(target)  # all of it, or nothing
        return target

    def person_policies(self, boundary: str) -> Mapping[str, str]:
        return {
            "iam-policy.json": iam_policy(boundary).decode(),
            "iam-boundary.json": iam_boundary().decode(),
        }

    def text_of(self, configuration: Mapping[str, Any]) -> str:
        text: str = yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True, width=1_000)
        return text

    def _content(self, name: str, problems: Problems) -> tuple[str, dict[str, bytes]]:
        """Return the place of a preset and the contents of its files; the user's presets take precedence."""
        own = self.own / _checked(name)
        if own.is_dir():
            return str(own), {file: _read(own / file, problems) for file in FILES}
        if name in PRESETS:
            return f"preset {name}", shipped_preset(name)
        raise ConfigProblem(
            f"unknown preset {name!r}: {own} does not exist, and cloudq ships only {', '.join(PRESETS)}"
        )


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(f"{name!r} is not a valid preset name: use letters, digits, '-' and '_'")
    return name


def _read(path: Path, problems: Problems) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        problems.add(f"{path}: is missing; a preset has {', '.join(FILES)}")
        return b""
    except OSError as error:
        problems.add(f"{path}: cannot be read: {error.strerror or error}")
        return b""
    if len(content) > MAX_FILE_BYTES:
        problems.add(f"{path}: larger than any file of a preset")
    if path.suffix == ".sh" and b"\r\n" in content:
        problems.add(f"{path}: has Windows line ends; save it with Unix line ends")
    return content


class _Loader(yaml.SafeLoader):
    """A loader that refuses duplicate keys and keeps CloudFormation's short forms (``!Ref``) as values."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        if len(mapping) != len(node.value):
            seen = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = next((key for key in seen if seen.count(key) > 1), "")
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice!r} appears twice in a section", node.start_mark
            )
        return mapping


def _short_form(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return str(node.value)


_Loader.add_multi_constructor("!", _short_form)


def _parsed(content: bytes, place: str, problems: Problems) -> dict[str, Any]:
    try:
        data = yaml.load(content.decode("utf-8-sig"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except UnicodeDecodeError:
        problems.add(f"{place}: not UTF-8 text")
        return {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problems.add(f"{place}{line}: not YAML: {error.problem or error.context}")
        return {}
    except (yaml.YAMLError, RecursionError) as error:
        problems.add(f"{place}: not YAML: {' '.join(str(error).split())}")
        return {}
    if not isinstance(data, dict):
        problems.add(f"{place}: has no sections")
        return {}
    if _refers_to_itself(data):
        problems.add(f"{place}: unusable YAML: a part of it refers to itself")
        return {}
    return data


def _refers_to_itself(data: object) -> bool:
    try:
        json.dumps(data, default=str, skipkeys=True)
    except (ValueError, RecursionError):
        return True
    return False


def _wrong_placeholders(configuration: Mapping[str, Any], place: str) -> Iterator[str]:
    for name in unknown_placeholders(configuration):
        yield (
            f"{place}/{CONFIGURATION_FILE}: unknown placeholder ${{{name}}} "
            f"(known: {', '.join(PLACEHOLDERS)})"
        )


def _wrong_network(network: Mapping[str, Any], text: bytes, place: str) -> Iterator[str]:
    if not network:
        return  # already reported
    for section, names in (("Parameters", NETWORK_PARAMETERS), ("Outputs", NETWORK_OUTPUTS)):
        there = network.get(section) or {}
        for name in names:
            if not isinstance(there, dict) or name not in there:
                yield f"{place}/{NETWORK_FILE}: {section}: {name} is missing"
    if len(text) > MAX_TEMPLATE_BYTES:
        yield f"{place}/{NETWORK_FILE}: larger than the {MAX_TEMPLATE_BYTES} bytes that CloudFormation takes"
