"""Every example of the documentation prints what the page says; every page is reachable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import docs

PAGES = docs.pages()
NAMES = [page.relative_to(docs.ROOT).as_posix() for page in PAGES]
_LINK = re.compile(r"\]\((?!https?:|#)(?P<target>[^)#\s]+)")


# Every command runs for the first; the others show searches and sweeps.
SLOW = {
    "docs/reference/json.md",
    "docs/explanation/flexibility.md",
    "docs/explanation/serving.md",
    "docs/howto/simulate.md",
    "docs/howto/sizing.md",
    "docs/howto/sweeps.md",
}
MARKED = [
    pytest.param(page, id=name, marks=pytest.mark.slow if name in SLOW else ())
    for page, name in zip(PAGES, NAMES, strict=True)
]


@pytest.mark.parametrize("page", MARKED)
def test_a_page_says_what_is_printed_now(page):
    assert page.read_text() == docs.current(page), "stale: run python tools/docs.py --write"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    targets = [found["target"] for found in _LINK.finditer(page.read_text())]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def anchors(page):
    """The anchors that a reader can link to: headings, as GitHub and Sphinx write them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_anchors_lead_to_a_heading(page):
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", page.read_text())
    assert [
        (name, anchor)
        for name, anchor in links
        if anchor not in anchors(page.parent / name if name else page)
    ] == []


def test_the_readme_shows_real_output():
    assert any(block.runs for block in docs.blocks((docs.ROOT / "README.md").read_text()))


STALE = """# A page

```console
$ inferbench --version
inferbench 0.0.0
```

<!-- illustration -->
```console
$ inferbench compare moon-chip
as printed on the moon
```
"""


def test_a_stale_example_is_found_and_an_illustration_is_left_alone():
    now = docs.rerun(STALE)
    assert now != STALE
    assert "inferbench 0.0.0" not in now
    assert "as printed on the moon" in now
    assert docs.rerun(now) == now


def test_a_page_may_bring_its_own_files():
    page = (
        "<!-- file: empty.py -->\n```python\n```\n\n"
        "```console\n$ inferbench -p empty.py list plugins --format csv\n```\n"
    )
    assert "plugins,file:empty.py,empty.py,file" in docs.rerun(page)
    assert not Path("empty.py").exists()


def test_output_can_be_cut_before_a_line():
    page = "<!-- until: plugins -->\n```console\n$ inferbench list plugins --format csv\n```\n"
    assert docs.rerun(page).endswith(
        "$ inferbench list plugins --format csv\nkind,name,package,version\n…\n```\n"
    )
