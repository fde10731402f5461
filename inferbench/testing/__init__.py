"""The conformance suite: contracts that a plugin's tests inherit in three lines.

    class TestSystolic(ib_testing.ArchitectureContract):
        architecture = Systolic() chip = "tpu-v5p"

Needs `pip install inferbench-core[testing]`.
"""

from inferbench.testing.architectures import ArchitectureContract
from inferbench.testing.fabrics import FabricContract
from inferbench.testing.power import PowerModelContract
from inferbench.testing.workloads import WorkloadContract

__all__ = ["ArchitectureContract", "FabricContract", "PowerModelContract", "WorkloadContract"]
