"""The reference is complete and its examples work as typed. That it is current, test_examples checks."""

from __future__ import annotations

import os
import shlex

import docs_reference
import pytest
from pluggy import HookspecMarker

import docs
from inferbench.discovery import hookspecs
from inferbench.discovery.kinds import KINDS

COMMANDS = {name: command for name, command, owner in docs_reference.commands() if owner == "inferbench"}
HOOKS = (docs.ROOT / "docs/reference/hooks.md").read_text()
CLI = (docs.ROOT / "docs/reference/cli.md").read_text()


def test_every_hook_the_core_knows_is_documented_with_its_signature():
    project = HookspecMarker("inferbench").project_name
    marked = {name for name, value in vars(hookspecs).items() if hasattr(value, f"{project}_spec")}
    assert marked == {*(f"inferbench_{kind}" for kind in KINDS), "inferbench_aliases"}
    for name in marked:
        assert f"\n## `{name}`\n\n```python\n{name}() -> Iterable[" in HOOKS


def test_every_hook_has_a_sentence_that_is_not_its_neighbours():
    docstrings = [hook.__doc__ for hook in docs_reference.hooks().values()]
    assert all(docstrings)
    assert len(set(docstrings)) == len(docstrings)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_option_of_a_command_is_documented_with_its_help(name):
    section = CLI.split(f"\n## `inferbench {name}`\n")[1].split("\n## ")[0]
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            assert parameter.help
            assert f"| {parameter.help}" in section
            assert f"`{parameter.opts[-1]}" in section


@pytest.mark.slow
@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_a_command_starts_with_an_example_that_works_as_typed(name, tmp_path, monkeypatch):
    from inferbench.cli.app import run

    example = docs_reference.example(COMMANDS[name])
    assert example.startswith(f"inferbench {name}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "COLUMNS", "80")
    words = shlex.split(example)[1:]
    files = [word for word in words[1:] if word.endswith((".csv", ".json", ".parquet"))]
    if files and name not in ("new", "sweep"):
        give(files[0], tmp_path)
    assert run(words) == 0


def give(file, folder):
    """Make the file that a reader has: a table that ships, or what the example of `sweep` writes."""
    import inferbench_data

    from inferbench.cli.app import run

    if file.removesuffix(".csv") in inferbench_data.names():
        inferbench_data.unpack(file.removesuffix(".csv"), folder)
        return
    words = shlex.split(docs_reference.example(COMMANDS["sweep"]))[1:]
    assert run([*words, "--out", file]) == 0


def test_the_formula_of_a_stack_names_every_table_that_a_stack_has():
    import attrs

    import inferbench as ib

    figures = ib.installed().get("time_models", "tiled-kernel").figures
    tables = [field.name for field in attrs.fields(figures) if field.name != "unfitted"]
    page = (docs.ROOT / "docs/explanation/concepts.md").read_text()
    section = page.split("## From cost to seconds")[1].split("\n## ")[0]
    assert [name for name in (*tables, "host") if f"`{name}`" not in section] == []
