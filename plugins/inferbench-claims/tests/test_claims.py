"""The shipped set of claims against an audit by hand, its worked example, and what a claim's names may be."""

import functools

import pytest
from inferbench_claims.check import Check, check, check_all, select
from inferbench_claims.records import Claim, ClaimRun, Quoted

import inferbench as ib
from inferbench import InferBenchError, installed

H, F, L = 8192, 28672, 80  # Llama 3 70B: width, feed-forward, layers; 64 heads of 128, 8 of them with keys
LINEAR = (
    L * 2 * (2 * H * H + 2 * H * 1024 + 3 * H * F)
)  # operations of one token in projections and feed-forward
HEAD = 128256 * H  # weights of the output head, and of the embedding
PARAMS_70B, PARAMS_8B = 70_553_706_496, 8_030_261_248  # stored tensors
KV = 2 * 8 * 128 * 2 * L  # bytes of cache per token in bf16
ATTENTION = L * 4 * H  # operations per token and position of context
READ = 2 * (LINEAR / 2 + HEAD)  # bytes of bf16 weights that a decode step reads
MIXTRAL = (
    32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 2 * 3 * 4096 * 14336 + 8 * 4096) + 32000 * 4096
)  # per token
VIT = 24 * (2 * 197 * 12 * 1024**2 + 4 * 197**2 * 1024)

