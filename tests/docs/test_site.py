"""The site: every page stands in its navigation, and building it gives no warning."""

from __future__ import annotations

import subprocess
import sys

import pytest

import docs

pytest.importorskip("sphinx", reason="the site needs the development tools")
import docs_site


def test_every_page_stands_once_in_the_navigation():
    listed = docs_site.navigation().splitlines()
    for page in docs.pages()[1:]:
        if page != docs.ROOT / "docs/index.md":
            assert listed.count(docs_site.address(page)) == 1


def test_links_that_leave_the_folder_lead_to_a_copy(tmp_path):
    page = docs.ROOT / "docs/howto/write-a-chip-package.md"
    assert "../../contrib/inferbench-groq/README.md" in page.read_text()
    assert "(../repository/contrib/inferbench-groq/README.md)" in docs_site.moved(page)
    assert docs.ROOT / "contrib/inferbench-groq/README.md" in docs_site.outside()


@pytest.mark.slow
def test_the_pages_build_without_a_warning():
    # `.ci/run` builds the whole site, with pictures and the results of the catalogue.
    command = [sys.executable, str(docs.ROOT / "tools/docs_site.py"), "--pages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
