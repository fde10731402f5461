"""InferBench: compare inference chips of any architecture on the same work.

Everything a plugin or a notebook needs is here and loads on first use; nothing else is public.

Example:
    >>> import inferbench as ib
    >>> ib.ceil_div(130.0, 128.0)
    np.float64(2.0)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from inferbench._version import __version__ as __version__

_HOMES = {
    "inferbench.cli.authors": ("Output", "output_options", "table_width", "write_report"),
    "inferbench.errors": ("Fault", "InferBenchError", "UnsupportedOp", "suggest"),
    "inferbench.face.calibrate": ("Calibrated", "calibrate"),
    "inferbench.face.card": ("Card", "card"),
    "inferbench.face.compare": ("Comparison", "compare"),
    "inferbench.face.explain": ("Explanation", "explain"),
    "inferbench.face.fleet": ("Fleets",),
    "inferbench.face.frontier": ("Frontiers", "frontier"),
    "inferbench.face.op": ("OpTable", "op"),
    "inferbench.face.picture": ("Picture",),
    "inferbench.face.run": ("run",),
    "inferbench.face.simulate": ("Simulation", "simulate"),
    "inferbench.face.size": ("Sizing", "size"),
    "inferbench.face.sweep": ("Sweep", "sweep"),
    "inferbench.face.users": ("UsersAt", "users_at"),
    "inferbench.face.validate": ("Validation", "validate"),
    "inferbench.records.grid": ("Grid", "Point"),
    "inferbench.discovery.hookspecs": ("hookimpl",),
    "inferbench.evidence.broken": ("json_values",),
    "inferbench.evidence.importing": ("read_measurements",),
    "inferbench.num": (
        "Array",
        "Mask",
        "Numeric",
        "ceil_div",
        "curve",
        "maximum",
        "minimum",
        "round_up",
        "where",
    ),
    "inferbench.records.chip": ("Chip", "Link", "MemoryLevel", "Power", "Price", "Rental", "Silicon"),
    "inferbench.records.convolution": ("Conv2d",),
    "inferbench.records.cost": ("Cost",),
    "inferbench.records.energy": ("Energy", "ActivityCounts"),
    "inferbench.records.executor": ("Executor", "ExecutorOptions", "Pool"),
    "inferbench.records.facts": ("Fact", "Source"),
    "inferbench.records.kinds": ("Field", "Kind", "op_kinds"),
    "inferbench.records.measurement": ("Condition", "Importer", "Measurement"),
    "inferbench.records.figure": (
        "Bars",
        "Dots",
        "Figure",
        "Heat",
        "Line",
        "Panel",
        "Plot",
        "Rule",
        "Scale",
    ),
    "inferbench.records.free": ("Free",),
    "inferbench.records.kernel_tables": (
        "ByKernel",
        "EfficiencyByKernel",
        "ExponentByKernel",
        "SecondsByKernel",
    ),
    "inferbench.records.lookup": ("Curve", "Lookup", "PerKernel"),
    "inferbench.records.roofline": ("Roofline", "RooflineFigures"),
    "inferbench.records.time_model": ("TimeModel", "Unfitted"),
    "inferbench.records.network": ("Network", "Published"),
    "inferbench.records.published": ("PublishedTable",),
    "inferbench.records.attention": ("Attention",),
    "inferbench.records.op": (
        "Bytes",
        "Collective",
        "Elementwise",
        "Gemm",
        "Move",
        "Op",
        "Reduce",
    ),
    "inferbench.records.placement": ("Footprint", "Graph", "Placement", "Reason", "Site"),
    "inferbench.records.interfaces": (
        "Architecture",
        "Fabric",
        "NoParams",
        "Phase",
        "PowerModel",
        "Renderer",
        "Support",
        "Workload",
    ),
    "inferbench.records.precision": ("FORMATS", "Precision", "PrecisionName"),
    "inferbench.records.run": ("Metric", "OpRow", "Run"),
    "inferbench.records.node": ("Node",),
    "inferbench.records.scenario": ("HourlyCost", "Scenario", "Suite", "SuitePoint", "Term"),
    "inferbench.records.stack": ("Domain", "Fit", "FitFile", "FitPart", "Host", "Stack"),
    "inferbench.records.system": ("Layout", "System", "SystemName"),
    "inferbench.report.model": ("Cell", "Next", "Report", "Table"),
    "inferbench.discovery.registry": ("Registry", "installed"),
    "inferbench.specs.override": ("override",),
    "inferbench.specs.read": ("read_spec",),
    "inferbench.text": ("short", "visible"),
    "inferbench.units": (
        "ByteCount",
        "BytesPerSecond",
        "Count",
        "Deviation",
        "Dollars",
        "DollarsPerHour",
        "Fraction",
        "WholeOrNone",
        "Hertz",
        "Joules",
        "JoulesPerByte",
        "JoulesPerOp",
        "Metres",
        "OpsPerSecond",
        "Range",
        "Seconds",
        "SquareMetres",
        "Unit",
        "Watts",
        "show",
    ),
    "attrs": ("field", "frozen"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'inferbench' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


if TYPE_CHECKING:
    from attrs import field as field
    from attrs import frozen as frozen

    from inferbench.cli.authors import Output as Output
    from inferbench.cli.authors import output_options as output_options
    from inferbench.cli.authors import table_width as table_width
    from inferbench.cli.authors import write_report as write_report
    from inferbench.discovery.hookspecs import hookimpl as hookimpl
    from inferbench.discovery.registry import Registry as Registry
    from inferbench.discovery.registry import installed as installed
    from inferbench.errors import Fault as Fault
    from inferbench.errors import InferBenchError as InferBenchError
    from inferbench.errors import UnsupportedOp as UnsupportedOp
    from inferbench.errors import suggest as suggest
    from inferbench.evidence.broken import json_values as json_values
    from inferbench.evidence.importing import read_measurements as read_measurements
    from inferbench.face.calibrate import Calibrated as Calibrated
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
    from inferbench.num import Array as Array
    from inferbench.num import Mask as Mask
    from inferbench.num import Numeric as Numeric
    from inferbench.num import ceil_div as ceil_div
    from inferbench.num import curve as curve
    from inferbench.num import maximum as maximum
    from inferbench.num import minimum as minimum
    from inferbench.num import round_up as round_up
    from inferbench.num import where as where
    from inferbench.records.attention import Attention as Attention
    from inferbench.records.chip import Chip as Chip
    from inferbench.records.chip import Link as Link
    from inferbench.records.chip import MemoryLevel as MemoryLevel
    from inferbench.records.chip import Power as Power
    from inferbench.records.chip import Price as Price
    from inferbench.records.chip import Rental as Rental
    from inferbench.records.chip import Silicon as Silicon
    from inferbench.records.convolution import Conv2d as Conv2d
    from inferbench.records.cost import Cost as Cost
    from inferbench.records.energy import ActivityCounts as ActivityCounts
    from inferbench.records.energy import Energy as Energy
    from inferbench.records.executor import Executor as Executor
    from inferbench.records.executor import ExecutorOptions as ExecutorOptions
    from inferbench.records.executor import Pool as Pool
    from inferbench.records.facts import Fact as Fact
    from inferbench.records.facts import Source as Source
    from inferbench.records.figure import Bars as Bars
    from inferbench.records.figure import Dots as Dots
    from inferbench.records.figure import Figure as Figure
    from inferbench.records.figure import Heat as Heat
    from inferbench.records.figure import Line as Line
    from inferbench.records.figure import Panel as Panel
    from inferbench.records.figure import Plot as Plot
    from inferbench.records.figure import Rule as Rule
    from inferbench.records.figure import Scale as Scale
    from inferbench.records.free import Free as Free
    from inferbench.records.grid import Grid as Grid
    from inferbench.records.grid import Point as Point
    from inferbench.records.interfaces import Architecture as Architecture
    from inferbench.records.interfaces import Fabric as Fabric
    from inferbench.records.interfaces import NoParams as NoParams
    from inferbench.records.interfaces import Phase as Phase
    from inferbench.records.interfaces import PowerModel as PowerModel
    from inferbench.records.interfaces import Renderer as Renderer
    from inferbench.records.interfaces import Support as Support
    from inferbench.records.interfaces import Workload as Workload
    from inferbench.records.kernel_tables import ByKernel as ByKernel
    from inferbench.records.kernel_tables import EfficiencyByKernel as EfficiencyByKernel
    from inferbench.records.kernel_tables import ExponentByKernel as ExponentByKernel
    from inferbench.records.kernel_tables import SecondsByKernel as SecondsByKernel
    from inferbench.records.kinds import Field as Field
    from inferbench.records.kinds import Kind as Kind
    from inferbench.records.kinds import op_kinds as op_kinds
    from inferbench.records.lookup import Curve as Curve
    from inferbench.records.lookup import Lookup as Lookup
    from inferbench.records.lookup import PerKernel as PerKernel
    from inferbench.records.measurement import Condition as Condition
    from inferbench.records.measurement import Importer as Importer
    from inferbench.records.measurement import Measurement as Measurement
    from inferbench.records.network import Network as Network
    from inferbench.records.network import Published as Published
    from inferbench.records.node import Node as Node
    from inferbench.records.op import Bytes as Bytes
    from inferbench.records.op import Collective as Collective
    from inferbench.records.op import Elementwise as Elementwise
    from inferbench.records.op import Gemm as Gemm
    from inferbench.records.op import Move as Move
    from inferbench.records.op import Op as Op
    from inferbench.records.op import Reduce as Reduce
    from inferbench.records.placement import Footprint as Footprint
    from inferbench.records.placement import Graph as Graph
    from inferbench.records.placement import Placement as Placement
    from inferbench.records.placement import Reason as Reason
    from inferbench.records.placement import Site as Site
    from inferbench.records.precision import FORMATS as FORMATS
    from inferbench.records.precision import Precision as Precision
    from inferbench.records.precision import PrecisionName as PrecisionName
    from inferbench.records.published import PublishedTable as PublishedTable
    from inferbench.records.roofline import Roofline as Roofline
    from inferbench.records.roofline import RooflineFigures as RooflineFigures
    from inferbench.records.run import Metric as Metric
    from inferbench.records.run import OpRow as OpRow
    from inferbench.records.run import Run as Run
    from inferbench.records.scenario import HourlyCost as HourlyCost
    from inferbench.records.scenario import Scenario as Scenario
    from inferbench.records.scenario import Suite as Suite
    from inferbench.records.scenario import SuitePoint as SuitePoint
    from inferbench.records.scenario import Term as Term
    from inferbench.records.stack import Domain as Domain
    from inferbench.records.stack import Fit as Fit
    from inferbench.records.stack import FitFile as FitFile
    from inferbench.records.stack import FitPart as FitPart
    from inferbench.records.stack import Host as Host
    from inferbench.records.stack import Stack as Stack
    from inferbench.records.system import Layout as Layout
    from inferbench.records.system import System as System
    from inferbench.records.system import SystemName as SystemName
    from inferbench.records.time_model import TimeModel as TimeModel
    from inferbench.records.time_model import Unfitted as Unfitted
    from inferbench.report.model import Cell as Cell
    from inferbench.report.model import Next as Next
    from inferbench.report.model import Report as Report
    from inferbench.report.model import Table as Table
    from inferbench.specs.override import override as override
    from inferbench.specs.read import read_spec as read_spec
    from inferbench.text import short as short
    from inferbench.text import visible as visible
    from inferbench.units import ByteCount as ByteCount
    from inferbench.units import BytesPerSecond as BytesPerSecond
    from inferbench.units import Count as Count
    from inferbench.units import Deviation as Deviation
    from inferbench.units import Dollars as Dollars
    from inferbench.units import DollarsPerHour as DollarsPerHour
    from inferbench.units import Fraction as Fraction
    from inferbench.units import Hertz as Hertz
    from inferbench.units import Joules as Joules
    from inferbench.units import JoulesPerByte as JoulesPerByte
    from inferbench.units import JoulesPerOp as JoulesPerOp
    from inferbench.units import Metres as Metres
    from inferbench.units import OpsPerSecond as OpsPerSecond
    from inferbench.units import Range as Range
    from inferbench.units import Seconds as Seconds
    from inferbench.units import SquareMetres as SquareMetres
    from inferbench.units import Unit as Unit
    from inferbench.units import Watts as Watts
    from inferbench.units import WholeOrNone as WholeOrNone
    from inferbench.units import show as show