# Id: verdict and the figure it rests on, worked out by hand from shapes, datasheets and measurements.
AUDIT = {
    "A1.q": ("EXACT", 2 * H * H),
    "A1.kv": ("EXACT", 2 * 2 * H * 1024),
    "A1.o": ("EXACT", 2 * H * H),
    "A1.ffn": ("EXACT", 2 * 3 * H * F),
    "A2": ("EXACT", 4 * H),
    "A3": ("ASSUMPTION", LINEAR + 2048 * ATTENTION),
    "A4": ("ASSUMPTION", 2048 * (LINEAR + 2048 * ATTENTION)),
    "A5": ("ASSUMPTION", 140e9),
    "A6": ("ASSUMPTION", 1295),
    "A7.1": ("EXACT", LINEAR),
    "A7.8": ("EXACT", 8 * LINEAR),
    "A7.32": ("EXACT", 32 * LINEAR),
    "A7.128": ("EXACT", 128 * LINEAR),
    "A7.256": ("EXACT", 256 * LINEAR),
    "A8.1": ("ASSUMPTION", LINEAR / (2 * PARAMS_70B)),
    "A8.8": ("ASSUMPTION", 8 * LINEAR / (2 * PARAMS_70B)),
    "A8.32": ("ASSUMPTION", 32 * LINEAR / (2 * PARAMS_70B)),
    "A8.128": ("ASSUMPTION", 128 * LINEAR / (2 * PARAMS_70B)),
    "A8.256": ("WRONG", 256 * (LINEAR + 2 * HEAD + 2048 * ATTENTION) / (READ + 256 * 2048 * KV)),
    "A9": ("WRONG", 256 * (LINEAR + 2 * HEAD + 2048 * ATTENTION) / (READ + 256 * 2048 * KV) / (312 / 2.039)),
    "A10": ("EXACT", LINEAR / (2 * PARAMS_70B) / (312 / 2.039)),
    "A11": ("WRONG", 8192 * KV),
    "A12": ("WRONG", 256 * 8192 * KV),
    "A13.blocks": ("EXACT", 24),
    "A13.tokens": ("EXACT", 4096 + 333),
    "A13.params": ("EXACT", 2.03e9),
    "A14": ("EXACT", 24 * (24 * 1536**2 * 4429 + 4 * 4429**2 * 1536)),
    "A15": ("ASSUMPTION", 50 * 24 * (24 * 1536**2 * 4429 + 4 * 4429**2 * 1536)),
    "A16": ("WRONG", 28 * 57 * (24 * 3072**2 * 4608 + 4 * 4608**2 * 3072)),
    "A16.params": ("EXACT", 11.9e9),
    "A17": ("WRONG", 1.0),
    "A18": ("EXACT", MIXTRAL + 32000 * 4096),
    "A19": ("WRONG", 2 * MIXTRAL + 32 * 4 * 4096 * 2048),
    "A20": ("WRONG", (2 * MIXTRAL + 32 * 4 * 4096 * 2048) / (2 * MIXTRAL + 2048 * 2 * 8 * 128 * 2 * 32)),
    "A21": ("EXACT", VIT),
    "A21.tokens": ("EXACT", 197),
    "A21.params": ("ASSUMPTION", 304_326_632 + 1024 * (3 * 32**2 - 3 * 16**2 + 50 - 197)),
    "A22": ("ASSUMPTION", VIT / 858e6),
    "A22.balance": ("INCONSISTENT", 143 / (312 / 2.039)),
    "A23": ("ASSUMPTION", VIT / 312e12),
    "B1": ("WRONG", 4500e12),
    "B2.bandwidth": ("ASSUMPTION", 8e12),
    "B2.capacity": ("ASSUMPTION", 192e9),
    "B2.tdp": ("EXACT", 1000),
    "B3.latency": ("EXACT", 70 / 8000),
    "B3.rate": ("EXACT", 8000 / 70),
    "B4": ("EXACT", LINEAR / 70e9),
    "B5": ("WRONG", 4500 / 8),
    "B6.busy": ("WRONG", 0.00367),
    "B6.idle": ("WRONG", 0.99633),
    "B7.tops": ("INCONSISTENT", LINEAR / 8.75e-3),
    "B7.share": ("INCONSISTENT", LINEAR / 8.75e-3 / 2250e12),
    "B8.power": ("INCONSISTENT", 80 + 45e-3 * 8000 + 0.15e-3 * 15646),
    "B8.efficiency": ("UNVERIFIED", 114.3 / 650),
    "B8.energy": ("UNVERIFIED", 650 * 8.75e-3),
    "B9": ("EXACT", 230e6),
    "B10": ("EXACT", 80e12),
    "B11": ("ASSUMPTION", 300),
    "B12.fits": ("WRONG", 35),
    "B12.times": ("EXACT", 304.3),
    "B13.latency": ("ASSUMPTION", 1e-4),
    "B13.rate": ("ASSUMPTION", 1e4),
    "B13.times": ("ASSUMPTION", 87.5),
    "B14": ("WRONG", 800 / (35 * 300)),
    "B15": ("WRONG", 32 * 2 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336) / 1e-4 / 750e12),
    "B16": ("WRONG", 300 * 8.75e-3),
    "B17": ("WRONG", 2.765e12),
    "B18.bf16": ("WRONG", 459e12),
    "B18.int8": ("WRONG", 918e12),
    "B19": ("EXACT", 95e9),
    "B20.latency": ("WRONG", 25.26e-3),
    "B20.rate": ("WRONG", 39.6),
    "B20.ridge": ("WRONG", 166),
    "B20.busy": ("WRONG", 0.01245),
    "B21": ("WRONG", 39.6 / 400),
    "B22.b200": ("WRONG", 10.57 / 3600 * 8.73e-3),
    # 40 cards of 20 k$, 1.5 times that with their hosts, over 3 years. At the wall 1.375 times the 300 W of a
    # chip, and 0.3 times for the server; 1.25 with cooling, at 0.08 $/kWh. Earning four fifths of the time;
    # 800 tokens/s.
    "B22.groq": ("ASSUMPTION", 40 * (30e3 / 94.67e6 + 0.3 * 1.675 * 1.25 * 0.08 / 3600) / 0.8 / 800),
    "B22.v5p": ("WRONG", 4.2 / 3600 * 25.26e-3),
    "B23.sram": ("EXACT", 44e9),
    "B23.weights": ("EXACT", 2 * PARAMS_8B),
    "B24": ("ASSUMPTION", 15e3),
    "B25": ("WRONG", 1800 * 2 * PARAMS_8B / (900e3 * 8 * 2 * 1.1e9)),
    "B26": ("UNVERIFIED", 2.4e-3),
    "B28": ("ASSUMPTION", 131.1e12),
    "B29": ("ASSUMPTION", 4 * 128 * 128 * 2 * 1.5e9),
    "B30.one": ("EXACT", 1 / 128),
    "B30.many": ("INCONSISTENT", 256 / 510),
    "B31.draw": ("ASSUMPTION", 315.8),
    "B31.tdp": ("EXACT", 400),
    "C1": ("EXACT", 60),
    "C2.power": ("INCONSISTENT", 160),
    "C2.beta": ("INCONSISTENT", 95e-12),
    "C3.power": ("INCONSISTENT", 160),
    "C3.alpha": ("INCONSISTENT", 1.16e-12),
    "C4": ("INCONSISTENT", 60 + 62.4 + 101.95),
    "C5": ("WRONG", 164e-12),
    "C6": ("WRONG", 138),
    "C8": ("INCONSISTENT", -0.35),
    "C9": ("INCONSISTENT", 0.2),
}


