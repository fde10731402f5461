"""Keep the documentation true: run its examples, generate its reference pages, list its pages.

    python tools/docs.py            say what is stale; exit code 1 if anything is
    python tools/docs.py --write    bring everything up to date in place

Every block fenced as ```console whose first line starts with `$ inferbench` is run, at 80 columns and without
colour, and what it prints stands below the command. A block fenced as ```pycon is a Python session that goes
on from block to block of its page; it is run too. Comments on the line before a block:

    <!-- illustration -->     not run
    <!-- until: TEXT -->      what is printed before the first line that starts with TEXT, then `…`
    <!-- file: NAME -->       of any language: written to NAME first, in the folder the page's examples run in

Between these comments stands what the code says:

    <!-- hook: NAME -->            <!-- /hook -->   a hook's signature, its meaning, and who implements it
    <!-- keys: KIND NAME CLASS --> <!-- /keys -->   what a plugin reads (`architectures simt tuning`)
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import attrs
import docs_formats
import docs_json
from docs_reference import REFERENCE, hook_head

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {"COLUMNS": "80", "NO_COLOR": "1", "INFERBENCH_STRICT": ""}
_BLOCK = re.compile(
    r"^(?:<!-- (?P<directive>illustration|until|file)(?:: (?P<argument>[^\n]*?))? -->\n)?"
    r"```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_HOOK = re.compile(
    r"(?<=<!-- hook: )(?P<name>inferbench_\w+)(?P<head> -->\n).*?(?=<!-- /hook -->)", re.DOTALL
)
_KEYS = re.compile(r"(?<=<!-- keys: )(?P<which>[\w -]+)(?P<head> -->\n).*?(?=<!-- /keys -->)", re.DOTALL)
_PAGES = re.compile(r"(?<=<!-- pages -->\n).*?(?=<!-- /pages -->)", re.DOTALL)


@attrs.frozen
class Block:
    """A fenced block of a page.

    Attributes:
        language: What stands after the fence.
        body: The lines inside, each ended by a newline.
        directive, argument: Of the comment before it; empty where there is none.
        start, end: Where the body lies in the page.
    """

    language: str
    body: str
    directive: str
    argument: str
    start: int
    end: int

    @property
    def runs(self) -> bool:
        """Whether it is an example that can be run."""
        return (
            self.language == "console"
            and self.body.startswith("$ inferbench")
            and self.directive != "illustration"
        )


def blocks(text: str) -> list[Block]:
    """Find the fenced blocks of a page."""
    return [
        Block(
            found["language"],
            found["body"],
            found["directive"] or "",
            found["argument"] or "",
            *found.span("body"),
        )
        for found in _BLOCK.finditer(text)
    ]


def pages(root: Path = ROOT) -> list[Path]:
    """The README and every page of the docs."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


@contextmanager
def _terminal(folder: Path) -> Iterator[None]:
    """An 80-column terminal without colour, in a folder of its own."""
    before, where = {name: os.environ.get(name) for name in SETTINGS}, Path.cwd()
    os.environ.update(SETTINGS)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(where)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def printed(command: str) -> str:
    """Run one `inferbench …` line in this process; what a terminal would show, both streams."""
    from inferbench.cli.app import run
    from inferbench.discovery.registry import installed

    arguments = shlex.split(command)[1:]
    own_plugins = "-p" in arguments
    if own_plugins:
        installed.cache_clear()
    shown = io.StringIO()
    with redirect_stdout(shown), redirect_stderr(shown):
        run(arguments)
    if own_plugins:
        installed.cache_clear()
    return shown.getvalue().rstrip() + "\n"


