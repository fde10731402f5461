"""Which software stands for a system: the one written, or the nearest that was measured."""

from __future__ import annotations

import math

import attrs
import pytest

import inferbench as ib
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.model.choice import BEST, ForeignStack, choose, likeness, scaled, serving
from inferbench.model.citing import cited
from inferbench.records.choice import GRADES, Choice

pytestmark = pytest.mark.needs_plugins(
    "chips/gb200", "chips/groq-lpu", "stacks/groq-2024", "workloads/moe", "networks/sdxl"
)


KNOWN = ib.installed()


def chosen(wanted, chip, network="llama3-8b", phase="decode", precision="bf16", **more):
    return choose(wanted, KNOWN.chip(chip), KNOWN.network(network), phase, precision, KNOWN, **more)


@pytest.mark.parametrize(
    ("text", "stack"),
    [("b200@trtllm", "trtllm"), ("8xh100:tp8@vllm-h100", "vllm-h100"), ("h100@./my.toml", "./my.toml")],
)
def test_software_stands_after_the_system(text, stack):
    assert ib.SystemName.parse(text).stack == stack
    assert ib.SystemName.parse(text.partition("@")[0]).stack is None


@pytest.mark.parametrize(
    ("text", "found"),
    [("b200@", "no software stands after '@'"), ("b200@ ", "no software"), ("b200@a@b", "stands twice")],
)
def test_one_stack_stands_after_one_sign(text, found):
    with pytest.raises(InferBenchError, match=found):
        ib.SystemName.parse(text)


@pytest.mark.parametrize("chip", ["h100-sxm", "b200", "a100-sxm-80gb"])
def test_the_best_is_of_the_chip_itself_where_one_was_fitted_on_it(chip):
    for phase in ("decode", "prefill"):
        found = chosen(BEST, chip, phase=phase)
        assert chip in found.stack.domain.chips
        assert found.grade == "calibrated"


def test_a_format_that_a_stack_was_fitted_in_weighs_more_than_its_host_time():
    assert "fp8" in chosen(BEST, "h100-sxm", precision="fp8").stack.domain.precisions


@pytest.mark.parametrize(
    ("chip", "origin"), [("h100-nvl", "h100-sxm"), ("gb200", "b200"), ("wse-2", "wse-3")]
)
def test_else_it_is_of_the_most_alike_sibling(chip, origin):
    found = chosen(BEST, chip, precision="fp16" if chip == "wse-2" else "bf16")
    assert (found.grade, found.origin) == ("transferred", origin)


def test_images_take_software_that_makes_images():
    assert "image" in chosen(BEST, "h100-sxm", "sdxl", "image").stack.domain.phases


def test_another_vendor_and_another_memory_are_no_siblings():
    for chip in ("rtx-4090", "l4", "jetson-thor"):
        assert chosen(BEST, chip).grade in ("class", "bound")
    h100 = KNOWN.stack("trtllm-1.3")
    near = [likeness(h100, KNOWN.chip(name), KNOWN) for name in ("h100-sxm", "h200", "l4", "mi300x")]
    assert near == [0, 1, 2, 3]


def test_a_family_takes_its_nearest_stack():
    assert chosen("vllm", "h200").stack.name == "vllm-serving-h200"
    assert chosen("trtllm", "b200").stack.domain.chips == ("b200",)
    assert chosen("VLLM", "mi300x").stack.name == "vllm-mi300x"
    assert chosen("VLLM", "l4").grade == "transferred"
    # Collectives alone are no software that runs a network.
    assert (
        "gemm" in chosen("vllm", "b200", precision="fp8").stack.figures.efficiency["compute"]
        or chosen("vllm", "b200", precision="fp8").stack.based_on
    )


def test_ideal_is_the_bound():
    found = chosen("ideal", "mi300x")
    assert found.stack.ideal
    assert found.grade == "bound"


def test_a_stack_of_another_architecture_says_who_serves_the_chip():
    with pytest.raises(ForeignStack) as caught:
        chosen("groq-2024", "b200")
    fault = caught.value.faults[0]
    assert "dataflow" in fault.found
    assert "trtllm-1.3-b200" in fault.remedy
    assert chosen("groq-2024,best", "b200").stack.domain.chips == ("b200",)
    assert chosen("groq-2024,best", "groq-lpu").stack.name == "groq-2024"


def test_an_unknown_name_gets_the_closest_and_who_serves_the_chip():
    with pytest.raises(InferBenchError) as caught:
        chosen("vlm", "b200")
    assert "did you mean 'vllm'" in str(caught.value)
    assert "trtllm-1.3-b200" in str(caught.value)


def test_every_stack_that_serves_a_chip_runs_on_it():
    for chip in map(KNOWN.chip, ("b200", "wse-3", "tpu-v5p")):
        assert all(chip.architecture_type in stack.architectures for stack in serving(chip, KNOWN))


