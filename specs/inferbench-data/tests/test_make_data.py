"""The tool that makes the tables: one folder gives one result, no digit is lost, what was inferred is
said.
"""

from __future__ import annotations

import csv
import gzip
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[3] / "tools"
pytestmark = pytest.mark.skipif(
    not TOOLS.is_dir(), reason="the tools are in the repository, not in the package"
)


@pytest.fixture(scope="module")
def tool():
    sys.path.insert(0, str(TOOLS))
    try:
        import data_recipes
        import make_data

        yield make_data, data_recipes
    finally:
        sys.path.remove(str(TOOLS))


def written(folder, name, head, *rows):
    with (folder / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([head, *rows])
    return folder


def test_the_point_moves_and_no_digit_is_lost(tool):
    number = tool[1].number
    assert [number("16.7639", -3), number("2.0"), number("1e-05", 3), number("")] == [
        "0.0167639",
        "2",
        "0.01",
        "",
    ]
    assert float(number("0.005923556", -3)) == 5.923556e-06
    assert number("351.0", 12) == "351000000000000"


@pytest.mark.parametrize(
    ("rule", "row", "cell"),
    [
        ("model", {"model": " vit-b "}, "vit-b"),
        ("t e-3", {"t": "0.25"}, "0.00025"),
        ("a | b", {"a": "", "b": "x"}, "x"),
        ("a | b", {"a": "", "b": ""}, ""),
        ("a + b", {"a": "1", "b": "1023.0"}, "1024"),
        ("a + b", {"a": "1", "b": ""}, ""),
        ("= op", {}, "op"),
        ("= ", {}, ""),
    ],
)
def test_a_rule_says_what_a_column_takes(tool, rule, row, cell):
    assert tool[1].rule(rule)(row) == cell


@pytest.mark.parametrize(
    ("text", "value", "inferred"),
    [
        ("fp16/bf16(assumed)", "fp16/bf16", True),
        ("int4 (W4A8, assumed)", "int4 (W4A8)", True),
        ("yes (drafted, assumed from the comparison)", "yes (drafted)", True),
        ("fp8", "fp8", False),
    ],
)
def test_marks_of_inferred_values_are_taken_off(tool, text, value, inferred):
    assert tool[0].settled(text) == (value, inferred)


def test_a_table_has_our_columns_and_names_what_was_inferred(tool, tmp_path):
    make, recipes = tool
    head = (
        "file",
        "chip",
        "n_chips",
        "tp",
        "framework",
        "model",
        "weight_precision",
        "phase",
        "batch",
        "input_len",
        "output_len",
        "latency_ms",
        "tokens_per_s",
        "power_w",
        "energy_j",
        "flag",
        "notes",
    )
    row = (
        "a.csv",
        "X1",
        "1.0",
        "1.0",
        "Lib",
        "net",
        "fp16(assumed)",
        "e2e",
        "4",
        "128",
        "64",
        "2000",
        "",
        "",
        "",
        "|twice",
        "long prose",
    )
    made = make.make(recipes.recipes()["llm_end_to_end"], written(tmp_path, "llm_end_to_end.csv", head, row))
    (found,) = csv.DictReader(made.text.splitlines())
    assert found["latency_s"] == "2"
    assert (found["precision"], found["assumed"]) == ("fp16", "precision")
    assert (found["software"], found["network"], found["flag"]) == ("Lib", "net", "twice")
    assert "prose" not in made.text


def test_the_same_text_gives_the_same_bytes(tool):
    packed = tool[0].packed
    assert packed("chip\nX1\n") == packed("chip\nX1\n")
    assert gzip.decompress(packed("chip\nX1\n")) == b"chip\nX1\n"
    # No time of writing and no name: bytes 4 to 8 are zero.
    assert packed("x")[4:8] == b"\0\0\0\0"


def test_every_table_of_the_package_has_a_recipe_with_its_columns(tool):
    import inferbench_data

    recipes = tool[1].recipes()
    assert set(recipes) == set(inferbench_data.names())
    for name, recipe in recipes.items():
        assert list(recipe.columns) == list(inferbench_data.table(name).columns)


def test_hash_and_rows_are_written_where_the_table_is_described(tool, tmp_path):
    make = tool[0]
    text = (
        '[tables.a]\nrows = 1\nsha256 = "x"\norigin = "y"\n\n[tables.b]\nrows = 7\nsha256 = "z"\norigin ='
        ' ""\n'
    )
    made = make.Made("chip\nX1\nX2\n", 2, "0" * 64)
    found = make.recorded(text, {"a": made})
    assert f'rows = 2\nsha256 = "{made.sha256}"\norigin = "{"0" * 64}"\n' in found
    assert found.endswith('[tables.b]\nrows = 7\nsha256 = "z"\norigin = ""\n')
    with pytest.raises(SystemExit, match="describe the table there first"):
        make.recorded(text, {"c": made})


def test_the_shipped_tables_are_told_from_others(tool, tmp_path):
    make = tool[0]
    home = Path(str(files("inferbench_data")))
    shutil.copytree(home / "tables", tmp_path / "tables")
    text = gzip.decompress((home / "tables" / "moe.csv.gz").read_bytes()).decode()
    assert make.differing({"moe": make.Made(text, 2303, "")}, tmp_path) == []
    assert make.differing({"moe": make.Made(text + "x\n", 2304, "")}, tmp_path) == ["moe"]


def test_its_help_needs_no_folder():
    done = subprocess.run(
        [sys.executable, str(TOOLS / "make_data.py"), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--check" in done.stdout


def test_users_over_the_batch_of_a_rank_are_ranks_where_no_column_says_them(tool):
    """192 users in batches of 48 on 4 chips: 4 ranks of one chip. 64 in batches of 64 on 8: a rank of 8."""
    degree = {name: tool[1].CODED[f"attention_{name}"] for name in ("tp", "dp")}
    for batch, tp, concurrency, found in (("48", "4", "192", ("1", "4")), ("64", "8", "64", ("8", "1"))):
        row = {"batch": batch, "tp": tp, "concurrency": concurrency, "n_chips": tp, "flag": ""}
        assert (degree["tp"](row), degree["dp"](row)) == found
