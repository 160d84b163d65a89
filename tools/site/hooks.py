"""What MkDocs is told about this project: pages made from sources, and links that leave docs/.

Documents link to sources, examples and the files at the top of the repository. The site has a
page for each of them, so that it is whole without any other site.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tools.site import commands, header, notebook
from tools.sources import ROOT, tracked

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
LANGUAGES = {
    ".py": "python",
    ".c": "c",
    ".h": "c",
    ".inc": "c",
    ".toml": "toml",
    ".json": "json",
    ".cff": "yaml",
}
# The parts of reference pages that are made of sources; each stands in a page as an HTML comment.
MADE = {
    "<!-- made of csrc/nbt.h -->": lambda: header.page((ROOT / "csrc/nbt.h").read_text("utf-8")),
    "<!-- made of nbt-embed --help -->": commands.page,
}


def outside(text: str, source: str) -> set[str]:
    """Files of the repository outside of docs/ that a document at ``source`` links to."""
    found = set()
    for _, link, _, _ in LINK.findall(FENCE.sub("", text)):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if not path.startswith(("docs/", "..")) and (ROOT / path).exists():
            found.add(path)
    return found


def inside(folder: str) -> list[str]:
    """The files of a folder that the repository keeps, with those of its folders."""
    return [one for one in tracked(folder) if Path(one).suffix in (*LANGUAGES, ".md", ".ino")]


def source_page(path: str) -> str:
    """A file or folder of the repository as a page; a folder's names its files from the top on."""
    target = ROOT / path
    if target.is_dir():
        return f"# {path}\n\n" + "".join(f"* [{one}]({one})\n" for one in inside(path))
    text = target.read_text(encoding="utf-8")
    if target.suffix == ".md":
        return text
    return f"# {path}\n\n````{LANGUAGES.get(target.suffix, 'text')}\n{text.rstrip()}\n````\n"


def address(path: str) -> str:
    """Where the page of a file outside of docs/ stands in the site."""
    path = path.removesuffix(".md")
    return f"source/{path}.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages of the sources that documents link to, and of notebooks."""
    from mkdocs.structure.files import File

    todo, done = set(), set()
    for file in files.documentation_pages():
        todo |= outside(file.content_string, f"docs/{file.src_uri}")
    while todo:
        path = todo.pop()
        if path in done:
            continue
        done.add(path)
        if (ROOT / path).is_dir():
            todo |= set(inside(path))
        elif path.endswith(".md"):
            todo |= outside((ROOT / path).read_text(encoding="utf-8"), path)
        files.append(File.generated(config, address(path), content=source_page(path)))
    for file in [one for one in files if one.src_uri.endswith(".ipynb")]:
        files.remove(file)
        made = notebook.page(Path(str(file.abs_src_path)).read_text(encoding="utf-8"))
        files.append(File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=made))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Put in what is made of sources, and lead links that leave docs/ to the pages of sources."""
    for mark, make in MADE.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    here = page.file.src_uri
    origin = original(here)

    base = "" if (ROOT / origin).is_dir() else posixpath.dirname(origin)

    def led(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(base, match[2]))
        document = path.removeprefix("docs/").replace(".ipynb", ".md")
        target = document if path.startswith("docs/") else address(path)
        if files.get_file_from_path(target) is None:
            return match[0]
        link = os.path.relpath(target, posixpath.dirname(here) or ".")
        return f"{match[1]}{link}{match[3] or ''}{match[4]}"

    return "".join(
        part if part.startswith("```") else LINK.sub(led, part) for part in FENCE.split(markdown)
    )


def original(uri: str) -> str:
    """Path in the repository of the document behind a page."""
    if not uri.startswith("source/"):
        return f"docs/{uri}"
    path = uri.removeprefix("source/")
    return path if (ROOT / path).exists() else path.removesuffix(".md")


EXTERNAL = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"(?:https?:)?//", re.IGNORECASE
)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse pages that load something from another site."""
    for path in Path(config.site_dir).rglob("*.html"):
        found = EXTERNAL.search(path.read_text(encoding="utf-8"))
        if found:
            raise SystemExit(f"{path}: loads from another site: {found[0]}")
