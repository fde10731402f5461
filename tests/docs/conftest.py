"""The tools that write the documentation are scripts, not a package."""

from __future__ import annotations

import pytest

pytest.importorskip("inferbench_specs", reason="the documentation is of the whole workspace")
