"""Build the documentation as a site, in build/site; any warning is an error.

    uv run python tools/docs_site.py             # results of the catalogue in front, pages in build/site/docs
    uv run python tools/docs_site.py --pages     # the pages alone, with the pictures as they are

The pages stay plain Markdown that reads the same in the repository. They are copied to build/pages,
together with the
pages outside docs/ that they link to; the navigation follows the folders; Sphinx does the rest.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parent))
import gallery

import docs

ROOT = docs.ROOT
DOCS = ROOT / "docs"
PAGES = ROOT / "build/pages"
SITE = ROOT / "build/site"
# Where files outside docs/ stand in the site.
OUTSIDE = "repository"
# What the front page of results compares: one system of each maker and architecture that holds 70B.
CATALOGUE = (
    *("b200", "h200", "h100-sxm", "mi355x", "8xtpu-v5p", "8xtpu-v6e"),
    *("576xgroq-lpu", "gaudi-3", "16xsn40l", "2xwse-3"),
)
# A relative target of a Markdown link or image, without its anchor.
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)(?P<target>[^)#\s]+)")
SETTINGS: dict[str, Any] = {
    "project": "InferBench",
    "extensions": ["myst_parser"],
    "root_doc": "index",
    "html_theme": "furo",
    "html_title": "InferBench",
    "html_copy_source": False,
    "html_static_path": [],
    "myst_heading_anchors": 4,
    "myst_enable_extensions": [],
    "nitpicky": True,
    # A console block with `…` in it is no lexer's language.
    "suppress_warnings": ["misc.highlighting_failure"],
}
# With the results in front, the side bar leads back to them.
SIDE = ("brand", "search", "scroll-start", "navigation", "scroll-end")
FRONT: dict[str, Any] = {
    "templates_path": [str(ROOT / "tools/site_templates")],
    "html_sidebars": {"**": ["results.html", *(f"sidebar/{name}.html" for name in SIDE)]},
}


def leaving(page: Path) -> Iterator[Path]:
    """Files of the repository outside docs/ that a page links to."""
    for found in LINK.finditer(page.read_text("utf-8")):
        target = (page.parent / found["target"]).resolve()
        if target.is_file() and target.is_relative_to(ROOT) and not target.is_relative_to(DOCS):
            yield target


def outside() -> list[Path]:
    """Every file outside docs/ that a page links to, directly or by another such page."""
    waiting = [target for page in sorted(DOCS.rglob("*.md")) for target in leaving(page)]
    found: list[Path] = []
    while waiting:
        target = waiting.pop()
        if target not in found:
            found.append(target)
            waiting += leaving(target) if target.suffix == ".md" else []
    return sorted(found)


def address(target: Path) -> str:
    """Where a file of the repository stands among the pages.

    Example:
        >>> address(ROOT / "docs/index.md"), address(ROOT / "CONTRIBUTING.md")
        ('index.md', 'repository/CONTRIBUTING.md')
    """
    if target.is_relative_to(DOCS):
        return target.relative_to(DOCS).as_posix()
    return f"{OUTSIDE}/{target.relative_to(ROOT).as_posix()}"


def moved(page: Path) -> str:
    """A page with its links as they are among the copied pages."""
    here = Path(address(page)).parent

    def link(found: re.Match[str]) -> str:
        target = (page.parent / found["target"]).resolve()
        return os.path.relpath(address(target), here) if target.exists() else found["target"]

    return LINK.sub(link, page.read_text("utf-8"))


def navigation() -> str:
    """The table of contents for the side bar: a section a folder, in the order of `docs.FOLDERS`."""
    listed = {
        heading: [address(page) for page in docs.ordered(DOCS / folder)]
        for folder, heading in docs.FOLDERS.items()
    }
    listed["Repository"] = [address(target) for target in outside() if target.suffix == ".md"]
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n" + "\n".join(pages) + "\n```\n"
        for heading, pages in listed.items()
        if pages
    )


def stage() -> None:
    """Copy the pages, and what they link to, into build/pages."""
    shutil.rmtree(PAGES, ignore_errors=True)
    for path in [*(file for file in DOCS.rglob("*") if file.is_file()), *outside()]:
        target = PAGES / address(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            target.write_text(moved(path) + (navigation() if path == DOCS / "index.md" else ""), "utf-8")
        else:
            shutil.copyfile(path, target)


def catalogue(folder: Path) -> int:
    """Write the site of the shipped catalogue: one chip of each kind at the reference suite."""
    from inferbench_site.build import site

    import inferbench as ib

    return site(ib.installed(), CATALOGUE, folder, links=[("Documentation", "docs/index.html")])


def build(whole: bool = True) -> int:
    """Write the site; 0 if nothing was wrong.

    Args:
        whole: Whether pictures are drawn anew and the results of the catalogue are written, too.
    """
    stage()
    if whole:
        gallery.draw(PAGES / "images/gallery")
    shutil.rmtree(SITE, ignore_errors=True)
    if whole:
        pages = catalogue(SITE)
        print(f"{SITE.relative_to(ROOT)}/index.html: {pages} pages of results")
    target = SITE / "docs" if whole else SITE
    application = Sphinx(
        srcdir=PAGES,
        confdir=None,
        outdir=target,
        doctreedir=ROOT / "build/doctrees",
        buildername="html",
        confoverrides=SETTINGS | (FRONT if whole else {}),
        status=None,
        warning=sys.stderr,
        freshenv=True,
        warningiserror=True,
        parallel=2,
    )
    application.build()
    print(f"{target.relative_to(ROOT)}/index.html: {len(application.env.all_docs)} pages")
    return application.statuscode


if __name__ == "__main__":
    sys.exit(build(whole="--pages" not in sys.argv[1:]))
