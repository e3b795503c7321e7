"""JSON on stdout: one document per command."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click


def print_json(document: object) -> None:
    """Print one JSON document on stdout."""
    click.echo(json_text(document, indent=2))


def json_text(document: object, indent: int | None = None) -> str:
    """Return *document* as JSON, with text in any alphabet unescaped and all control characters escaped."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1]


def print_json_list(items: Iterable[dict[str, Any]]) -> None:
    """Print a JSON list on stdout, each item as it arrives."""
    click.echo("[", nl=False)
    separator = "\n"
    for item in items:
        click.echo(f"{separator}  {json_text(item)}", nl=False)
        separator = ",\n"
    click.echo("\n]")
