"""The coverage matrix: architecture x operator kind in shades."""

from __future__ import annotations

from inferbench.discovery.registry import Registry
from inferbench.records.interfaces import Support
from inferbench.records.op import Op
from inferbench.report.model import Cell, Next, Report, Table

__all__ = ["coverage_report", "kinds"]

MARKS = {
    Support.FULL: "● full",
    Support.LOWERED: "◐ lowered",
    Support.NOT_MODELLED: "○ not modelled",
    Support.IMPOSSIBLE: "✕ impossible",
}


LEGEND = "● modelled  ◐ lowered to kinds that are  ○ not modelled  ✕ impossible; collectives are a fabric's"


def kinds(registry: Registry) -> list[type[Op]]:
    """All operator kinds that networks can have: the core's and those of the installed workloads.

    Kinds that an architecture makes for itself when it plans (a fused kernel) are its own affair.
    """
    import inferbench.records.convolution  # noqa: F401  (kinds that no other module of the core imports)

    workloads = {_package(registry.workload(name)) for name in registry.names("workloads")}
    internal = {_package(registry.architecture(name)) for name in registry.names("architectures")} - workloads

    def below(cls: type[Op]) -> list[type[Op]]:
        return [cls, *(inner for child in cls.__subclasses__() for inner in below(child))]

    found = {cls.kind: cls for cls in reversed(below(Op)[1:]) if cls.__module__.split(".")[0] not in internal}
    return [found[name] for name in sorted(found)]


def _package(plugin: object) -> str:
    return type(plugin).__module__.split(".")[0]


def coverage_report(registry: Registry) -> Report:
    """Ask every architecture about every operator kind; collectives are costed by fabrics, for all of
    them.
    """
    names, fabrics = registry.names("architectures"), bool(registry.names("fabrics"))
    rows, flat = [], []
    for kind in kinds(registry):
        if kind.kind == "collective":
            shades = ["fabric" if fabrics else Support.NOT_MODELLED.value] * len(names)
            cells = ["● fabric" if fabrics else MARKS[Support.NOT_MODELLED]] * len(names)
        else:
            supports = [registry.architecture(name).support(kind) for name in names]
            shades, cells = [one.value for one in supports], [MARKS[one] for one in supports]
        rows.append((Cell(kind.kind), *map(Cell, cells)))
        flat += [
            {"kind": kind.kind, "architecture": name, "support": shade}
            for name, shade in zip(names, shades, strict=True)
        ]
    heads = (Cell(""), *(Cell(name) for name in names))
    table = Table("operator kinds by architecture", heads, tuple(rows), legend=(LEGEND,))
    following = (
        Next("show", (names[0],)) if names else Next("install", ("inferbench-core[all]",), program="pip")
    )
    return Report((table,), {"schema": "inferbench.coverage/1", "coverage": flat}, tuple(flat), (following,))
