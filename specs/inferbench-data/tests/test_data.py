"""The shipped tables: checked by hash, described column by column, true to figures read in their sources."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from importlib.resources import files
from pathlib import Path

import inferbench_data
import numpy as np
import pytest
from inferbench_data.__main__ import main as command
from inferbench_data.manifest import manifest

import inferbench as ib

PACKAGE = Path(str(files("inferbench_data")))
NAMES = inferbench_data.names()
# Licences that let figures be passed on; others may be here with their citation alone.
OPEN = ("Apache-2.0", "BSD-3-Clause", "MIT", "CC-BY-SA-4.0")
# What may be zero or below: flags, degrees of nothing. Everything else that was measured is above zero.
ZEROS = ("power_suspect", "power_ok", "adc_bits")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the package's files that a test may break."""
    shutil.copytree(PACKAGE / "tables", tmp_path / "tables")
    monkeypatch.setattr("inferbench_data.reading.files", lambda name: tmp_path)
    return tmp_path / "tables"


def refusal(call, *arguments):
    with pytest.raises(ib.InferBenchError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
class TestEveryTable:
    def test_it_is_read_and_as_long_as_the_manifest_says(self, name):
        table = inferbench_data.table(name)
        assert len(table) == table.info.rows > 0
        assert all(len(values) == len(table) for values in table.columns.values())
        assert len(list(table.rows())) == len(table)

    def test_figures_are_above_zero_where_they_are(self, name):
        table = inferbench_data.table(name)
        for column, values in table.columns.items():
            if not isinstance(values, tuple) and column not in ZEROS:
                known = values[~np.isnan(values)]
                assert np.all(known > 0), column

    def test_no_column_is_empty(self, name):
        for column, values in inferbench_data.table(name).columns.items():
            known = any(values) if isinstance(values, tuple) else bool(np.any(~np.isnan(values)))
            assert known, column

    def test_what_was_inferred_names_columns_of_the_table(self, name):
        table = inferbench_data.table(name)
        if "assumed" in table.columns:
            assert {word for cell in table.texts("assumed") for word in cell.split()} <= set(table.columns)
        texts = [values for values in table.columns.values() if isinstance(values, tuple)]
        assert not any("(assumed)" in cell for values in texts for cell in values)

    def test_it_says_where_it_comes_from(self, name):
        info = inferbench_data.info(name)
        assert info.title
        assert info.sources
        for source in info.sources:
            assert source.title
            assert source.url.startswith("https://")
            assert source.licence in ("", *OPEN)

    def test_each_row_of_several_sources_cites_one_of_them(self, name):
        table = inferbench_data.table(name)
        begins = tuple(begin for source in table.info.sources for begin in source.begins)
        if len(table.info.sources) > 1:
            assert all(cell.startswith(begins) for cell in table.texts("source"))
        # Without a licence there is a citation per row: a file of the one source, or a source.
        if not all(source.licence for source in table.info.sources):
            assert all(any(row.get(column) for column in ("source", "file")) for row in table.rows())

    def test_its_hash_is_of_its_text(self, name):
        text = gzip.decompress((PACKAGE / "tables" / f"{name}.csv.gz").read_bytes())
        assert hashlib.sha256(text).hexdigest() == inferbench_data.info(name).sha256
        assert len(inferbench_data.info(name).origin) == 64

    def test_unpacked_it_is_what_the_hash_says(self, name, tmp_path):
        path = inferbench_data.unpack(name, tmp_path)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == inferbench_data.info(name).sha256


def test_nothing_ships_that_the_manifest_does_not_describe():
    assert {file.name.removesuffix(".csv.gz") for file in (PACKAGE / "tables").iterdir()} == set(NAMES)
    used = {column for name in NAMES for column in inferbench_data.table(name).columns}
    assert used == set(manifest().columns)


def test_the_notice_names_every_source():
    notice = (Path(__file__).parents[1] / "NOTICE").read_text("utf-8")
    for name in NAMES:
        for source in inferbench_data.info(name).sources:
            assert source.holder in notice
            repository = source.title.split(":")[0]
            assert "/" not in repository.split()[0] or repository.split()[0] in notice, source.name


def test_the_package_is_small():
    assert sum(file.stat().st_size for file in (PACKAGE / "tables").iterdir()) < 2e6


def one(name, **wanted):
    rows = [row for row in inferbench_data.table(name).rows() if wanted.items() <= row.items()]
    assert rows, wanted
    return rows


class TestFigures:
    """Figures that stand in the sources, in SI units."""

    def test_a_static_batch(self):
        """LLM-Inference-Bench at 4211f5d: Llama 3 8B, vLLM, A100, batch 1, 1024 in and out: 14.936 s,
        228.8 W.
        """
        rows = one(
            "llm_end_to_end",
            chip="A100-SXM4-40GB",
            software="vLLM",
            batch=1.0,
            input_len=1024.0,
            network="meta-llama/Meta-Llama-3-8B",
            file="Plots/Fig_16_a_b/power_results.csv",
        )
        assert rows[0]["latency_s"] == pytest.approx(14.936, abs=5e-4)
        assert rows[0]["power_w"] == pytest.approx(228.8, abs=0.06)

    def test_a_vision_transformer(self):
        """AITemplate, examples/04_vit: ViT-B/16, batch 256 on an A100 in PyTorch: 115 ms."""
        rows = one(
            "vision_published",
            chip="A100-40GB",
            software="PyTorch-1.12 eager",
            network="ViT-B/16",
            batch=256.0,
        )
        assert 0.115 in [row["latency_s"] for row in rows]

    def test_a_socketed_dataflow_chip(self):
        """SN40L, Llama 3 8B, batch 1, 1024 tokens in and out: 1.58428 s on eight sockets."""
        rows = one(
            "dataflow_published",
            chip="SambaNova SN40L",
            batch=1.0,
            input_len=1024.0,
            network="meta-llama/Meta-Llama-3-8B",
        )
        assert [(row["latency_s"], row["n_chips"]) for row in rows] == [(1.58428, 8.0)]

    def test_a_macro(self):
        """Sinangil et al., JSSC 2021: 7 nm, 351 TOPS/W, 372.4 GOPS, 5.5 ns a pass, 0.0032 mm2."""
        (row,) = one("imc_macros", design="sinangil_0.8V")
        assert row["node_m"] == pytest.approx(7e-9)
        assert row["ops_per_j"] == pytest.approx(351e12)
        assert row["ops_per_s"] == pytest.approx(372.4e9)
        assert row["pass_s"] == pytest.approx(5.5e-9)
        assert row["area_m2"] == pytest.approx(0.0032e-6)

    def test_the_key_that_a_new_token_adds_is_among_those_it_reads(self):
        table = inferbench_data.table("attention_other_libraries")
        decode = np.array([phase == "decode" for phase in table.texts("phase")])
        assert np.all(table.numbers("queries")[decode] == 1.0)
        # Caches were filled to powers of two: 1023 positions and the new one are 1024 keys.
        assert 1024.0 in table.numbers("input_len")[decode]

    def test_a_cycle_count_by_hand(self):
        """128 x 128, weights stay, 1 x 512 x 512: 16 folds of 128 + 1 + 254 cycles, counted from 0."""
        rows = one("systolic_cycles", m=1.0, n=512.0, k=512.0, rows=128.0, dataflow="ws")
        assert {row["cycles"] for row in rows} == {16.0 * 383.0 - 1.0}

    def test_power_times_time_is_energy_in_every_unit(self):
        for name, per in (("gemm", 1.0), ("llm_end_to_end", 1.0), ("diffusion_energy", "batch")):
            table = inferbench_data.table(name)
            share = 1.0 if per == 1.0 else table.numbers("batch")
            ratio = table.numbers("power_w") * table.numbers("latency_s") / share / table.numbers("energy_j")
            known = ratio[~np.isnan(ratio)]
            assert len(known) > 20
            assert np.max(np.abs(known - 1.0)) < 0.01

    def test_power_at_the_wall_is_more_than_that_of_an_idle_server(self):
        table = inferbench_data.table("wall_power")
        idle, busy = table.numbers("idle_power_w"), table.numbers("power_w")
        known = ~np.isnan(idle)
        assert np.all(busy[known] > idle[known])

    def test_nothing_uses_more_chips_than_there_are(self):
        for name in ("serving", "serving_current", "other_vendors", "nvidia_multichip"):
            table = inferbench_data.table(name)
            chips, tp = table.numbers("n_chips"), table.numbers("tp")
            known = ~np.isnan(chips * tp)
            assert np.all(tp[known] <= chips[known]), name


class TestRefusals:
    def test_an_unknown_table_names_the_closest(self):
        said = refusal(inferbench_data.table, "gem")
        assert said == "gem: no table of inferbench-data has this name\n  did you mean 'gemm'?"

    def test_a_name_like_nothing_lists_what_is_known(self):
        assert "known are" in refusal(inferbench_data.table, "zzzzzzzz")

    def test_an_unknown_column_names_the_closest(self):
        table = inferbench_data.table("gemm")
        assert (
            refusal(table.numbers, "latency") == "gemm.latency: no such column\n  did you mean 'latency_s'?"
        )

    def test_text_is_no_number(self):
        table = inferbench_data.table("gemm")
        assert "holds text" in refusal(table.numbers, "chip")
        assert "holds numbers" in refusal(table.texts, "m")

    def test_a_file_that_is_cut_short(self, copied):
        file = copied / "moe.csv.gz"
        file.write_bytes(file.read_bytes()[:-100])
        assert "moe.csv.gz: it can't be unpacked" in refusal(inferbench_data.table, "moe")

    def test_a_file_of_something_else(self, copied):
        (copied / "moe.csv.gz").write_bytes(b"chip\nmine\n")
        assert "it can't be unpacked" in refusal(inferbench_data.table, "moe")

    def test_a_figure_that_was_changed(self, copied):
        file = copied / "moe.csv.gz"
        file.write_bytes(
            gzip.compress(gzip.decompress(file.read_bytes()).replace(b"0.00022999", b"0.00012999"))
        )
        said = refusal(inferbench_data.table, "moe")
        assert "its content is another" in said
        assert said.endswith("install inferbench-data again")

    def test_a_file_that_is_missing(self, copied):
        (copied / "moe.csv.gz").unlink()
        assert "it can't be unpacked" in refusal(inferbench_data.table, "moe")

    def test_a_folder_that_is_not_there(self, tmp_path):
        assert "can't be written" in refusal(inferbench_data.unpack, "moe", tmp_path / "nowhere")


class TestCommand:
    def test_it_lists(self, capsys):
        assert command([]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(NAMES)
        assert any(line.startswith("gemm ") and "Apache-2.0" in line for line in lines)

    def test_it_writes(self, tmp_path, capsys):
        assert command(["moe", "gemm", "--to", str(tmp_path)]) == 0
        assert sorted(file.name for file in tmp_path.iterdir()) == ["gemm.csv", "moe.csv"]

    def test_it_refuses(self, capsys):
        assert command(["mo"]) == 2
        assert "did you mean 'moe'?" in capsys.readouterr().err


def test_meanings_have_units():
    table = inferbench_data.table("gemm")
    assert table.meaning("latency_s").unit == "s"
    assert table.meaning("chip").unit == ""
    assert repr(table).startswith("<table gemm: 6876 rows of chip, ")
