"""Hooks of mkdocs: the README is the start page, and links to files of the repository work.

Pages are written for reading in the repository: a link names a file relative to the page. Files outside
`docs/` that a page links to become pages under `repository/`. The site therefore works wherever the
repository is hosted, and the strict mode of mkdocs checks every link.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
START_PAGE = "README.md"
LINK = re.compile(r"(?<=\]\()[^)#:\s]+(?=[)#])")
REMOTE = re.compile(r"<(?!a\b|link rel=\"?canonical)[^>]*\s(?:src|href|srcset)=\"?(?:https?:)?//[^>]*>")


def on_config(config: Any) -> None:
    """Give headings the anchors that Git hosts give them: the links in the pages name those."""
    config.mdx_configs["toc"]["slugify"] = anchor_of


def anchor_of(heading: str, _separator: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def on_files(files: Any, *, config: Any) -> None:
    """Add the start page and, from page to page, the files outside `docs/` that they link to."""
    paths = [START_PAGE, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    for path in paths:  # grows
        text = (ROOT / path).read_text(encoding="utf-8")
        if not path.startswith("docs/"):
            files.append(File.generated(config, uri_of(path), content=page_of(path, text)))
        if path.endswith(".md"):
            goals = {goal_of(path, link) for link in LINK.findall(text)}
            paths += sorted(goal for goal in goals if is_outside(goal) and goal not in paths)


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    uri = page.file.src_uri
    return markdown if page.file.generated_by else with_links_of_site(f"docs/{uri}", markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Show "|" for the "\\|" that a table needs: the parser leaves it so inside code."""
    return re.sub(r"<td>.*?</td>", lambda cell: cell[0].replace(r"\|", "|"), content, flags=re.DOTALL)


def on_post_page(output: str, *, page: Any, **_: Any) -> None:
    """Refuse a page that makes the browser load something from another host."""
    if remote := REMOTE.search(output):
        raise PluginError(f'"{page.file.src_uri}" loads from another host: {remote[0]}')


def page_of(path: str, text: str) -> str:
    if path.endswith(".md"):
        return with_links_of_site(path, text)
    head = "---\nsearch: {exclude: true}\n---\n"
    return f"{head}# {posixpath.basename(path)}\n\n`````{posixpath.splitext(path)[1][1:]}\n{text}\n`````\n"


def with_links_of_site(path: str, text: str) -> str:
    """Rewrite the links of a file; one that names no file stays, and mkdocs reports it."""
    folder = posixpath.dirname(uri_of(path))

    def link_in_site(link: re.Match[str]) -> str:
        goal = goal_of(path, link[0])
        return posixpath.relpath(uri_of(goal), folder or ".") if (ROOT / goal).is_file() else link[0]

    return LINK.sub(link_in_site, text)


def goal_of(path: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def is_outside(path: str) -> bool:
    return not path.startswith("docs/") and (ROOT / path).is_file()


def uri_of(path: str) -> str:
    """Where the site has a file of the repository."""
    if path == START_PAGE:
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"repository/{path}" if path.endswith(".md") else f"repository/{path}.md"
