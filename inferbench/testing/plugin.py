"""What pytest loads by itself where the core is installed: contracts tell figures when an assertion fails."""

from __future__ import annotations

import pytest

ROOMS = ("architectures", "fabrics", "packages", "power", "workloads")

pytest.register_assert_rewrite(*(f"inferbench.testing.{room}" for room in ROOMS))
