"""Each file is read by exactly one importer, and whoever declines says why."""

import pytest

RUN = "mlperf/results/acme-8xH200/llama2-70b/Server/performance/run_1"
OWNERS = {
    "vllm.json": "vllm",
    "vllm_spec.json": "vllm",
    "sglang.jsonl": "sglang",
    "inferencex.json": "inferencex",
    f"{RUN}/mlperf_log_summary.txt": "mlperf",
    f"{RUN}/spl.txt": "mlperf",
    "aiperf.json": "aiperf",
    "aiperf_records.json": "aiperf",
    "guidellm.json": "guidellm",
    "llama_bench.json": "llama-bench",
    "llama_bench.csv": "llama-bench",
    "optimum/benchmark_report.json": "optimum",
    "ml_energy_run.json": "ml-energy",
    "ml_energy_rows.json": "ml-energy",
    "zeus.csv": "zeus",
    "nvidia_smi.csv": "nvidia-smi",
    "dcgm.prom": "prometheus",
    "dcgm_scrape.prom": "prometheus",
    "table.csv": "csv",
    "console.log": "console",
    "amd_smi.csv": "amd-smi",
    "silicon.csv": "aiconfigurator",
    "pareto.csv": "aiconfigurator",
    "llama_bench.md": "llama-bench",
    "vllm_runs.csv": "vllm",
    "guidellm.yaml": "guidellm",
}


def test_every_importer_has_a_fixture(registry):
    assert set(registry.names("importers")) == set(OWNERS.values())
    assert not registry.problems


@pytest.mark.parametrize(("name", "owner"), OWNERS.items())
def test_one_importer_alone_accepts_it(registry, fixtures, name, owner):
    path = fixtures / name
    answers = {
        one: registry.get("importers", one).sniff(path, path.read_text())
        for one in registry.names("importers")
    }
    assert [one for one, why in answers.items() if not why] == [owner]


@pytest.mark.parametrize("name", OWNERS)
def test_every_fixture_is_read_without_a_doubt(registry, read, name):
    assert read(name)
    assert registry.warnings == []


@pytest.mark.parametrize(
    "text", ["", "\n", "{", "a,b\n1,2\n", '{"architectures": ["X"], "hidden_size": 8}', "\ufeff"]
)
def test_sniffing_anything_declines_with_a_reason(registry, written, text):
    path = written(text or " ")
    for name in registry.names("importers"):
        assert registry.get("importers", name).sniff(path, text)