@functools.cache
def checks() -> dict[str, Check]:
    if "design-note" not in installed().names("claims"):
        pytest.skip("no installed package provides claims/design-note")
    return {one.claim.id: one for one in check_all(installed()) if one.file == "design-note"}


def checked(name: str) -> Check:
    one = checks()[name]
    if one.state == "unchecked":
        pytest.skip(f"{name} {one.why}")
    return one


def of(*verdicts):
    return [name for name, (verdict, _) in AUDIT.items() if verdict in verdicts]


def test_the_set_has_every_claim_of_the_audit_and_no_other():
    assert {name: one.claim.verdict for name, one in checks().items()} == {
        n: v for n, (v, _) in AUDIT.items()
    }


@pytest.mark.parametrize("name", AUDIT)
def test_figure_by_hand(name):
    assert checked(name).decisive == pytest.approx(AUDIT[name][1], rel=5e-3)


@pytest.mark.parametrize("name", of("EXACT", "ASSUMPTION", "UNVERIFIED"))
def test_reproduces_to_its_rounding(name):
    one = checked(name)
    rounding = max(one.claim.number.half / one.claim.number.low, one.claim.tolerance or 0.0)
    assert abs(one.deviation) <= rounding * (1 + 1e-9)
    assert one.state == "holds"
    assert one.claim.verdict == "EXACT" or one.claim.assumption


@pytest.mark.parametrize("name", of("WRONG", "INCONSISTENT"))
def test_does_not_reproduce_with_corrected_facts(name):
    one = checked(name)
    edge = one.claim.number.low if one.corrected < one.claim.number.low else one.claim.number.high
    assert abs(one.corrected - edge) > one.claim.number.half
    assert one.state == "holds"


@pytest.mark.needs_records("networks/llama3-70b", "architectures/systolic", "architectures/dataflow")
class TestWorkedExample:
    """The note's own chip values as bounds, and what corrected facts give."""

    @staticmethod
    def theirs(name):
        return checked(name).ours

    def test_b200(self):
        assert self.theirs("B3.latency") == pytest.approx(8.75e-3, abs=5e-6)
        assert round(self.theirs("B3.rate")) == 114
        assert round(self.theirs("B4"), 2) == 1.96

    def test_tpu_v5p_as_the_note_has_it(self):
        assert self.theirs("B20.latency") == pytest.approx(14.6e-3, abs=5e-5)
        assert int(self.theirs("B20.rate")) == 68

    def test_groq_with_capacity_ignored(self):
        assert self.theirs("B13.latency") == pytest.approx(1e-4, rel=1e-9)

    @pytest.mark.parametrize(("bandwidth", "ridge"), [("8 TB/s", 562), ("7.7 TB/s", 584)])
    def test_ridge_of_the_b200(self, bandwidth, ridge):
        chip = ib.override(installed().chip("b200"), {"memory.hbm.bandwidth": bandwidth})
        run = ib.run(ib.System(chip), "llama3-70b/decode", precision="fp8", stack="ideal")
        assert run.values(run.ridge).item() == pytest.approx(ridge, abs=0.6)

    def test_tpu_v5p(self):
        run = ib.run("tpu-v5p", "llama3-70b/decode", precision="fp8", batch=1, context=2048, stack="ideal")
        assert run.values(run.roofline).item() == pytest.approx(25.5e-3, rel=0.02)
        assert run.values(run.seconds).item() >= run.values(run.roofline).item()

    def test_groq_chips_for_the_8b(self):
        assert checked("B12.fits").corrected >= 35


