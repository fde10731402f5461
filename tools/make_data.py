"""Make the tables that `inferbench-data` ships from a folder of the CSV files they were compiled in.

    python tools/make_data.py FOLDER [--out FOLDER]    write the tables, and hash and rows into the manifest
    python tools/make_data.py FOLDER --check           say which tables would differ; exit code 1 if any does

Times become seconds and areas square metres by moving the decimal point: no digit is lost. Free text and
figures that follow from others are left out. The order of rows stays. The same folder gives the same hashes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
from data_recipes import Recipe, Row, recipes

HOME = Path(__file__).resolve().parent.parent / "specs" / "inferbench-data" / "inferbench_data"
# A mark of whoever compiled a file: the value was inferred, not read. It becomes the column `assumed`.
MARK = re.compile(r"[,:]?\s*assumed[^)]*\)")
ASSUMED = "assumed"


@attrs.frozen
class Made:
    """A table as it ships: its text, its rows, and the hash of the file it was made from."""

    text: str
    rows: int
    origin: str

    @property
    def sha256(self) -> str:
        """Hash of the text, before it is compressed."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def settled(text: str) -> tuple[str, bool]:
    """Take the mark of an inferred value off, and say whether there was one.

    Example:
        >>> settled("fp16/bf16(assumed)"), settled("int4 (W4A8, assumed)"), settled("fp8")
        (('fp16/bf16', True), ('int4 (W4A8)', True), ('fp8', False))
    """
    found = MARK.sub(")", text)
    return found.replace("()", "").strip(), found != text


def records(recipe: Recipe, source: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table in our columns."""
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if recipe.keep(row):
                yield _record(recipe, row)


def _record(recipe: Recipe, row: Row) -> dict[str, str]:
    found: dict[str, str] = {}
    inferred = []
    for name, rule in recipe.columns.items():
        text, marked = settled(rule(row))
        found[name] = text
        if marked:
            inferred.append(name)
    if ASSUMED in recipe.columns:
        found[ASSUMED] = " ".join(inferred)
    elif inferred:
        raise SystemExit(f"{recipe.file}: {', '.join(inferred)} was inferred; add the column '{ASSUMED}'")
    return found


def make(recipe: Recipe, folder: Path) -> Made:
    """Make one table."""
    source = folder / recipe.file
    rows = list(records(recipe, source))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(recipe.columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return Made(stream.getvalue(), len(rows), hashlib.sha256(source.read_bytes()).hexdigest())


def packed(text: str) -> bytes:
    """Compress a text without the time and the name that a gzip file usually carries."""
    stream = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=stream, compresslevel=9, mtime=0) as file:
        file.write(text.encode())
    return stream.getvalue()


def recorded(manifest: str, made: Mapping[str, Made]) -> str:
    """Write rows and hashes into the manifest's tables; everything else in it stays."""
    for name, one in made.items():
        head = f"[tables.{name}]\n"
        if head not in manifest:
            raise SystemExit(f"tables.toml: no {head.strip()}; describe the table there first")
        before, _, after = manifest.partition(head)
        own, mark, rest = after.partition("\n[")
        for key, value in (
            ("rows", str(one.rows)),
            ("sha256", f'"{one.sha256}"'),
            ("origin", f'"{one.origin}"'),
        ):
            own = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", own)
        manifest = before + head + own + mark + rest
    return manifest


def differing(made: Mapping[str, Made], out: Path) -> list[str]:
    """Return the tables whose shipped text is another."""
    found = []
    for name, one in made.items():
        file = out / "tables" / f"{name}.csv.gz"
        if not file.exists() or gzip.decompress(file.read_bytes()).decode() != one.text:
            found.append(name)
    return found


def write(made: Mapping[str, Made], out: Path) -> None:
    """Write the tables that changed, and the manifest."""
    for name in differing(made, out):
        (out / "tables" / f"{name}.csv.gz").write_bytes(packed(made[name].text))
        print(f"{name}: {made[name].rows} rows")
    manifest = out / "tables.toml"
    manifest.write_text(recorded(manifest.read_text("utf-8"), made), "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Make all tables, or say which differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=HOME)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(arguments)
    made = {name: make(recipe, given.folder) for name, recipe in recipes().items()}
    if not given.check:
        write(made, given.out)
        return 0
    stale = differing(made, given.out)
    print("\n".join(f"{name}: differs" for name in stale) or f"{len(made)} tables are as shipped")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
