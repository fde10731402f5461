"""What engines do by default."""

from __future__ import annotations

import pytest

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.records.scheduler import Scheduler
from inferbench.serving.engine import Rules
from inferbench.serving.schedulers import rules_of, scheduler_of
from inferbench.specs.assemble_stack import stack_from


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        ("trtllm-serving-h100", ("chunked", 3000.0, True)),
        ("sglang-serving-h100", ("interleaved", 8192.0, False)),
        ("vllm-serving-h100", ("chunked", 2048.0, False)),
        ("atom-mi355x", ("interleaved", 8192.0, False)),
        ("neuronx", ("interleaved", 4096.0, False)),
    ],
)
@pytest.mark.needs_plugins(
    "stacks/trtllm-serving-h100",
    "stacks/sglang-serving-h100",
    "stacks/vllm-serving-h100",
    "stacks/atom-mi355x",
    "stacks/neuronx",
)
def test_engines_have_policies_limits_and_ways_to_let_requests_in(stack, said):
    found = rules_of(ib.installed().stack(stack), longest=3000.0)
    assert (found.policy, found.chunk, found.whole) == said


def read(text, **others):
    """A stack of a file, and of the files that it names."""
    return stack_from(text.encode(), "s", "s.toml", lambda name: read(others[name]))


def test_a_file_says_how_its_engine_takes_requests():
    """Prompts in steps of 512, alone; a request enters when all of its answer has room."""
    stack = read('title = "S"\n[scheduler]\npolicy = "interleaved"\nchunk = 512\nwhole = true\n')
    found = rules_of(stack)
    assert (found.policy, found.chunk, found.whole, found.turns) == ("interleaved", 512.0, True, False)
    assert rules_of(stack, policy="chunked", chunk=64.0).chunk == 64.0


def test_what_was_compiled_bounds_the_sequences_and_fills_steps():
    """A step computes 8 sequences of 1,024 positions: no more are in it, and a prompt takes them all."""
    text = 'title = "S"\n[scheduler]\ncomputed_batch = 8\ncomputed_positions = 1024\n'
    found = rules_of(read(text))
    assert (found.compiled, found.most, found.chunk) == ((8.0, 1024.0), 8.0, 1024.0)
    told = rules_of(read(text), Rules(compiled=(4.0, 2048.0)))
    assert (told.compiled, told.most, told.chunk) == ((4.0, 2048.0), 4.0, 2048.0)


def test_a_step_as_long_as_the_longest_request_needs_to_know_it():
    stack = read('title = "S"\n[scheduler]\nlongest = true\nchunk = 4096\n')
    assert (rules_of(stack, longest=700.0).chunk, rules_of(stack).chunk) == (700.0, 4096.0)


def test_what_a_stack_is_based_on_schedules_for_it():
    base = 'title = "B"\n[scheduler]\nchunk = 512\n'
    assert rules_of(read('title = "S"\nbased_on = "b"\n', b=base)).chunk == 512.0
    own = 'title = "S"\nbased_on = "b"\n[scheduler]\nchunk = 64\n'
    assert rules_of(read(own, b=base)).chunk == 64.0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('policy = "random"', "s.toml: scheduler.policy"),
        ("chunk = -1", "s.toml: scheduler.chunk"),
        ("computed_batch = inf", "s.toml: scheduler.computed_batch"),
        ("chunks = 512", "s.toml: scheduler.chunks"),
        ('whole = "yes"', "s.toml: scheduler.whole"),
    ],
)
def test_a_key_that_means_nothing_is_refused_where_it_stands(line, said):
    with pytest.raises(InferBenchError) as caught:
        read(f'title = "S"\n[scheduler]\n{line}\n')
    (fault,) = caught.value.faults
    assert fault.where == said


@pytest.mark.needs_plugins("stacks/trtllm-1.3", "stacks/trtllm-serving-h100")
def test_a_stack_of_kernels_schedules_as_its_family_says():
    known = ib.installed()
    stack = known.stack("trtllm-1.3")
    assert stack.scheduler is None
    assert scheduler_of(stack, known) == known.stack("trtllm-serving-h100").scheduler


@pytest.mark.needs_plugins("stacks/trtllm-serving-h100", "stacks/sglang-serving-h100")
@pytest.mark.parametrize(
    ("software", "policy"),
    [("SGLang-0.5.9", "interleaved"), ("TensorRT-LLM 0.17", "chunked"), ("new", "chunked")],
)
def test_the_software_that_ran_schedules_whatever_stands_for_it(software, policy):
    known = ib.installed()
    for name in ("trtllm-serving-h100", "ideal"):
        assert rules_of(known.stack(name), software=software, registry=known).policy == policy


def test_engines_that_say_nothing_take_prompts_beside_tokens_in_steps_of_8192():
    assert scheduler_of(read('title = "S"\n')) == Scheduler()
    assert (Scheduler().policy, Scheduler().tokens) == ("chunked", 8192.0)
