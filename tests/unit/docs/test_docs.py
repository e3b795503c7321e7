"""The pages that must match the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from cloudq.adapters.systems import shipped_profiles
from cloudq.config import KEYS, TABLES, ConfigKey, load_config, variable_of
from cloudq.domain import errors
from cloudq.domain.errors import CloudqError

DOCS = Path(__file__).parents[3] / "docs"
ERRORS = [
    thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, CloudqError)
]


def rows(page: str) -> list[list[str]]:
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def shown_default(key: ConfigKey) -> str:
    return "none" if key.default == "" else f"`{json.dumps(key.default).removesuffix('.0')}`"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.dotted)
def test_every_key_is_documented_with_its_variable_and_default(key: ConfigKey) -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    [section] = re.findall(rf"^## \[{key.section}\]\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    [row] = [line for line in section.splitlines() if line.startswith(f"| `{key.name}` | `CLOUDQ_")]
    default = "see below" if key.name == "endpoint_url" else shown_default(key)

    assert row.startswith(f"| `{key.name}` | `{variable_of(key)}` | {default} |")


def test_no_key_or_variable_is_documented_that_is_not_there() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    variables = {variable_of(key) for key in KEYS} | {"CLOUDQ_HOME"}

    assert set(re.findall(r"CLOUDQ_[A-Z_]+", page)) == variables


def test_every_table_and_profile_is_documented() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")

    assert all(f"[{table}.NAME]" in page for table in TABLES)
    assert all(f"`{profile}`" in page for profile in shipped_profiles())


def test_every_error_is_documented_with_its_exit_status() -> None:
    documented = [row for row in rows("exit-statuses.md") if row[0].isdigit()]
    expected = {(str(error.exit_code), f"`{error.__name__}`") for error in ERRORS}

    assert {tuple(row[:2]) for row in documented} == expected
    assert len(documented) == len(expected)
    assert all(row[2] for row in documented)


def test_every_decision_has_a_number_of_its_own() -> None:
    numbers = [file.name[:5] for file in (DOCS / "decisions").glob("*.md")]

    assert len(numbers) == len(set(numbers))
    assert all(re.fullmatch(r"[0-9]{4}-", number) for number in numbers)


def anchors(page: Path) -> set[str]:
    """Return the possible link targets of a page: its headings, as Git hosts write them, and its anchors."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    named = set(re.findall(r'<a id="([^"]+)"></a>', text))
    return named | {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")], ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        goal = page.parent / target if target else page

        assert goal.exists(), target
        assert not anchor or anchor in anchors(goal), f"{target}#{anchor}"


def pages_in(nav: str | list[object] | dict[str, object]) -> list[str]:
    """Return the pages that a part of the site's navigation lists."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in pages_in(part)]


def test_every_page_is_in_the_navigation_of_the_site_once() -> None:
    site = yaml.safe_load((DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = [page for page in pages_in(site["nav"]) if not page.startswith("repository/")]
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]

    assert sorted(listed) == sorted(["index.md", *pages])


CITATION = re.compile(
    r"protocol(?: sections?)? (I?[0-9]+(?:\.[0-9]+)?)(?:(?:, |-| and | to )(I?[0-9]+(?:\.[0-9]+)?))?"
)
CITING = [
    *DOCS.parent.glob("cloudq/**/*.py"),
    *DOCS.parent.glob("tests/**/*.py"),
    *DOCS.rglob("*.md"),
    *DOCS.parent.glob("*.md"),
]


def test_every_citation_of_the_protocol_resolves() -> None:
    page = DOCS / "protocol.md"
    sections = {anchor.partition("-")[0] for anchor in anchors(page) if anchor[0].isdigit()}
    known = anchors(page) | sections
    cited = {
        (number, file.name)
        for file in CITING
        for match in CITATION.findall(file.read_text(encoding="utf-8"))
        for number in match
        if number
    }

    assert len(cited) > 30
    assert {(number, file) for number, file in cited if number not in known} == set()


def configurations() -> list[tuple[str, str]]:
    """Return every part of a configuration that a page shows."""
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    return [
        (page.name, block)
        for page in pages
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        if re.match(r"\[(store|agent|client|log|projects\.|resources\.)", block)
    ]


@pytest.mark.parametrize(("page", "block"), configurations())
def test_every_configuration_that_a_page_shows_can_be_read(page: str, block: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(block)

    assert load_config({}, home=tmp_path).home == tmp_path, page
