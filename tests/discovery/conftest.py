"""A registry of planted plugins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from inferbench.discovery.registry import Registry


@pytest.fixture
def registry(monkeypatch):
    """A registry of plugins given as name, distribution and module."""

    def build(*given):
        points = [
            SimpleNamespace(
                name=name,
                load=lambda module=module: module() if callable(module) else module,
                dist=SimpleNamespace(name=owner, version="1.0"),
                value=owner,
            )
            for name, owner, module in given
        ]
        monkeypatch.setattr("inferbench.discovery.loading.entry_points", lambda group: points)
        return Registry()

    return build
