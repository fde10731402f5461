"""SQL on a sweep: it answers, it reads nothing else, it changes nothing."""

from __future__ import annotations

import json

import pytest

from inferbench.errors import InferBenchError
from inferbench.specs.ranges import parse
from inferbench.sweeping.execute import sweep
from inferbench.sweeping.plan import plan
from inferbench.sweeping.query import columns, query
from inferbench.sweeping.request import Request

pytest.importorskip("pyarrow", reason="the extra inferbench-core[sweep] is not installed")
pytest.importorskip("duckdb", reason="the extra inferbench-core[sweep] is not installed")
REMEDY = 'write one select, for example "select chip, count(*) from space group by chip"'


@pytest.fixture
def made(toy, tmp_path):
    axes = {"batch": parse("1:30:+1", "--batch"), "context": parse("1:9:+1", "--context")}
    asked = Request(
        systems=("toy-chip", "2xtoy-chip"),
        workloads=("toy-net/decode",),
        axes=axes,
        precisions=("bf16", "fp8"),
        scenario="toy",
        memory=1e5,
    )
    one = plan(asked, toy)
    for name in ("space.parquet", "folder"):
        sweep(one, toy, str(tmp_path / name))
    return tmp_path


@pytest.mark.parametrize("name", ["space.parquet", "folder"])
def test_a_select_is_answered(made, name):
    answer = query(
        made / name,
        "select system, count(*) as points, sum(feasible::int) from space group by system order by system",
    )
    # One chip holds fp8 only, two hold both: 30 x 9 points for each precision.
    assert answer.names[:2] == ("system", "points")
    assert answer.rows == (("2xtoy-chip", 540, 540), ("toy-chip", 540, 270))
    assert answer.missing == 0


def test_with_and_from_first_are_selects_too(made):
    assert query(made / "folder", "with few as (from space limit 3) select count(*) from few").rows == ((3,),)


def test_columns_come_as_arrays(made):
    found = columns(made / "folder", ["system", "batch", "tpot_s", "nonsense"])
    assert set(found) == {"system", "batch", "tpot_s"}
    assert len(found["tpot_s"]) == 1080
    assert found["batch"].max() == 30


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("drop view space", "drop is refused: a sweep is only read"),
        ("insert into space values (1)", "insert is refused: a sweep is only read"),
        ("update space set batch = 1", "update is refused: a sweep is only read"),
        ("create table x as select 1", "create is refused: a sweep is only read"),
        ("copy space to 'x.csv'", "copy is refused: a sweep is only read"),
        ("attach 'x.db'", "attach is refused: a sweep is only read"),
        ("select 1; drop view space", "2 statements stand where one select was expected"),
        ("", "0 statements stand where one select was expected"),
    ],
)
def test_what_is_no_select_is_refused(made, sql, said):
    with pytest.raises(InferBenchError) as caught:
        query(made / "space.parquet", sql)
    assert str(caught.value) == f"query: {said}\n  {REMEDY}"


@pytest.mark.parametrize(
    "source", ["read_csv('/etc/passwd')", "read_parquet('other.parquet')", "'/etc/passwd'"]
)
def test_other_files_are_out_of_reach(made, source):
    with pytest.raises(InferBenchError) as caught:
        query(made / "space.parquet", f"select * from {source}")
    assert "space" in str(caught.value)


def test_a_fault_in_the_select_says_where_the_columns_are(made):
    with pytest.raises(
        InferBenchError,
        match=r"(?s)query: Binder Error: .*tokens.*\n  columns are those of `select \* from space limit 1`",
    ):
        query(made / "folder", "select tokens from space")
    with pytest.raises(InferBenchError, match=r"query: Parser Error: .*"):
        query(made / "folder", "select from where")


def test_another_schema_version_is_refused(made):
    path = made / "folder" / "manifest.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps({**table, "schema": "inferbench.space/9"}))
    with pytest.raises(InferBenchError) as caught:
        query(made / "folder", "select 1 from space")
    assert str(caught.value) == (
        f"{path}: has schema inferbench.space/9; inferbench.space/1 was expected\n"
        "  run the sweep again, or install the version of inferbench that wrote it"
    )


