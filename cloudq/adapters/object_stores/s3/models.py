"""botocore's descriptions of services, loaded once per process and without their documentation.

They take most of the memory of an agent with an S3 store, and half of that is documentation.
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
    """Return a session with its own credentials; all sessions share the descriptions."""
    core = Session(profile=profile or None)
    core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
    return boto3.Session(botocore_session=core)


@cache
def _loader(data_path: str | None) -> Any:
    loader: Any = create_loader(data_path)
    loader.file_loader = _WithoutProse()
    return loader


class _WithoutProse:
    """A file loader for botocore, which passes names without their suffix."""

    def exists(self, file_path: str) -> bool:
        return self._file(file_path) is not None

    def load_file(self, file_path: str) -> Any:
        file = self._file(file_path)
        if file is None:
            return None  # botocore then searches elsewhere
        content = file.read_bytes()
        text = gzip.decompress(content) if file.suffix == ".gz" else content
        return json.loads(text, object_pairs_hook=_without_prose)

    @staticmethod
    def _file(file_path: str) -> Path | None:
        candidates = (Path(file_path + suffix) for suffix in (".json", ".json.gz"))
        return next((file for file in candidates if file.is_file()), None)


def _without_prose(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # botocore requires the name to exist.
    return {name: "" if name == _PROSE and isinstance(value, str) else value for name, value in pairs}
