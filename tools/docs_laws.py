"""The reference pages of the vendor kit: the laws of `inferbench check`, and the packages of record."""

from __future__ import annotations

import tomllib
from pathlib import Path

from docs_formats import GENERATED

ROOT = Path(__file__).resolve().parent.parent
FAULTS = "tests/testing/faults.toml"
BY = {"project": "The project", "vendor": "Vendors"}


def laws_page() -> str:
    """Write docs/reference/conformance.md."""
    from inferbench.testing.laws import LAWS

    faults = tomllib.loads((ROOT / FAULTS).read_text("utf-8"))
    lines = ["# Laws", "", GENERATED, ""]
    lines += [
        "`inferbench check` judges every record of a package by the laws of its kind. A broken law is named",
        "with the record, its figures and what to do. A law in doubt asks for a note, and breaks nothing.",
        "`inferbench doctor` looks at those that are marked quick.",
        "",
    ]
    for kind in dict.fromkeys(one.kind for one in LAWS):
        lines += [f"## {kind.replace('_', ' ').capitalize()}", "", "| law | meaning | |", "|---|---|---|"]
        for one in (one for one in LAWS if one.kind == kind):
            marks = ", ".join(
                word for word, is_so in (("in doubt", one.doubt), ("quick", one.quick)) if is_so
            )
            lines.append(f"| `{one.name}` | {one.meaning} | {marks} |")
        lines.append("")
    lines += ["## Outside the laws", "", "| law | meaning |", "|---|---|"]
    lines += [
        "| `a-spec-is-valid` | A file is read without a fault: every fault with its key path. |",
        "| `it-answers-in-time` | Nothing hangs: an import, or judging a record, stays below the limit. |",
        "| `it-leaves-the-process-alone` | Nothing ends the process or interrupts it. |",
        "",
        "## Faults that tests plant",
        "",
        "Each is planted into a sound package, and caught by the law with the owner's name.",
        f"[`{FAULTS}`](../../{FAULTS}) has the code.",
        "",
        "| fault | caught by | in | it says, among other things |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {one['fault']} | `{one['law']}` | {one['record'].partition('/')[0].replace('_', ' ')} |"
        f" {one['says']} |"
        for one in faults.values()
    ]
    return "\n".join(lines) + "\n"


def packages_page() -> str:
    """Write docs/reference/packages.md."""
    from inferbench.discovery.ownership import packages

    lines = ["# Packages of record", "", GENERATED, ""]
    lines += [
        "These packages own the names that they bring: a second claim is refused. A vendor adds an entry to",
        "`inferbench/discovery/packages.toml` by pull request, once `inferbench check` finds nothing broken.",
        "",
        "```toml",
        "[inferbench-acme]",
        'by = "vendor"',
        'vendor = "Acme"',
        'brings = "The chips X1 and X2."',
        'url = "https://example.com/inferbench-acme"',
        "```",
        "",
    ]
    for by, title in BY.items():
        rows = {name: entry for name, entry in packages().items() if entry["by"] == by}
        lines += [f"## {title}", ""]
        if not rows:
            lines += ["None yet.", ""]
            continue
        lines += ["| package | maker of the chips | what it brings |", "|---|---|---|"]
        for name, entry in sorted(rows.items()):
            shown = f"[`{name}`]({entry['url']})" if "url" in entry else f"`{name}`"
            lines.append(f"| {shown} | {entry.get('vendor', '')} | {entry['brings']} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
