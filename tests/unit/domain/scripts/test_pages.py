"""The pages on meta jobscripts and profiles match the code."""

from __future__ import annotations

import re
from pathlib import Path

from cloudq.adapters.systems import load_profile, shipped_profiles
from cloudq.adapters.systems.reading import PROFILE
from cloudq.bootstrap.preview import conversion_preview
from cloudq.config import load_config
from cloudq.domain.scripts.directive import RULES
from cloudq.domain.scripts.system_profile import PROJECT_FIELDS, RESOURCE_FIELDS, WALLTIME_FIELDS
from cloudq.toml_tables import in_words, key_paths

DOCS = Path(__file__).parents[4] / "docs"
SCRIPT = b"#$ project: imaging\n#$ resource: gpu\n#$ n_resource: 2\n#$ walltime: 90m\necho\n"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def block(text: str, after: str) -> str:
    """Return the first block of code after a heading."""
    return re.findall(r"```\w+\n(.*?)```", text[text.index(after) :], re.DOTALL)[0]


def test_the_site_that_is_added_is_converted_as_shown(tmp_path: Path) -> None:
    guide = page("add-your-site.md")
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "kaede.toml").write_text(block(guide, "## 1."))
    (tmp_path / "mjob.sh").write_bytes(SCRIPT)
    preview = conversion_preview(load_config({}, home=tmp_path))(tmp_path / "mjob.sh", "kaede")
    [command, *shown, rest] = block(guide, "## 2.").splitlines()

    assert (command, rest) == ("$ cloudqcli convert --script mjob.sh --system kaede", "…")
    assert preview.text.splitlines()[: len(shown)] == shown


def test_every_key_of_a_profile_is_in_its_table() -> None:
    guide = page("add-your-site.md")
    keys = ["extends", *(in_words(path) for path in key_paths(PROFILE))]

    assert [key for key in keys if f"\n| `{key}` | " not in guide] == []
    fields = PROJECT_FIELDS | RESOURCE_FIELDS | WALLTIME_FIELDS
    assert [field for field in fields if f"`{{{field}}}`" not in guide] == []


def test_every_directive_and_profile_is_in_its_table() -> None:
    guide = page("meta-jobscripts.md")

    assert [name for name in (*RULES, *shipped_profiles()) if f"\n| `{name}` |" not in guide] == []


def test_the_options_in_the_table_are_those_of_the_profiles() -> None:
    guide = page("meta-jobscripts.md")
    for name in shipped_profiles():
        profile = load_profile(name, Path("nowhere"))
        [row] = [line for line in guide.splitlines() if line.startswith(f"| `{name}` |")]
        for template in (profile.project, profile.resource, profile.walltime):
            if template is not None:
                words = template.text.replace("{project}", "P").replace("{resource}", "R").replace("{n}", "N")
                assert f"`{words.replace('{walltime_hms}', 'H:MM:SS')}`" in row