@pytest.mark.parametrize(
    ("text", "low", "high", "half"),
    [
        ("8.75 ms", 8.75e-3, 8.75e-3, 5e-6),
        ("5 %", 0.05, 0.05, 5e-3),
        ("600 to 700 W", 600.0, 700.0, 0.5),
        ("32.2 G", 32.2e9, 32.2e9, 5e7),
        ("1.3 kOP/B", 1300.0, 1300.0, 50.0),
        ("0.2 pJ/OP", 0.2e-12, 0.2e-12, 0.05e-12),
        ("0.16 to 0.19", 0.16, 0.19, 0.005),
    ],
)
def test_quoted(text, low, high, half):
    quoted = Quoted.read(text)
    assert (quoted.low, quoted.high) == (low, high)
    assert quoted.half == pytest.approx(half, rel=1e-12)


def test_ids_select_claims_rows_and_groups():
    known = ["A1.q", "A1.o", "A11", "B1"]
    assert select(known, []) == set(known)
    assert select(known, ["A1"]) == {"A1.q", "A1.o"}
    assert select(known, ["A", "B1"]) == set(known)
    with pytest.raises(InferBenchError) as caught:
        select(known, ["A12"])
    assert str(caught.value) == "A12: no claim has this id\n  inferbench claims"


def claim(expression, **fields):
    runs = {"one": ClaimRun(system="b200", workload="llama3-70b/decode", precision="fp8")}
    return Claim(id="X1", quote="q", said="1", verdict="EXACT", expression=expression, runs=runs, **fields)


@pytest.mark.needs_records("chips/tpu-v5p", "networks/llama3-70b", "metrics/power_w")
@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("onne.useful", "unknown name 'onne.useful'\n  did you mean 'one'?"),
        ("one.usefull", "unknown name 'one.usefull'\n  did you mean 'useful'?"),
        ("one(batch=8).t_rooflin", "unknown name 'one(batch=8).t_rooflin'\n  did you mean 't_roofline'?"),
        ("one.op.gate.useful", "unknown name 'one.op.gate.useful'\n  did you mean 'gate_up'?"),
        (
            "one.op.o.bytes",
            (
                "unknown name 'one.op.o.bytes'\n  known here: useful, weights, state, inputs, outputs,"
                " parameters"
            ),
        ),
        ("one(bach=8).useful", "'llama3-70b/decode' has no axis 'bach'\n  did you mean 'batch'?"),
        ("chip.b200.peek.fp8", "unknown name 'chip.b200.peek.fp8'\n  did you mean 'peak'?"),
        (
            "chip.b200.memory.hmb.bandwidth",
            "unknown name 'chip.b200.memory.hmb.bandwidth'\n  did you mean 'hbm'?",
        ),
        ("chip.b200.memory", "unknown name 'chip.b200.memory'\n  known here: hbm, l2"),
        ("chip", "unknown name 'chip'\n  name a number"),
        (
            "chip.tpu_v5p.power.tdp",
            (
                "'chip.tpu_v5p.power.tdp' is not known: Google publishes none; third parties say 450 W and"
                " 650 W\n  use a number that is"
            ),
        ),
        (
            "network.llama3_70b.hidden_sizes",
            "unknown name 'network.llama3_70b.hidden_sizes'\n  did you mean 'hidden_size'?",
        ),
        ("params.lama3_70b", "unknown name 'params.lama3_70b'\n  did you mean 'llama3_70b'?"),
        ("given.x", "unknown name 'given.x'\n  name a number"),
        ("os.environ", "unknown name 'os.environ'\n  known here: one, chip, network, params, given"),
    ],
)
def test_names_that_are_not_known(expression, message):
    with pytest.raises(InferBenchError) as caught:
        check(claim(expression), "mine", installed())
    assert str(caught.value) == f"mine.toml: X1: expression: {message}"


def test_without_the_package_a_claim_is_unchecked():
    one = check(claim("one.useful", needs=("inferbench-none",)), "mine", ib.Registry(load=False))
    assert (one.state, one.why) == ("unchecked", "needs inferbench-none")
