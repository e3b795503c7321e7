"""`docs/architecture.md` names what the code has; `test_architecture_walks` compares its lists with a run."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import click
import pytest

import cloudq
from tests.parts.architecture_page import WALKS, names_in, page, steps_of


def found(name: str) -> Any:
    """Return the module, class or function with this dotted name, or None if there is none."""
    thing: Any = cloudq
    path = "cloudq"
    for part in name.split(".")[1:]:
        path = f"{path}.{part}"
        if isinstance(thing, ModuleType) and not hasattr(thing, part) and find_spec(path) is not None:
            import_module(path)
        thing = getattr(thing, part, None)
    return thing


def test_every_name_on_the_page_exists() -> None:
    assert [name for name in names_in(page()) if found(name) is None] == []


@pytest.mark.parametrize("name", ["cloudq.no_package.thing", "cloudq.client.Client.no_method"])
def test_name_that_does_not_exist_is_noticed(name: str) -> None:
    assert found(name) is None


@pytest.mark.parametrize("walk", WALKS)
def test_every_walk_names_functions(walk: str) -> None:
    things = [found(name) for name in steps_of(walk)]

    assert len(things) >= 15
    assert all(callable(thing) or isinstance(thing, click.Command) for thing in things)
    assert not any(isinstance(thing, type) for thing in things)


def test_page_names_every_package() -> None:
    packages = {
        module.name for module in pkgutil.walk_packages(cloudq.__path__, "cloudq.") if module.ispkg
    } | {"cloudq.client"}

    assert packages - set(names_in(page())) == set()
