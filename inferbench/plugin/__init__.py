"""What authors of packages need: hooks, base classes, operators, formulas that broadcast, reports.

Example:
    >>> from inferbench.plugin import ceil_div
    >>> ceil_div(130.0, 128.0)
    np.float64(2.0)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from inferbench.face.lazy import homes

if TYPE_CHECKING:
    from attrs import field as field

    from inferbench.cli.authors import Output as Output
    from inferbench.cli.authors import output_options as output_options
    from inferbench.cli.authors import table_width as table_width
    from inferbench.cli.authors import write_report as write_report
    from inferbench.discovery.hookspecs import hookimpl as hookimpl
    from inferbench.errors import suggest as suggest
    from inferbench.evidence.broken import json_values as json_values
    from inferbench.evidence.rows import Row as Row
    from inferbench.evidence.rows import gather_rows as gather_rows
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
    from inferbench.records.builder import OpBuilder as OpBuilder
    from inferbench.records.builder import whole_units as whole_units
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
    from inferbench.records.expert_sum import ExpertSum as ExpertSum
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
    from inferbench.records.grid import Point as Point
    from inferbench.records.immutable import frozen as frozen
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
    from inferbench.records.measurement import SETTINGS as SETTINGS
    from inferbench.records.measurement import Importer as Importer
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
    from inferbench.records.run import OpRow as OpRow
    from inferbench.records.scenario import SuitePoint as SuitePoint
    from inferbench.records.stack import Domain as Domain
    from inferbench.records.stack import Fit as Fit
    from inferbench.records.stack import FitFile as FitFile
    from inferbench.records.stack import FitPart as FitPart
    from inferbench.records.stack import Host as Host
    from inferbench.records.time_model import TimeModel as TimeModel
    from inferbench.records.time_model import Unfitted as Unfitted
    from inferbench.report.model import Cell as Cell
    from inferbench.report.model import Next as Next
    from inferbench.report.model import Report as Report
    from inferbench.report.model import Table as Table
    from inferbench.text import short as short
    from inferbench.text import visible as visible

_HOMES = homes(__file__, __name__)
if not TYPE_CHECKING:  # a checker takes every import above for a name of this module
    __all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'inferbench.plugin' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOMES)
