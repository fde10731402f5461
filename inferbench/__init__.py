"""InferBench: compare inference chips of any architecture on the same work.

The verbs and the records that a notebook needs. What authors of packages need is in `inferbench.plugin`, the
types that say a unit in `inferbench.units`, the conformance suites in `inferbench.testing`; nothing else is
public. All of it loads on first use.

Example:
    >>> import inferbench as ib
    >>> ib.plugin.ceil_div(130.0, 128.0)
    np.float64(2.0)
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from inferbench._version import __version__ as __version__
from inferbench.face.lazy import homes

if TYPE_CHECKING:
    from inferbench import plugin as plugin
    from inferbench import units as units
    from inferbench.discovery.registry import Registry as Registry
    from inferbench.discovery.registry import installed as installed
    from inferbench.errors import Fault as Fault
    from inferbench.errors import InferBenchError as InferBenchError
    from inferbench.errors import UnsupportedOp as UnsupportedOp
    from inferbench.evidence.importing import read_measurements as read_measurements
    from inferbench.face.calibrate import Calibrated as Calibrated
    from inferbench.face.calibrate import Refits as Refits
    from inferbench.face.calibrate import calibrate as calibrate
    from inferbench.face.card import Card as Card
    from inferbench.face.card import card as card
    from inferbench.face.compare import Comparison as Comparison
    from inferbench.face.compare import compare as compare
    from inferbench.face.explain import Explanation as Explanation
    from inferbench.face.explain import explain as explain
    from inferbench.face.fleet import Fleets as Fleets
    from inferbench.face.frontier import Frontiers as Frontiers
    from inferbench.face.frontier import frontier as frontier
    from inferbench.face.op import OpTable as OpTable
    from inferbench.face.op import op as op
    from inferbench.face.picture import Picture as Picture
    from inferbench.face.run import run as run
    from inferbench.face.simulate import Simulation as Simulation
    from inferbench.face.simulate import simulate as simulate
    from inferbench.face.size import Sizing as Sizing
    from inferbench.face.size import size as size
    from inferbench.face.sweep import Sweep as Sweep
    from inferbench.face.sweep import sweep as sweep
    from inferbench.face.users import UsersAt as UsersAt
    from inferbench.face.users import users_at as users_at
    from inferbench.face.validate import Validation as Validation
    from inferbench.face.validate import validate as validate

    # Names of authors stay at the top too, so that packages written before `inferbench.plugin` go on.
    from inferbench.plugin import *  # noqa: F403
    from inferbench.records.chip import Chip as Chip
    from inferbench.records.grid import Grid as Grid
    from inferbench.records.measurement import Condition as Condition
    from inferbench.records.measurement import Measurement as Measurement
    from inferbench.records.network import Network as Network
    from inferbench.records.run import Metric as Metric
    from inferbench.records.run import Run as Run
    from inferbench.records.scenario import HourlyCost as HourlyCost
    from inferbench.records.scenario import Scenario as Scenario
    from inferbench.records.scenario import Suite as Suite
    from inferbench.records.scenario import Term as Term
    from inferbench.records.stack import Stack as Stack
    from inferbench.records.system import Layout as Layout
    from inferbench.records.system import System as System
    from inferbench.records.system import SystemName as SystemName
    from inferbench.specs.override import override as override
    from inferbench.specs.read import read_spec as read_spec
    from inferbench.units import *  # noqa: F403
    from inferbench.units import Range as Range

_SPACES = ("plugin", "units")
_HOMES = homes(__file__, __name__)
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _SPACES:
        return import_module(f"{__name__}.{name}")
    value = getattr(_owner(name), name)
    globals()[name] = value
    return value


def _owner(name: str) -> ModuleType:
    """The module that a public name comes from: names of authors and units resolve here too."""
    if name in _HOMES:
        return import_module(_HOMES[name])
    for space in () if name.startswith("_") else _SPACES:
        module = import_module(f"{__name__}.{space}")
        if name in module.__all__:
            return module
    raise AttributeError(f"module 'inferbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_SPACES, "__version__"]
