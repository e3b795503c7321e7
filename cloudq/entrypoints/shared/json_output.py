"""JSON on stdout: one document a command."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    click.echo(json_text(document, indent=2))


def json_text(document: object, indent: int | None = None) -> str:
    """*document* as JSON that shows no control character as itself, in whatever alphabet it is."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1]


def print_json_list(items: Iterable[dict[str, Any]]) -> None:
    """A JSON list on stdout, item by item as they come."""
    click.echo("[", nl=False)
    separator = "\n"
    for item in items:
        click.echo(f"{separator}  {json_text(item)}", nl=False)
        separator = ",\n"
    click.echo("\n]")
