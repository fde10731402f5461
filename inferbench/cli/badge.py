"""The badge of a package that was judged, as SVG."""

from __future__ import annotations

from html import escape
from pathlib import Path

from inferbench.testing.laws import Verdict

__all__ = ["badge", "is_badge"]

GREEN, AMBER, RED = "#2e7d32", "#b26a00", "#c62828"
LABEL = 'aria-label="InferBench: '
WIDE = 6.6
"""Pixels of a letter at 11 pixels, generously."""


def badge(verdict: Verdict) -> str:
    """Draw a badge: `InferBench | 24 laws hold`. What is in doubt or could not be judged is counted too.

    Args:
        verdict: Of the package.

    Example:
        >>> "1 of 2 fail" in badge(Verdict("x", (), (("a-law", "chips/x"),)))
        False
    """
    fails = sum(finding.state == "fails" for finding in verdict.findings)
    doubts = len(verdict.findings) - fails
    total = len(verdict.passed) + len(verdict.findings)
    text = f"{fails} of {total} fail" if fails else f"{len(verdict.passed)} laws hold"
    text += f", {doubts} in doubt" if doubts and not fails else ""
    text += f", {len(verdict.missing)} not judged" if verdict.missing and not fails else ""
    colour = RED if fails else AMBER if doubts else GREEN
    left, right = (round(WIDE * len(words)) + 12 for words in ("InferBench", text))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img"'
        f' {LABEL}{escape(text)}">'
        f'<rect width="{left}" height="20" fill="#555"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">InferBench</text>'
        f'<text x="{left + right / 2:g}" y="14">{escape(text)}</text></g></svg>\n'
    )


def is_badge(path: Path) -> bool:
    """Whether a badge of ours stands there, which a newer one replaces."""
    try:
        return path.is_file() and LABEL in path.read_text("utf-8", errors="replace")[:400]
    except OSError:
        return False