def test_grades_follow_what_a_stack_was_fitted_on():
    fitted = KNOWN.stack("vllm-h100")
    assert Choice.of(fitted, "h100-sxm").grade == "calibrated"
    assert Choice.of(fitted, "h200").grade == "transferred"
    assert Choice.of(attrs.evolve(fitted, grade="class"), "h200").grade == "class"
    assert Choice.of(KNOWN.stack("ideal"), "h200").grade == "bound"


def test_a_point_outside_the_box_is_transferred():
    run = ib.run("h100@vllm-h100", "llama3-8b/decode", batch=[1, 4096], context=128)
    assert [GRADES[code] for code in run.grade.ravel()] == ["calibrated", "transferred"]
    assert GRADES[ib.run("h100@ideal", "llama3-8b/decode").grade.ravel()[0]] == "bound"
    assert ib.run("h100@ideal", "llama3-8b/decode", stack="vllm").stack.ideal


def test_software_of_others_leaves_the_other_columns_alone():
    table = ib.compare(["b200", "groq-lpu"], "llama3-8b/decode", precision="int8", stack="groq-2024")
    refused, served = table.runs
    assert not refused.feasible.any()
    assert refused.reasons[0].code == "stack"
    assert served.feasible.all()
    assert any("trtllm-1.3-b200" in note for note in table.notes)
    with pytest.raises(ForeignStack):
        ib.compare(["b200@groq-2024", "groq-lpu"], "llama3-8b/decode", precision="int8")


@pytest.mark.needs_plugins("stacks/tensorrt-llm-h100", "stacks/trtllm-1.3", "stacks/trtllm-serving-h100")
@pytest.mark.parametrize(
    ("software", "phase", "name"),
    [
        ("trtllm-1.0.0rc3", "decode", "trtllm-serving-h100"),
        ("TensorRT-LLM 0.11", "decode", "tensorrt-llm-h100"),
        ("TRTLLM-1.3.0rc10", "op", "trtllm-1.3"),
    ],
)
def test_whole_steps_are_of_a_stack_that_knows_the_host(software, phase, name):
    """A name of kernels alone is not taken for a server: its steps would have no host time."""
    registry = ib.installed()
    assert cited(registry, registry.chip("h100-sxm"), software, phase).name == name


def test_a_head_says_what_its_stack_says():
    heads = {head.name: head for head in KNOWN.heads()}
    assert set(heads) == {stack.name for stack in KNOWN.stacks()}
    for stack in KNOWN.stacks():
        head = heads[stack.name]
        for name in ("architectures", "vendors", "software", "family", "grade", "based_on"):
            assert getattr(head, name) == getattr(stack, name), (stack.name, name)
        assert (head.domain.chips, head.domain.phases) == (stack.domain.chips, stack.domain.phases)
        assert head.fit.rows == stack.fit.rows


def test_a_damaged_stack_of_somebody_else_costs_only_itself(tmp_path, plugin):
    """It is left out and reported, and the chip is served by the others."""
    (tmp_path / "torn.toml").write_text('title = "Torn\n')
    known = Registry()
    known.load("torn", lambda: plugin(inferbench_stacks=lambda: [tmp_path]), "inferbench-torn", "1")
    found = choose("best", known.chip("b200"), known.network("llama3-8b"), "decode", "bf16", known)
    assert "b200" in found.stack.domain.chips
    assert [(one.owner, one.where) for one in known.problems] == [("inferbench-torn", "stacks/torn")]
    assert "torn.toml: not valid TOML" in known.problems[0].message


@pytest.mark.needs_plugins("stacks/vllm-h100", "stacks/vllm-serving-h100", "stacks/trtllm-serving-b200")
def test_today_s_servers_serve_where_a_newer_version_was_measured():
    """Static batches of 2024 are left to measurements that cite them."""
    for wanted, chip in ((BEST, "h100-sxm"), ("vllm", "h100-sxm"), ("trtllm", "b200"), (BEST, "b200")):
        assert chosen(wanted, chip).stack.versions[-1] == ""
    registry = ib.installed()
    h100 = registry.chip("h100-sxm")
    assert cited(registry, h100, "vLLM", "decode", loaded=False).name == "vllm-h100"
    assert cited(registry, h100, "vLLM", "decode", loaded=True).name == "vllm-serving-h100"


