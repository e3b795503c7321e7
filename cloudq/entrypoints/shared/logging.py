"""The agent's logging: readable on the terminal, bounded in a file, without secrets in either.

structlog is imported when logging is configured, not before: a client that only submits a job must not wait
for it.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cloudq.domain.errors import WorkspaceProblem

if TYPE_CHECKING:
    from structlog.typing import Processor

LOG_FILE = "cloudqd.log"
MAX_FILE_BYTES = 5_000_000
OLD_FILES = 3

HIDDEN = "[hidden]"

_SECRET_KEY = re.compile(
    r"secret|token|passw|credential|authorization|signature|access_?key|api_?key", re.IGNORECASE
)
_SECRETS_IN_TEXT = (
    # Access key ids of Amazon, which always have this form.
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), HIDDEN),
    # name=value and "name": "value", as in variables, headers, URLs and JSON. A scheme such as
    # Bearer before the value is not the secret.
    (
        re.compile(
            r"(?i)([\w-]*(?:secret|token|passw|credential|authorization|signature|access_?key|api_?key)[\w-]*"
            r"[\"']?\s*[=:]\s*(?:[\"']|(?:bearer|basic)\s+)?)[^\s\"',;&]+"
        ),
        rf"\1{HIDDEN}",
    ),
    # The password of a URL.
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), rf"\1{HIDDEN}@"),
)
_CHATTERBOXES = ("boto3", "botocore", "s3transfer", "urllib3")
"""At DEBUG these log requests with their signatures, at INFO where they found credentials."""

MAX_DEPTH = 6
NO_PADDING = 0
"""Passed by position: the parameter has another name since structlog 25.5."""


def configure_logging(
    level: str,
    *,
    directory: Path | None = None,
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
    json_lines: bool = False,
) -> None:
    """Log from *level* on to *stream* (stderr) and, if given, to a file in *directory*.

    The file is readable by this user only and bounded; it contains readable lines, or JSON lines. Another
    call replaces the configuration. Raises `WorkspaceProblem` if the file cannot be written.
    """
    import structlog  # noqa: PLC0415  see above

    target = sys.stderr if stream is None else stream
    handlers: list[logging.Handler] = [logging.StreamHandler(target)]
    colors = _wants_colors(target, os.environ if environ is None else environ)
    handlers[0].setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)))
    if directory is not None:
        handlers.append(_file_handler(directory, json_lines=json_lines))
    _install(handlers, level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets, recognized by their name or their form, at any depth."""
    for key, value in event.items():
        if key not in {"_record", "_from_structlog"}:
            event[key] = _redacted(key, value)
    return event


def make_printable(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Escape control characters: foreign text must not forge lines or control a terminal."""
    for key, value in event.items():
        if isinstance(value, str):
            kept = "\n\t" if key in {"exception", "stack"} else ""
            event[key] = "".join(c if c.isprintable() or c in kept else _escaped(c) for c in value)
    return event


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _redacted(name: str, value: object, depth: int = 0) -> object:
    if _SECRET_KEY.search(name):
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", inner, depth + 1) for inner in value]
    return redacted_text(str(value))


def redacted_text(text: str) -> str:
    """Return *text* with everything hidden that looks like a secret."""
    for pattern, replacement in _SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _shared_processors() -> list[Processor]:
    """Return the processors of every event, other libraries' included, before it is rendered."""
    import structlog  # noqa: PLC0415

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
        make_printable,
    ]


def _formatter(renderer: Processor) -> logging.Formatter:
    import structlog  # noqa: PLC0415

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared_processors(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _install(handlers: list[logging.Handler], level: str) -> None:
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if getattr(handler, "is_cloudq", False)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.is_cloudq = True  # type: ignore[attr-defined]
        root.addHandler(handler)
    root.setLevel(level)
    for name in _CHATTERBOXES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _wants_colors(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether *stream* is a terminal whose user did not turn colors off (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


class _PrivateRotatingFile(RotatingFileHandler):
    """Log files that only this user may read, from their first byte on."""

    def _open(self) -> io.TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return io.TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="utf-8")


def _file_handler(directory: Path, *, json_lines: bool) -> logging.Handler:
    import structlog  # noqa: PLC0415

    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _PrivateRotatingFile(
            directory / LOG_FILE, maxBytes=MAX_FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8"
        )
    except OSError as error:
        raise WorkspaceProblem(f"{directory / LOG_FILE}: cannot be written: {error.strerror}") from error
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json_lines
        else structlog.dev.ConsoleRenderer(NO_PADDING, colors=False, sort_keys=False)
    )
    handler.setFormatter(_formatter(renderer))
    return handler
