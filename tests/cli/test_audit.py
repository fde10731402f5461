"""`claims.toml`: what a package says of its chip, held against what no schedule beats."""

from __future__ import annotations

import pytest

from inferbench.cli.app import run
from inferbench.cli.audit import audit, read_claims
from inferbench.discovery.registry import installed
from inferbench.errors import InferBenchError

OWNER = "inferbench-mine"


def written(folder, *claims):
    """A file of claims of tokens per second of one user on a B200, each with its value and other keys."""
    tables = [
        f"""[[claim]]
says = "claim {number}"
system = "b200"
workload = "llama3-8b/decode"
metric = "tokens_per_s_per_user"
value = {value}
batch = 1
context = 1
{more}
"""
        for number, (value, more) in enumerate(claims, start=1)
    ]
    path = folder / "claims.toml"
    path.write_text("\n".join(tables))
    return path


@pytest.mark.needs_plugins("networks/llama3-8b")
class TestAudit:
    """7.5e9 weights of layers and head take 15 GB in bf16 and 1.9 ms at 8 TB/s: 530 tokens/s, twice as
    many in fp8 and, on 8 chips, 16 times.
    """

    def test_what_the_memory_allows_is_possible(self, tmp_path):
        verdict = audit(installed(), OWNER, written(tmp_path, (400, "")))
        assert verdict.findings == ()
        ((law, said),) = verdict.passed
        assert law == "claims-are-possible"
        assert said == "'claim 1': possible, at 75% of the bound"

    def test_what_a_narrower_format_allows_is_possible_only_with_it(self, tmp_path):
        (found,) = audit(installed(), OWNER, written(tmp_path, (900, ""))).findings
        assert (found.state, found.owner, found.where) == ("doubtful", OWNER, "'claim 1'")
        assert found.found.startswith("possible only with fp8: 900 claimed, the bound is 53")

    def test_what_nothing_allows_is_impossible(self, tmp_path):
        (found,) = audit(installed(), OWNER, written(tmp_path, (1e6, ""))).findings
        assert found.state == "fails"
        assert found.found.startswith("impossible on the chip that the spec describes: 1e+06 claimed")

    def test_an_unknown_metric_is_a_mistake_of_the_author(self, tmp_path):
        path = written(tmp_path, (400, ""))
        path.write_text(path.read_text().replace("tokens_per_s_per_user", "tokens_per_s_per_usr"))
        (found,) = audit(installed(), OWNER, path).findings
        assert found.state == "fails"
        assert found.remedy == "did you mean 'tokens_per_s_per_user'?"

    def test_a_chip_that_nobody_provides_is_not_judged(self, tmp_path):
        path = written(tmp_path, (400, ""))
        path.write_text(path.read_text().replace("b200", "nobody-9"))
        verdict = audit(installed(), OWNER, path)
        assert (verdict.findings, verdict.passed) == ((), ())
        ((what, why),) = verdict.missing
        assert what == "claims-are-possible: 'claim 1'"
        assert "unknown chip" in why

    def test_power_has_no_bound(self, tmp_path):
        path = written(tmp_path, (1, ""))
        path.write_text(path.read_text().replace("tokens_per_s_per_user", "power_w"))
        verdict = audit(installed(), OWNER, path)
        assert (verdict.findings, verdict.passed) == ((), ())
        ((_, why),) = verdict.missing
        assert why == "power_w has no bound: slow software draws less"

    def test_an_energy_below_the_bound_is_doubted(self, tmp_path):
        path = written(tmp_path, (1e-6, ""))
        path.write_text(path.read_text().replace("tokens_per_s_per_user", "joules_per_token"))
        (found,) = audit(installed(), OWNER, path).findings
        assert found.state == "doubtful"

    @pytest.mark.slow
    def test_check_shows_every_verdict(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "120")
        assert run(["new", "metric", "mine", "--dir", str(tmp_path)]) == 0
        written(tmp_path / "inferbench-mine", (400, ""), (900, ""), (1e6, ""))
        capsys.readouterr()
        assert run(["check", str(tmp_path / "inferbench-mine")]) == 1
        out = " ".join(capsys.readouterr().out.split())
        assert "'claim 1' possible, at 75% of the bound" in out
        assert "possible only with fp8" in out
        assert "impossible on the chip" in out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("value = 400", "valu = 400", "claims.toml: claim 1.valu: no key of a claim"),
        ("value = 400\n", "", "claims.toml: claim 1.value: it is missing"),
        ("value = 400", "value = '400'", "'400' is no number"),
        ("value = 400", "value = true", "True is no number"),
        ("value = 400", "value = nan", "nan is no number"),
        ("value = 400", "value = -inf", "-inf is no number"),
        ('system = "b200"', "system = 3", "claim 1.system: 3 is no text"),
        ('says = "claim 1"', "says = []", r"claim 1.says: \[\] is no text"),
    ],
)
def test_a_faulty_file_is_told_with_its_place(tmp_path, old, new, said):
    path = written(tmp_path, (400, ""))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InferBenchError, match=said):
        read_claims(path)