def test_a_file_of_another_schema_version_is_refused(made):
    import pyarrow.parquet as pq

    table = pq.read_table(made / "space.parquet")
    about = json.loads(table.schema.metadata[b"inferbench"])
    other = table.replace_schema_metadata(
        {b"inferbench": json.dumps({**about, "schema": "inferbench.space/0"}).encode()}
    )
    pq.write_table(other, made / "old.parquet")
    pq.write_table(table.replace_schema_metadata({}), made / "foreign.parquet")
    (made / "none.parquet").write_text("no parquet")
    for name, said in (
        ("old", "has schema inferbench.space/0; inferbench.space/1 was expected"),
        ("foreign", "was not written by a sweep"),
        ("none", "is no Parquet file"),
        ("absent", "no such file"),
    ):
        with pytest.raises(InferBenchError, match=f"{name}.parquet: {said}"):
            query(made / f"{name}.parquet", "select 1 from space")


def test_a_half_finished_sweep_can_be_asked_and_says_so(made, cli):
    (made / "folder" / "part-000001.parquet").unlink()
    code, out, err = cli(
        "query", str(made / "folder"), "select count(*) as points from space", "--format", "csv"
    )
    assert code == 0
    assert 0 < int(out.split()[1]) < 1080
    assert err == f"inferbench: {made}/folder: 1 chunks are still missing\n"


def test_the_command_writes_json(made, cli):
    code, out, _ = cli(
        "query", str(made / "space.parquet"), "select max(batch) as most from space", "--format", "json"
    )
    assert code == 0
    assert json.loads(out) == {"schema": "inferbench.query/1", "rows": [{"most": 30.0}]}


def test_whatever_duckdb_answers_can_be_shown(made, cli):
    """No number is a gap, and what JSON has no word for is text."""
    sql = (
        "select 1/0 a, 'nan'::double b, '-inf'::double c, 0.50::decimal(9,2) d, 'x'::blob e, [1, null] f,"
        " date '2020-01-31' g, 10::hugeint * 100000000000000000000 h"
    )
    path = str(made / "space.parquet")
    code, out, _ = cli("query", path, sql, "--format", "json")
    assert code == 0
    assert json.loads(out)["rows"] == [
        {"a": None, "b": None, "c": None, "d": 0.5, "e": "78", "f": [1, None], "g": "2020-01-31", "h": 10**21}
    ]
    for form in ("table", "csv", "markdown"):
        assert cli("query", path, sql, "--format", form)[0] == 0


ENDLESS = "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t"


@pytest.mark.parametrize(
    "sql",
    [
        ENDLESS,
        "select count(*) from range(1000000000000) where range % 7 = random()",
        "select max(a.range * b.range) from range(10000000) a, range(10000000) b",
    ],
)
def test_a_question_without_an_end_is_stopped(made, sql):
    with pytest.raises(InferBenchError, match=r"took more than 0\.3 s, and may have no end"):
        query(made / "folder", sql, 0.3)


def test_more_rows_than_anybody_reads_are_refused(made):
    with pytest.raises(InferBenchError, match="more than 1,000,000 rows"):
        query(made / "folder", "select * from range(1000001)")


@pytest.mark.parametrize("value", ["1/0", "'nan'::double", "'-inf'::double", "1e308 * 10", "null"])
def test_what_is_no_number_is_null(made, cli, value):
    code, out, err = cli("query", str(made / "folder"), f"select {value} as x", "--format", "json")
    assert (code, json.loads(out)["rows"]) == (0, [{"x": None}]), err
    code, out, _ = cli("query", str(made / "folder"), f"select {value} as x")
    assert (code, out.split()) == (0, ["x", "–"])


def test_a_long_text_is_cut_on_the_screen_alone(made, cli):
    sql = "select repeat('x', 100000) as x"
    assert cli("query", str(made / "folder"), sql)[1].count("x") < 1100
    assert cli("query", str(made / "folder"), sql, "--format", "json")[1].count("x") > 100_000
