"""List the tables, or write some of them as plain CSV.

python -m inferbench_data                       every table: rows, licences, title
python -m inferbench_data gemm attention        writes gemm.csv and attention.csv here
python -m inferbench_data gemm --to FOLDER      writes there
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import inferbench as ib
from inferbench_data import info, names, unpack


def main(arguments: list[str] | None = None) -> int:
    """List or unpack; 2 where a name is unknown or a file is damaged."""
    parser = argparse.ArgumentParser(
        prog="python -m inferbench_data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="names of tables; none: list all")
    parser.add_argument("--to", type=Path, default=Path(), metavar="FOLDER", help="folder to write into")
    given = parser.parse_args(arguments)
    try:
        for line in (str(unpack(name, given.to)) for name in given.tables) if given.tables else listing():
            print(line)
    except ib.InferBenchError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def listing() -> list[str]:
    """One line per table."""
    lines = []
    for one in map(info, names()):
        licences = " ".join(sorted({source.licence or "figures-with-citation" for source in one.sources}))
        lines.append(f"{one.name:26} {one.rows:6} {licences:24} {one.title}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
