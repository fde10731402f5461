"""Watching a judgement: a plugin that hangs, leaves or kills the process costs only itself, and is named."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import attrs

from inferbench.cli.guard import DISABLE
from inferbench.discovery.registry import Registry
from inferbench.testing.laws import Finding, Verdict

__all__ = ["ALL", "LIMIT", "Trial", "core_alone", "left_out", "tried"]

ALL = "*"
"""Judges every installed package."""
LIMIT = 20.0
"""Seconds that one plugin may take to be imported, or one record to be judged."""
MOST = 12
"""Plugins that may hang or die before the rest is given up."""


@attrs.frozen
class Trial:
    """What came out.

    Attributes:
        verdicts: One per package that was judged.
        fatal: Packages that hung or ended the process.
    """

    verdicts: tuple[Verdict, ...]
    fatal: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Breaches of all packages."""
        return tuple(finding for verdict in self.verdicts for finding in verdict.findings)


def tried(
    target: str,
    *,
    depth: Literal["load", "quick", "full"] = "full",
    files: tuple[str, ...] = (),
    path: tuple[str, ...] = (),
    claims: tuple[str, ...] = (),
    limit: float = LIMIT,
) -> Trial:
    """Judge a package, all of them (`*`) or a file in a process of its own.

    Where a plugin hangs or ends the process, it is left out and the rest is judged again.

    Args:
        target: Distribution, `*`, or the path of a `.toml` or `.py` file.
        depth: `load` only imports and asks the hooks; `quick` judges by the laws that `doctor` looks at.
        files: Single-file plugins to load beside.
        path: Folders to look for distributions in, before all others.
        claims: Files of claims of the package.
        limit: Seconds without a sign of life.
    """
    fatal: list[Finding] = []
    disabled = [name for name in os.environ.get("INFERBENCH_DISABLE", "").split(",") if name]
    for _ in range(MOST):
        environment = {
            **os.environ,
            "INFERBENCH_DISABLE": ",".join(disabled),
            "INFERBENCH_STRICT": "",
            "PYTHONPATH": os.pathsep.join([*path, *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        arguments = [depth, target, *files, *claims]
        verdicts, last, ended = _watch(arguments, environment, limit)
        if not ended:
            break
        owner = str(last.get("owner", target)) or target
        law = "it-answers-in-time" if ended == "hangs" else "it-leaves-the-process-alone"
        found = f"no sign of life for {limit:g} s" if ended == "hangs" else f"the process {ended}"
        remedy = "no endless loops and no os._exit in a plugin; raise an exception instead"
        where = str(last.get("at", "start"))
        fatal.append(Finding(law, "fails", owner, "package", where, found, remedy))
        if owner in (target, *files) or owner in disabled:
            break
        disabled.append(owner)
    hurt = tuple(Verdict(finding.owner, (finding,), ()) for finding in fatal)
    return Trial((*hurt, *verdicts), tuple(finding.owner for finding in fatal))


def _watch(
    arguments: list[str], environment: Mapping[str, str], limit: float
) -> tuple[list[Verdict], Mapping[str, Any], str]:
    """Run the judging process: verdicts, its last message, and how it ended (empty: at its end)."""
    command = [sys.executable, "-m", "inferbench.cli.trial", *arguments]
    verdicts: list[Verdict] = []
    last: Mapping[str, Any] = {}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=dict(environment),
        text=True,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        try:
            for message in _messages(process, limit):
                if message.get("done"):
                    return verdicts, message, ""
                if "findings" in message:
                    verdicts.append(_verdict(message))
                else:
                    last = message
        except queue.Empty:
            return verdicts, last, "hangs"
        finally:
            process.kill()
    code = process.returncode
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return verdicts, last, how


def _messages(process: subprocess.Popen[str], limit: float) -> Iterator[Mapping[str, Any]]:
    """Yield what the process says; `queue.Empty` where it says nothing for too long."""
    lines: queue.Queue[str | None] = queue.Queue()
    assert process.stdout is not None
    assert process.stderr is not None

    def read(stdout: Any) -> None:
        for line in stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    threading.Thread(target=process.stderr.read, daemon=True).start()
    while (line := lines.get(timeout=limit)) is not None:
        yield json.loads(line)
    process.wait()


def _verdict(message: Mapping[str, Any]) -> Verdict:
    pairs = {key: tuple((str(a), str(b)) for a, b in message[key]) for key in ("passed", "missing")}
    findings = tuple(Finding(**finding) for finding in message["findings"])
    return Verdict(message["owner"], findings, pairs["passed"], pairs["missing"])


@contextmanager
def left_out(owners: Sequence[str]) -> Iterator[None]:
    """Leave packages out of what this process loads, if it has loaded nothing yet."""
    before = os.environ.get(DISABLE)
    names = [*([before] if before else []), *owners]
    if owners:
        os.environ[DISABLE] = ",".join(names)
    try:
        yield
    finally:
        if owners:
            os.environ.pop(DISABLE)
            os.environ.update({} if before is None else {DISABLE: before})


def core_alone(registry: Registry) -> list[tuple[str, str]]:
    """What a core without plugins lacks, and what brings it.

    Args:
        registry: Of what is installed.
    """
    wanted = {
        "architectures": "nothing can be computed",
        "chips": "there is nothing to compare",
        "networks": "there is nothing to run",
        "workloads": "there is nothing to run",
        "fabrics": "several chips can't work together",
        "metrics": "results have no figures of merit",
        "scenarios": "nothing has a cost",
        "power_models": "power and energy are not known",
    }
    return [(kind, why) for kind, why in wanted.items() if not registry.names(kind)]
