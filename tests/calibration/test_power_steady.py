"""What happens in a step of a steady load: tokens, the prompts of newcomers, and logits that are sorted."""

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.power import readings_of
from inferbench.evidence.matching import read_rows

pytestmark = pytest.mark.needs_plugins(
    "importers/csv", "chips/h100-sxm", "networks/llama3-8b", "power_models/linear"
)
HEAD = (
    "file,chip,n_chips,tp,software,network,precision,phase,batch,output_len,latency_s,tpot_s,tokens_per_s,"
    "power_w,notes,prompt_len,top_p\n"
)
ROW = "a.json,H100-SXM5-80GB,1,1,vLLM,meta-llama/Meta-Llama-3-8B,bfloat16,decode,8,300,0.01,0.01,{},400,"
# Llama-3-8B by its config: matrices of the layers and of the head, scores and values per position.
BODY = 32 * (2 * 4096 * (32 + 8) * 128 + 3 * 4096 * 14336)
OUTPUT, SCORE = 4096 * 128256, 32 * 4 * 32 * 128


def counts(tmp_path, tail, rate=600):
    """Counts of the one row that a file has."""
    path = tmp_path / "steady.csv"
    path.write_text(HEAD + ROW.format(rate) + tail + "\n")
    registry = ib.Registry()
    rows = [("steady.csv", row) for row in read_rows(path, registry)]
    (reading,), left = readings_of(rows, ["h100-sxm"], (), "ideal", registry)
    assert left == {}
    return {name: float(np.ravel(count)[0]) for name, count in reading.counts.actions.items()}


def test_prompts_of_newcomers_are_counted_among_the_tokens(tmp_path):
    """600 tokens/s at 10 ms are six sequences that write; one in 300 tokens starts with a prompt of 512."""
    tokens = 6 * (2 * (BODY + OUTPUT) + SCORE * (512 + 150))
    prompts = 6 / 300 * (2 * BODY * 512 + 2 * OUTPUT + SCORE * 512**2 / 2)
    found = counts(tmp_path, "steady state,512,")
    assert found["ops"] == pytest.approx(tokens + prompts, rel=0.01)
    assert "logits" not in found


def test_without_a_told_prompt_none_is_counted(tmp_path):
    found = counts(tmp_path, "steady state,,")
    assert found["ops"] == pytest.approx(6 * (2 * (BODY + OUTPUT) + SCORE * 150), rel=0.01)


def test_no_more_sequences_write_than_run(tmp_path):
    """1,600 tokens/s at 10 ms would be sixteen, where eight run."""
    found = counts(tmp_path, "steady state,,", rate=1600)
    assert found["ops"] == pytest.approx(8 * (2 * (BODY + OUTPUT) + SCORE * 150), rel=0.01)


def test_less_than_one_sequence_may_write_on_average(tmp_path):
    """50 tokens/s at 10 ms: one of two steps has a token."""
    found = counts(tmp_path, "steady state,,", rate=50)
    assert found["ops"] == pytest.approx(0.5 * (2 * (BODY + OUTPUT) + SCORE * 150), rel=0.01)


@pytest.mark.parametrize(("top_p", "sorts"), [("0.95", 6 * 128256), ("1", 0), ("", 0)])
def test_logits_are_sorted_where_tokens_are_drawn_with_top_p(tmp_path, top_p, sorts):
    assert counts(tmp_path, f"steady state,512,{top_p}").get("logits", 0) == pytest.approx(sorts)
