"""`users_at`: systems at a speed per user: what they yield, at what cost and energy, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import Fault, InferBenchError
from inferbench.face.answer import Answer
from inferbench.face.asked import SPEED, duration, listed
from inferbench.face.frontier import frontier
from inferbench.face.verb import verb
from inferbench.model.choice import BEST, IDEAL
from inferbench.records.system import SystemName
from inferbench.report.model import Report
from inferbench.report.users import Serving, users_report
from inferbench.serving.replica import Question

__all__ = ["UsersAt", "users_at"]


@attrs.frozen(eq=False, repr=False)
class UsersAt(Answer):
    """Systems that serve users at one speed.

    Attributes:
        systems: One per system: its frontier, and the bound.
        asked: Network, traffic, formats.
        limits: Longest time per token and to the first token, seconds; infinity for none.
    """

    systems: tuple[Serving, ...]
    asked: Question
    limits: tuple[float, float]

    def report(self, verbose: bool = False) -> Report:
        """Return one screen: who is best and how sure that is, then the figures."""
        return users_report(self.systems, self.asked, self.limits)

    def summary(self) -> str:
        """Name the network and the systems."""
        names = ", ".join(one.found.system for one in self.systems)
        return f"of {self.asked.network.name} on {names}"


@verb
def users_at(
    systems: str | Sequence[str],
    workload: str,
    speed: str | float,
    *,
    prompt: float | str = 2048,
    output: float | str = 1024,
    ttft: str | float | None = None,
    precision: str | Sequence[str] = "fp8",
    stack: str = BEST,
    scenario: str | None = "reference",
    options: Mapping[str, object] | None = None,
    ignore_capacity: bool = False,
    registry: Registry | None = None,
) -> UsersAt:
    """Compare systems where every user gets tokens at a speed: throughput, cost and energy, and how sure.

    Each system takes the layout, the policy and the load that yield most within the limit under its own
    software. A chip written without a count that can't hold the network becomes the smallest system that can;
    one that is too slow for the speed is doubled until it is fast enough.

    Args:
        systems: `b200`, `8xmi355x`, `h100@vllm`, …
        workload: A language model; no phase, serving has all of them.
        speed: Tokens per second and user, as text `30tok/s`, or a time per token `33ms`.
        prompt: Tokens of a request's prompt.
        output: Tokens that it asks for.
        ttft: Longest time to the first token; None for any.
        precision: One name or several.
        stack: Software of the systems that name none.
        scenario: Economics; None: no figure in dollars is asked for.
        options: The workload's options.
        ignore_capacity: Pretend that everything fits.
        registry: Of plugins; everything installed by default.

    Raises:
        InferBenchError: Unknown names, bad values, a network without prompts and tokens.

    Example:
        >>> import inferbench as ib
        >>> found = ib.users_at(["b200"], "llama3-8b", "50tok/s", prompt=1024, output=256)
        >>> bool(found.to_dict()["results"][0]["tokens_per_s_per_user"] >= 50)
        True
    """
    known = registry or installed()
    named = listed(systems)
    given = {
        "output": output,
        "context": prompt,
        "slo_tpot": duration(speed, SPEED),
        "slo_ttft": ttft,
        "precision": precision,
        "scenario": scenario,
        "options": options,
        "ignore_capacity": ignore_capacity,
        "registry": known,
    }
    try:
        own = frontier(named, workload, stack=stack, **given)  # type: ignore[arg-type]
    except InferBenchError as error:
        raise InferBenchError(map(_as_given, error.faults)) from None
    bare = [f"{one.system.partition('@')[0]}@{IDEAL}" for one in own.systems]
    bound = frontier(bare, workload, **given)  # type: ignore[arg-type]
    more = [
        SystemName.parse(name).count is None and one.chips > 1
        for name, one in zip(named, own.systems, strict=True)
    ]
    found = map(Serving, own.systems, bound.systems, more)
    return UsersAt(tuple(found), own.asked, own.limits)


_GIVEN = {"slo_ttft": "ttft", "slo_tpot": "speed", "context": "prompt"}
"""Arguments of `frontier` by the names that they have here."""


def _as_given(fault: Fault) -> Fault:
    """A fault of an argument of `frontier`, as one of ours."""
    give = tuple((_GIVEN.get(name, name), value) for name, value in fault.give)
    return attrs.evolve(fault, argument=_GIVEN.get(fault.argument, fault.argument), give=give)