@pytest.mark.needs_plugins("stacks/trtllm-serving-b200-block", "networks/deepseek-v3")
def test_scales_per_block_run_in_kernels_of_their_own():
    found = choose("trtllm", KNOWN.chip("b200"), KNOWN.network("deepseek-v3"), "decode", "fp8", KNOWN)
    assert found.stack.name == "trtllm-serving-b200-block"
    assert found.stack.host == KNOWN.stack("trtllm-serving-b200").host
    mine, table = (stack.tables["launch"][0] for stack in (found.stack, KNOWN.stack("trtllm-1.3-b200-block")))
    assert mine["gemm.fp8"] == table["gemm.fp8"]
    # The library's table times DeepGEMM's experts, and its server runs FlashInfer's.
    assert mine["gemm.experts.fp8"] != table["gemm.experts.fp8"]


@pytest.mark.needs_plugins("stacks/trtllm-serving-b200", "networks/deepseek-v3")
def test_a_stack_says_itself_whose_place_it_takes_for_scales_per_block():
    base = KNOWN.stack("trtllm-serving-b200")
    plain = attrs.evolve(base, name="plain", block_scales_of="")
    mine = attrs.evolve(base, name="grouped", block_scales_of="plain")
    known = KNOWN.with_records("stacks", [plain, mine])
    network = known.network("deepseek-v3")
    assert scaled(plain, network, ["fp8"], known).name == "grouped"
    assert scaled(mine, network, ["fp8"], known) is mine  # nobody takes its place, whatever its name
    assert scaled(plain, network, ["bf16"], known) is plain


def test_a_stack_of_one_chip_comes_before_one_of_eight():
    """SGLang on B200 was measured on 8 chips alone, TensorRT-LLM on 1 to 8."""
    one = chosen("best", "b200", "llama3-70b", precision="fp8").stack
    assert one.domain.counts[0] == 1


@pytest.mark.needs_plugins("networks/deepseek-v3", "chips/h200")
def test_a_stack_of_a_file_stays_where_none_takes_its_place(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\n[time]\nmodel = "roofline"\n')
    known = ib.installed()
    mine = known.stack(str(path))
    assert scaled(mine, known.network("deepseek-v3"), ["fp8"], known) is mine


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
class TestDoubts:
    """Of two stacks of one family the one of the smaller log standard error at the point is taken."""

    def chosen(self, first: dict, second: dict, count: int = 1) -> str:
        known = ib.installed()
        plain = known.stack("vllm-h100")

        def made(name: str, step: float, error: float = 5.0, **box: object) -> ib.Stack:
            usual = {"chips": ("h100-sxm",), "precisions": ("bf16",), "phases": ("decode",), "counts": (1, 8)}
            return attrs.evolve(
                plain,
                name=name,
                family="made",
                versions=(),
                fit=attrs.evolve(plain.fit, step=step, steps={}, error=error),
                domain=attrs.evolve(plain.domain, **{**usual, **box}),
            )

        both = known.with_records("stacks", [made("made-one", **first), made("made-two", **second)])
        chip, network = both.chip("h100-sxm"), both.network("llama3-8b")
        return choose("made", chip, network, "decode", "bf16", both, count).stack.name

    @pytest.mark.parametrize(
        ("first", "second", "count", "name"),
        [
            ({"step": 0.2}, {"step": 0.1}, 1, "made-two"),
            # A stack that knows no host counts as one of 0.15.
            ({"step": math.nan}, {"step": 0.14}, 1, "made-two"),
            ({"step": math.nan}, {"step": 0.16}, 1, "made-one"),
            # Formats that were not seen are 0.25 in quadrature: 0.1 becomes 0.269.
            ({"step": 0.26}, {"step": 0.1, "precisions": ("fp8",)}, 1, "made-one"),
            ({"step": 0.28}, {"step": 0.1, "precisions": ("fp8",)}, 1, "made-two"),
            ({"step": 0.01}, {"step": 0.005, "precisions": ()}, 1, "made-two"),
            # Sixteen chips are a doubling beyond eight: a tenth; 0.1 becomes 0.141. One is three below eight.
            ({"step": 0.14, "counts": (1, 16)}, {"step": 0.1}, 16, "made-one"),
            ({"step": 0.145, "counts": (1, 16)}, {"step": 0.1}, 16, "made-two"),
            ({"step": 0.31}, {"step": 0.1, "counts": (8, 8)}, 1, "made-one"),
            ({"step": 0.32}, {"step": 0.1, "counts": (8, 8)}, 1, "made-two"),
            # Of equals the one that erred less on rows left out.
            ({"step": 0.1, "error": 9.0}, {"step": 0.1, "error": 4.0}, 1, "made-two"),
            ({"step": 0.1, "error": 4.0}, {"step": 0.1, "error": math.nan}, 1, "made-one"),
        ],
    )
    def test_the_surer_one_is_taken(self, first, second, count, name):
        assert self.chosen(first, second, count) == name
        turned = {"made-one": "made-two", "made-two": "made-one"}
        assert self.chosen(second, first, count) == turned[name]
