"""This installation of cloudq as a wheel, built without a source tree.

The same files give the same bytes, so that a version is the same object wherever it is built.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from cloudq.domain.errors import ConfigProblem
from cloudq.domain.version import VERSION
from cloudq.ports.presets import Wheel

_TIME = (2020, 1, 1, 0, 0, 0)
_COMPILED = "__pycache__"
_WHEEL = "Wheel-Version: 1.0\nGenerator: cloudq\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def own_wheel() -> Wheel:
    """Return the wheel. Raises `ConfigProblem` if cloudq is not installed but run from its files."""
    try:
        installed = distribution("cloudq")
    except PackageNotFoundError as error:
        raise ConfigProblem(
            "cloudq is not installed here: install it with 'python -m pip install'"
        ) from error
    info = f"cloudq-{VERSION}.dist-info"
    members = [*_package(), *((f"{info}/{name}", content) for name, content in _metadata(installed))]
    members.append((f"{info}/RECORD", _record(members, info)))
    return Wheel(f"cloudq-{VERSION}-py3-none-any.whl", _zipped(members))


def _package() -> Iterator[tuple[str, bytes]]:
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and _COMPILED not in relative.parts:
            yield f"cloudq/{relative.as_posix()}", path.read_bytes()


def _metadata(installed: Distribution) -> Iterator[tuple[str, bytes]]:
    # A development installation has setuptools' PKG-INFO instead; the contents are the same.
    metadata = installed.read_text("METADATA") or installed.read_text("PKG-INFO") or ""
    yield "METADATA", _of_this_version(metadata)
    yield "WHEEL", _WHEEL.encode()
    yield "entry_points.txt", (installed.read_text("entry_points.txt") or "").encode()


def _of_this_version(metadata: str) -> bytes:
    """Set the version, which may be outdated in a development installation, and drop licence files."""
    head, blank, description = metadata.partition("\n\n")
    lines = [line for line in head.splitlines() if not line.startswith(("Version:", "License-File:"))]
    lines.insert(1, f"Version: {VERSION}")
    return ("\n".join(lines) + blank + description).encode()


def _record(members: list[tuple[str, bytes]], info: str) -> bytes:
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in members]
    return "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zipped(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()
