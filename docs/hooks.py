"""For MkDocs: pages that are elsewhere in the checkout, and the reference of the schema."""

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

import schema_reference
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
# Where files of the checkout are in the site. Links to others become plain text.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/web/README.md": "page.md",
    "examples/python/README.md": "python.md",
    "examples/typescript/README.md": "typescript.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?![a-z]+:|#)([^)#]+)(#[^)]*)?\)")
IMAGE = re.compile(r"(!\[[^\]]*\])\((?![a-z]+:)([^)]+)\)")


def on_files(files: Files, *, config: Any) -> Files:
    for path, page in PAGES.items():
        files.append(File.generated(config, page, content=moved(path, (ROOT / path).read_text())))
    for name, text in schema_reference.pages((ROOT / "schema" / "schema.graphql").read_text()).items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    titles = (f"- [{path.read_text().splitlines()[0].lstrip('# ')}]({path.name})" for path in decisions)
    index = "\n".join(["# Decisions", "", "Why things are as they are, a page each.", "", *titles])
    files.append(File.generated(config, "decisions/index.md", content=index))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    path = page.file.src_uri
    return markdown if path in PAGES.values() or path.startswith("reference/") else moved(f"docs/{path}", markdown)


def moved(path: str, markdown: str) -> str:
    """A page of the checkout whose links are those of the site."""
    page = place(path)

    def target(link: str) -> str | None:
        there = place(normpath(join(dirname(path), link)))
        return None if there is None or page is None else relpath(there, dirname(page) or ".")

    def linked(match: re.Match[str]) -> str:
        text, link, anchor = match[1], match[2], match[3] or ""
        there = target(link)
        return text if there is None else f"[{text}]({there}{anchor})"

    return IMAGE.sub(lambda match: f"{match[1]}({target(match[2])})", LINK.sub(linked, markdown))


def place(path: str) -> str | None:
    """Where a file of the checkout is in the site; None where it is not in it."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else None
