"""`inferbench.run`: metrics by name, intervals, the best point, plain data, frames and short texts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import inferbench as ib

# The toy's five products of 10,000 by 10,000 weigh 1 GB in bf16 and 500 MB in fp8; a chip holds 600 MB.
BOTH = {"precision": ["bf16", "fp8"], "scenario": "toy"}


@pytest.fixture
def run(toy):
    return ib.run("toy-chip", "toy-net/decode", registry=toy, batch=[1, 8], **BOTH)


class TestRun:
    def test_a_metric_is_an_array_over_the_grid_in_the_order_of_the_axes(self, run):
        times = run["tpot_s"]
        assert times.shape == (2, 1, 2)  # batch, context, precision
        assert times.dtype == np.float64
        assert times[0, 0, 1] == pytest.approx(500e6 / 1e12, rel=1e-3)

    def test_it_is_nan_where_the_point_does_not_fit(self, run):
        assert np.isnan(run["tpot_s"][:, :, 0]).all()
        assert np.isfinite(run["tpot_s"][:, :, 1]).all()

    def test_metrics_are_those_that_the_run_can_have(self, run):
        assert list(run.metrics()) == ["tpot_s"]

    def test_an_unknown_metric_is_answered_with_the_closest_one(self, run):
        with pytest.raises(ib.InferBenchError, match="no metric 'tpot'\n  did you mean 'tpot_s'"):
            run["tpot"]

    def test_the_best_point_is_a_mapping_of_its_axes(self, run):
        best = run.best("tpot_s")
        assert (best["batch"], best["context"], best["precision"]) == (1.0, 16.0, "fp8")
        assert best["layout"] == "tp1"
        assert best["tpot_s"] == run["tpot_s"][0, 0, 1]

    def test_nothing_is_best_where_nothing_fits(self, toy):
        run = ib.run("toy-chip", "toy-net/decode", registry=toy, scenario="toy", stack="ideal")
        assert run.best("tpot_s") is None

    def test_a_metric_without_interval_says_so(self, run):
        with pytest.raises(ib.InferBenchError, match="'tpot_s' has no interval"):
            run.interval("tpot_s")

    def test_the_text_is_short_and_says_what_was_asked(self, run):
        text = repr(run)
        assert len(text) < 200
        assert "toy-chip toy-net/decode" in text
        assert "2 of 4 points fit" in text

    def test_doubts_of_the_workload_come_with_the_run(self, toy):
        run = ib.run("toy-chip", "toy-net/decode", registry=toy, context=64, scenario="toy", stack="ideal")
        assert list(run.notes.values()) == ["context 64 is beyond the 32 positions of Toy net"]

    def test_it_survives_pickling(self, toy):
        run = ib.run(
            "toy-chip", "toy-net/decode", registry=toy, precision="fp8", scenario="toy", stack="ideal"
        )
        plain = ib.installed() if "toy" in ib.installed().names("scenarios") else None
        view = pickle.loads(pickle.dumps(run.view))
        assert view.registry is (plain or ib.installed())


class TestFrames:
    @pytest.mark.parametrize("library", ["pandas", "polars"])
    def test_a_frame_has_a_row_per_point(self, run, library):
        pytest.importorskip(library)
        frame = run.to_frame(library)
        assert frame.shape[0] == 4
        assert list(frame["precision"]) == ["bf16", "fp8", "bf16", "fp8"]
        assert frame["tpot_s"][1] == run["tpot_s"][0, 0, 1]

    def test_another_library_is_refused(self, run):
        with pytest.raises(ib.InferBenchError, match="'panda' makes no frames here\n  did you mean 'pandas'"):
            run.to_frame("panda")

    def test_a_library_that_is_not_installed_names_the_extra(self, run, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "polars", None)
        with pytest.raises(ib.InferBenchError, match=r"pip install 'inferbench-core\[frames\]'"):
            run.to_frame("polars")

    def test_the_page_of_a_notebook_escapes_what_it_shows(self, run):
        import attrs

        page = attrs.evolve(run, notes={"x": "<script>"})._repr_html_()
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


@pytest.mark.needs_plugins("chips/groq-lpu", "stacks/vllm-h100", "networks/llama3-8b")
class TestOnRealChips:
    def test_a_notebook_gets_the_remarks_of_the_screen(self):
        run = ib.run("336xgroq-lpu", "llama3-70b/decode", precision="fp8", stack="ideal")
        assert any("7 to 400 times lower" in note for note in run.notes.values())

    def test_an_interval_lies_around_its_metric(self):
        run = ib.run("h100-sxm", "llama3-8b/decode", stack="vllm-h100", batch=[1, 8, 64])
        low, high = run.interval("tpot_s")
        assert (low < run["tpot_s"]).all()
        assert (high > run["tpot_s"]).all()
        row = run.to_dict()["results"][0]["metrics"]
        assert (row["tpot_s_low"], row["tpot_s_high"]) == (low[0, 0, 0], high[0, 0, 0])

    def test_under_ideal_software_no_end_is_known(self):
        run = ib.run("h100-sxm", "llama3-8b/decode", stack="ideal")
        assert all(np.isnan(end).all() for end in run.interval("tpot_s"))

    def test_the_most_throughput_per_chip_is_at_the_largest_batch(self):
        run = ib.run("h100-sxm", "llama3-8b/decode", batch=[1, 8, 64], stack="ideal")
        assert run.best("tokens_per_s_per_chip")["batch"] == 64.0
        assert run.best("tpot_s")["batch"] == 1.0
