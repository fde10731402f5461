"""A spec whose texts mean harm, through the commands as people run them: every format shows text as text."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from inferbench.discovery.registry import installed

pytestmark = pytest.mark.needs_plugins("chips/b200", "networks/llama3-8b", "metrics/tpot_s")

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "quotes": "\"'><img src=x onerror=alert(1)>",
    "link": "[x](javascript:alert(1))",
    "turned": "\u202egnp.exe",
    "escape": "\u001b]0;owned\u0007\u001b[31mred",
    "markup": "[bold red]loud[/bold red]",
    "long": "A" * 10_000,
    "formula": "=HYPERLINK(1)",
    "latex": "\\input{/etc/passwd} $x$ 50% #1 & _y_",
}
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COMMANDS = (
    pytest.param(("compare", "mine", "b200", "-w", "llama3-8b/decode"), marks=pytest.mark.slow),
    ("run", "mine", "llama3-8b/decode"),
    ("show", "mine"),
)


def written(text: str) -> str:
    """A TOML string of any text."""
    return "".join(f"\\u{ord(c):04X}" if ord(c) < 32 or c in '"\\' or ord(c) > 126 else c for c in text)


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE)
def spec(request, tmp_path) -> Path:
    text = written(request.param)
    folder = tmp_path / "chips"
    folder.mkdir()
    (folder / "mine.toml").write_text(
        f'title = "{text}"\nvendor = "{text}"\nnote = "{text}"\nsource = "s"\n'
        f'[sources]\ns = {{ title = "{text}", url = "javascript:alert(1)", basis = "estimate" }}\n'
        '[architecture]\ntype = "simt"\nsms = 132\n[peak]\nbf16 = "900 TOP/s"\n'
        f'[memory.hbm]\ncapacity = "80 GB"\nbandwidth = {{ is = "3 TB/s", note = "{text}" }}\n'
        '[power]\ntdp = "600 W"\n'
    )
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from pathlib import Path\nimport inferbench as ib\n\n"
        "@ib.hookimpl\ndef inferbench_chips():\n    yield Path(__file__).parent / 'chips'\n"
    )
    return plugin


@pytest.fixture
def hostile(cli, spec):
    """Run the command line with the plugin that brings the spec, each time as in a process of its own."""

    def run(*words: str) -> tuple[int, str, str]:
        installed.cache_clear()
        return cli("-p", str(spec), *words)

    return run


class Page(HTMLParser):
    """Elements, and attributes that act."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.acting: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.acting += [
            f"{name}={value}"
            for name, value in attrs
            if name.startswith("on") or (name in ("href", "src") and "javascript:" in (value or ""))
        ]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_every_format_shows_it_as_text(hostile, words):
    code, out, err = hostile(*words)
    assert (code, ACTS.findall(out + err)) == (0, [])
    for form in ("markdown", "latex", "csv", "html"):
        code, out, err = hostile(*words, "--format", form)
        assert (code, err) == (0, "")
        assert not ACTS.search(out)
        if form == "markdown":
            assert "<" not in out
            assert "](" not in out
        elif form == "latex":
            body = out.partition("\n")[2]
            assert "\\input" not in body
            assert body.replace(r"\{", "").count("{") == body.replace(r"\}", "").count("}")
        elif form == "csv":
            cells = [cell for row in csv.reader(io.StringIO(out)) for cell in row]
            assert not [cell for cell in cells if re.match(r"[=@|\t]", cell)]
        else:
            page = Page()
            page.feed(out)
            assert page.acting == []
            assert not page.tags & {"script", "img", "a", "iframe"}


@pytest.mark.needs_plugins("plots/roofline")
def test_a_picture_shows_it_as_text(hostile, tmp_path):
    for form in ("svg", "html"):
        path = tmp_path / f"x.{form}"
        code, _, err = hostile("plot", "roofline", "mine", "-w", "llama3-8b/decode", "-o", str(path))
        assert (code, err) == (0, "")
        drawn = path.read_text("utf-8")
        page = Page()
        page.feed(drawn)
        assert page.acting == []
        assert not page.tags & {"img", "a", "iframe"}
        assert form == "html" or "script" not in page.tags
