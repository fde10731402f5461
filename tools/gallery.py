"""Draw the gallery: run every command of docs/results/gallery.md, and keep its pictures and their words.

    python tools/gallery.py            draw into docs/images/gallery, and write their titles into the page
    python tools/gallery.py FOLDER     draw into another folder, and leave the page as it is

The site of the documentation is built with pictures drawn anew.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/results/gallery.md"
PICTURES = ROOT / "docs/images/gallery"
_ENTRY = re.compile(
    r"```text\n\$ (?P<command>inferbench plot [^\n]* -o (?P<file>[\w-]+\.svg))\n```\n\n"
    r"!\[(?P<alt>[^\n]*)\]\(\.\./images/gallery/[\w-]+\.svg\)"
)


def commands(text: str) -> dict[str, str]:
    """File to the command that draws it, in the order of the page.

    Example:
        >>> entry = "```text\\n$ inferbench plot cost b200 -o c.svg\\n```\\n\\n![](../images/gallery/c.svg)"
        >>> commands(entry)
        {'c.svg': 'inferbench plot cost b200 -o c.svg'}
    """
    return {found["file"]: found["command"] for found in _ENTRY.finditer(text)}


def draw(folder: Path) -> None:
    """Run every command; pictures go into the folder.

    Raises:
        RuntimeError: A command failed.
    """
    from inferbench.cli.app import run

    folder.mkdir(parents=True, exist_ok=True)
    for file, command in commands(PAGE.read_text("utf-8")).items():
        arguments = shlex.split(command)[1:]
        arguments[-1] = str(folder / file)
        if run([*arguments, "--force"]):
            raise RuntimeError(f"failed: {command}")


def words(folder: Path) -> str:
    """The page with the titles of the pictures in a folder; their words stand in the files."""

    def alt(found: re.Match[str]) -> str:
        drawn = (folder / found["file"]).read_text("utf-8")
        said = re.search(r"<title>(.*?)</title>", drawn, re.DOTALL)
        text = re.sub(r"\s+", " ", said[1] if said else "")
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&#x27;", "'")
        text = escape(text.replace("&amp;", "&").replace("[", "(").replace("]", ")"), quote=False)
        return found[0].replace(f"![{found['alt']}]", f"![{text}]")

    return _ENTRY.sub(alt, PAGE.read_text("utf-8"))


def main(arguments: list[str]) -> int:
    """Draw all; write the page's words where the pictures are its own."""
    os.environ.pop("COLUMNS", None)
    folder = Path(arguments[0]) if arguments else PICTURES
    draw(folder)
    if not arguments:
        PAGE.write_text(words(folder), "utf-8")
    print(f"{len(commands(PAGE.read_text('utf-8')))} pictures in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
