"""What the pages say is true of the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from server.settings import Settings

ROOT = Path(__file__).parents[2]
GENERATED = ("api.md", "errors.md", "load-options.md", "settings.md")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def code(page: Path) -> str:
    """Return all that is set as code."""
    return "\n".join(re.findall(r"```sh\n.*?```|`[^`\n]+`", page.read_text(), re.DOTALL))


def test_the_references_are_fresh(tmp_path: Path) -> None:
    """The generated pages are those of the contract and the settings as they are now."""
    subprocess.run([sys.executable, ROOT / "docs/generate.py", tmp_path], check=True)

    assert sorted(page.name for page in tmp_path.iterdir()) == sorted(GENERATED)
    for name in GENERATED:
        fresh = (tmp_path / name).read_text()
        assert (ROOT / "docs" / name).read_text() == fresh, f"{name} is stale: make generate"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link within the repository leads to a file, and to a heading where it names one."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_variables_exist(page: Path) -> None:
    """Every target of make and every variable of Patron that a page names is there."""
    text = code(page)
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    variables = {variable.name for variable in Settings.variables()}

    assert set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", text, re.MULTILINE)) <= set(targets)
    assert set(re.findall(r"\bPATRON_[A-Z_]+", text)) <= variables
