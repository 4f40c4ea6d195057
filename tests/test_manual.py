"""The pages of `docs/`: their links, the menu, and the reference of the schema; snippets: `test_snippets.py`."""

import re
from pathlib import Path

import pytest
from graphql import build_schema, is_introspection_type, is_specified_scalar_type

from schema import sdl

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def anchors(markdown: str) -> set[str]:
    """As they are made of headings."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", markdown, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target, anchor in re.findall(r"\]\((?![a-z]+:)([^)#]*)(?:#([^)]*))?\)", text):
        there = (page.parent / target).resolve() if target else page
        assert there.is_file(), target
        assert not anchor or anchor in anchors(there.read_text()), f"{target}#{anchor}"


def test_the_menu_has_every_page() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in DOCS.glob("*.md") if f": {page.name}\n" not in menu] == []


def test_the_reference_has_every_type_and_its_links_lead_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import schema_reference  # type: ignore[import-not-found]

    pages: dict[str, str] = schema_reference.pages(sdl())
    menu = (ROOT / "mkdocs.yml").read_text()
    assert [name for name in pages if f"reference/{name}.md" not in menu] == []
    found = {(name, anchor) for name, text in pages.items() for anchor in re.findall(r"\{ #(\w+) \}", text)}
    types = build_schema(sdl()).type_map.values()
    ours = {each.name for each in types if not is_introspection_type(each) and not is_specified_scalar_type(each)}
    assert {anchor for _, anchor in found} >= ours - {"Query", "Mutation", "Subscription"}
    linked = {link for text in pages.values() for link in re.findall(r"\((\w+)\.md#(\w+)\)", text)}
    assert linked <= found
    assert ("objects", "Sample") in linked
