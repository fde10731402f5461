"""The conformance suite: contracts that a package's tests inherit in three lines.

    class TestMyChip(ib_testing.PackageContract):
        package = "inferbench-my-chip"

judges everything that the package brings by the laws of every hook. The other contracts try one record with
random operators besides. Needs `pip install inferbench-core[testing]`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inferbench.testing.architectures import ArchitectureContract as ArchitectureContract
    from inferbench.testing.fabrics import FabricContract as FabricContract
    from inferbench.testing.packages import PackageContract as PackageContract
    from inferbench.testing.packages import RecordContract as RecordContract
    from inferbench.testing.power import PowerModelContract as PowerModelContract
    from inferbench.testing.time_models import TimeModelContract as TimeModelContract
    from inferbench.testing.workloads import WorkloadContract as WorkloadContract

_HOMES = {
    "ArchitectureContract": "architectures",
    "FabricContract": "fabrics",
    "PackageContract": "packages",
    "PowerModelContract": "power",
    "RecordContract": "packages",
    "TimeModelContract": "time_models",
    "WorkloadContract": "workloads",
}

__all__ = [
    "ArchitectureContract",
    "FabricContract",
    "PackageContract",
    "PowerModelContract",
    "RecordContract",
    "TimeModelContract",
    "WorkloadContract",
]


def __getattr__(name: str) -> Any:
    """Import a contract when it is asked for: pytest itself imports this package early, and without need."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
