"""botocore's descriptions of services, loaded once a process and without their manuals.

They are most of what an agent with an S3 store has in memory, and half of that is prose.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.loaders import create_loader
from botocore.session import Session

_PROSE = "documentation"


def new_session(profile: str) -> boto3.Session:
    """A session with credentials of its own; the descriptions are everybody's."""
    core = Session(profile=profile or None)
    core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
    return boto3.Session(botocore_session=core)


@cache
def _loader(data_path: str | None) -> Any:
    loader: Any = create_loader(data_path)
    loader.file_loader = _WithoutProse()
    return loader


class _WithoutProse:
    """What botocore calls a file loader: names come without their suffix."""

    def exists(self, file_path: str) -> bool:
        return self._file(file_path) is not None

    def load_file(self, file_path: str) -> Any:
        file = self._file(file_path)
        if file is None:
            return None  # botocore looks elsewhere
        content = file.read_bytes()
        text = gzip.decompress(content) if file.suffix == ".gz" else content
        return json.loads(text, object_pairs_hook=_without_prose)

    @staticmethod
    def _file(file_path: str) -> Path | None:
        candidates = (Path(file_path + suffix) for suffix in (".json", ".json.gz"))
        return next((file for file in candidates if file.is_file()), None)


def _without_prose(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # botocore wants the name to be there.
    return {name: "" if name == _PROSE and isinstance(value, str) else value for name, value in pairs}