def session(body: str, names: dict[str, object]) -> str:
    """Run a Python session; what stands below each input is what it prints now.

    Args:
        body: Inputs after `>>>` and `...`, with what they printed when the page was written.
        names: What the inputs before on the page have defined; this one's are added.
    """
    lines: list[str] = []
    for example in doctest.DocTestParser().get_examples(body):
        first, *more = example.source.splitlines()
        lines += [f">>> {first}", *(f"... {line}".rstrip() for line in more)]
        shown = io.StringIO()
        with redirect_stdout(shown):
            try:
                exec(compile(example.source, "<page>", "single"), names)
            except Exception as error:
                said = "".join(traceback.format_exception_only(error))
                print(f"Traceback (most recent call last):\n    ...\n{said}".rstrip())
        lines += shown.getvalue().splitlines()
    return "\n".join(lines) + "\n"


def _cut(text: str, until: str) -> str:
    if not until:
        return text
    lines = text.splitlines(keepends=True)
    for place, line in enumerate(lines):
        if line.startswith(until):
            return "".join(lines[:place]) + "…\n"
    raise ValueError(f"no line of the output starts with {until!r}")


def rerun(text: str) -> str:
    """Return a page with the output of its examples as it is now."""
    parts, last = [], 0
    names: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder, _terminal(Path(folder)):
        for block in blocks(text):
            if block.directive == "file":
                Path(block.argument).parent.mkdir(parents=True, exist_ok=True)
                Path(block.argument).write_text(block.body)
            if block.language == "pycon" and block.directive != "illustration":
                parts += [text[last : block.start], session(block.body, names)]
                last = block.end
            if not block.runs:
                continue
            lines = [line for line in block.body.splitlines() if line.startswith("$ ")]
            until = block.argument if block.directive == "until" else ""
            body = "\n".join(f"{line}\n{_cut(printed(line[2:]), until)}" for line in lines)
            parts += [text[last : block.start], body]
            last = block.end
    return "".join([*parts, text[last:]])


FOLDERS = {
    "tutorial": "Tutorial",
    "howto": "How to",
    "reference": "Reference",
    "reference/formats": "Reference: formats",
    "explanation": "Explanation",
    "explanation/architectures": "Explanation: architectures",
    "explanation/workloads": "Explanation: workloads",
    "results": "Results",
    "decisions": "Decisions",
}


def title(page: Path) -> str:
    """The first heading of a page."""
    return next(line[2:] for line in page.read_text().splitlines() if line.startswith("# "))


def ordered(folder: Path) -> list[Path]:
    """The pages of one folder, in the order in which they are listed."""
    return sorted(folder.glob("*.md"))


def page_list(root: Path = ROOT) -> str:
    """The list of all pages for docs/index.md, folder by folder, each with its first heading."""
    docs = root / "docs"
    by_folder = {
        folder: [f"- [{title(page)}]({page.relative_to(docs).as_posix()})" for page in ordered(docs / folder)]
        for folder in FOLDERS
    }
    return "".join(
        f"\n## {FOLDERS[folder]}\n\n" + "\n".join(lines) + "\n"
        for folder, lines in by_folder.items()
        if lines
    )


def current(path: Path, root: Path = ROOT) -> str:
    """What a page should say now."""
    name = path.relative_to(root).as_posix()
    if name in REFERENCE:
        return REFERENCE[name]()
    text = path.read_text()
    if name == "docs/index.md":
        listed = page_list(root)
        text = _PAGES.sub(lambda _: f"{listed}\n", text)
    text = _HOOK.sub(lambda found: f"{found['name']}{found['head']}\n{hook_head(found['name'])}\n", text)
    text = _KEYS.sub(
        lambda found: f"{found['which']}{found['head']}\n{docs_formats.of(found['which'])}\n", text
    )
    return rerun(text)


def main(arguments: list[str]) -> int:
    """Check or write every page."""
    write, stale = "--write" in arguments, 0
    for name in REFERENCE:
        page = ROOT / name
        if not page.exists():
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(f"# {page.stem}\n")
    found = {path: current(path) for path in pages()}
    found |= {ROOT / name: text for name, text in docs_json.schemas().items()}
    for path, now in found.items():
        if path.exists() and now == path.read_text():
            continue
        stale += 1
        print(f"{'updated' if write else 'stale'}: {path.relative_to(ROOT)}")
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(now)
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
