"""The commented file that ``cloudqcli init`` writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from cloudq.config.schema import KEYS, SECTIONS, ConfigKey, Value
from cloudq.domain.errors import ConfigProblem

_HEAD = """\
# Configuration of cloudq. Lines that begin with "#" show the default, or an example.
# docs/configuration.md describes every key. No password or key belongs in this file.
"""

_SECTION_COMMENTS = {
    "store": "Where jobs, outputs and logs are kept; the same for clients and agents.",
    "agent": "Only read by cloudqd, on the machine that runs the jobs.",
    "client": "Only read by cloudqcli and by programs that import cloudq.",
    "log": "Log messages of clients and agents.",
}

_TAIL = """\
# Names of projects and resources on each system (read by the client):
#
# [projects.NAME]
# SYSTEM = "value"
#
# [resources.NAME]
# SYSTEM = "value"
"""


def render_config(values: Mapping[str, Value] = MappingProxyType({})) -> str:
    """Return a configuration file with *values* set (by ``section.key``) and all other keys commented out."""
    sections = [_render_section(section, values) for section in SECTIONS]
    return "\n".join([_HEAD, *sections, _TAIL])


def write_new_config(path: Path, text: str) -> None:
    """Write a file, and its directory if needed, to which only this user has access.

    Raises `ConfigProblem` if the file exists already, or cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, text)
    except OSError as error:
        exists = isinstance(error, FileExistsError) and os.path.lexists(path)
        why = "exists already and is never overwritten" if exists else f"cannot be written: {error.strerror}"
        raise ConfigProblem(f"{path}: {why}") from error


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except BaseException:
        path.unlink(missing_ok=True)  # a partial configuration is worse than none
        raise


def _render_section(section: str, values: Mapping[str, Value]) -> str:
    keys = [key for key in KEYS if key.section == section]
    entries = [_render_key(key, values) for key in keys]
    return f"# {_SECTION_COMMENTS[section]}\n[{section}]\n" + "".join(entries)


def _render_key(key: ConfigKey, values: Mapping[str, Value]) -> str:
    import textwrap  # noqa: PLC0415  only `cloudqcli init` renders

    words = textwrap.fill(key.help, 96, initial_indent="# ", subsequent_indent="# ")
    is_set = key.dotted in values
    value = values[key.dotted] if is_set else (key.default or key.example or key.default)
    return f"{words}\n{'' if is_set else '# '}{key.name} = {_toml(value)}\n"


def _toml(value: Value) -> str:
    """Return the value in TOML, which is written like JSON except for DEL, which JSON does not escape."""
    import json  # noqa: PLC0415  only `cloudqcli init` renders

    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f").removesuffix(".0")
