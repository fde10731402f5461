"""Fit shipped stacks of kernels again, by the commands in their files, and write the files.

    python tools/refit.py NAME...        write specs/inferbench_specs/stacks/NAME.toml

Words of a file (title, note, source, names of software), schedulers and energies of kernels stay.
"""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from pathlib import Path

import attrs

from inferbench.calibration.fits import fit_recipe
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.writing import Labels, energy_toml, scheduler_toml
from inferbench.discovery.registry import Registry, installed

HOME = Path(__file__).resolve().parent.parent / "specs" / "inferbench_specs" / "stacks"


def refit(path: Path, registry: Registry) -> str:
    """Return the text of a stack's file, fitted again.

    Args:
        path: The file: `[fit] command` says how.
        registry: Brings the tables that the command reads.
    """
    text = path.read_text("utf-8")
    raw = tomllib.loads(text)
    source = raw.get("sources", {}).get("data", {})
    words = Labels(
        raw["title"],
        raw.get("note", ""),
        cite=source.get("title", ""),
        url=source.get("url", ""),
        software=tuple(raw.get("software", ())),
        family=raw.get("family", ""),
        versions=tuple(raw.get("versions", ())),
        block_scales_of=raw.get("block_scales_of", ""),
    )
    recipe = Recipe.parse(raw["fit"]["command"])
    with tempfile.TemporaryDirectory() as folder:
        files = [registry.get("tables", Path(name).stem).write(Path(folder)) for name in recipe.files]
        there = attrs.evolve(recipe, files=tuple(map(str, files)))
        found = fit_recipe(there, registry, words)
    named = "software" in raw or recipe.kind == "class"
    made = found.toml if named else re.sub(r"(?m)^software = .*\n", "", found.toml, count=1)
    return made + scheduler_toml(text) + energy_toml(text)


def main(names: list[str]) -> None:
    """Write the files of the stacks named."""
    for name in names:
        path = HOME / f"{name}.toml"
        path.write_text(refit(path, installed()), "utf-8")
        print(f"wrote {path.name}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
