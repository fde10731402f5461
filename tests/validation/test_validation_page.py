"""The figures of the validation page that stand in no stack are what the tools print on the published
measurements.
"""

from __future__ import annotations

import pytest

POWER = "plugins/inferbench-power/tools"

pytestmark = pytest.mark.needs_plugins("chips/b200", "stacks/trtllm-1.3-b200", "stacks/vllm-h100")


@pytest.fixture(scope="module")
def page(tool):
    pytest.importorskip("matplotlib")
    return tool("tools/validation_page.py")


def test_power_of_language_models_is_what_its_tool_prints(page, tool, capsys):
    tool(f"{POWER}/fit_power.py").main()
    printed = capsys.readouterr().out
    _, rows, error, _, _, _, constant, _ = page.POWER
    _, inside, n, _ = page.POWER_COVERAGE[0]
    assert f"left out {error}%, constant {constant}%" in printed.splitlines()[-2]
    assert f"{inside} of {n} rows" in printed
    assert int(rows) == n


@pytest.mark.parametrize(("table", "which", "k"), [("gemm", "product", 0), ("attention", "attention", 1)])
def test_power_of_kernels_is_what_its_tool_prints(page, tool, capsys, table, which, k):
    fit = tool(f"{POWER}/fit_kernel_power.py")
    products = fit.study(fit.read("gemm", fit.product))
    if which == "attention":
        capsys.readouterr()
        fit.study(fit.read(table, fit.attention), next(iter(products.values())).byte)
    last = capsys.readouterr().out.splitlines()[-1]
    _, rows, error, random, _, _, constant, _ = page.KERNEL_POWER[k]
    _, inside, n, _ = page.POWER_COVERAGE[1 + k]
    assert (
        f"all: {rows} rows, groups left out {error}%, rows left out {random}%, constant {constant}%" in last
    )
    assert f"{inside} in their intervals" in last
    assert int(rows) == n
