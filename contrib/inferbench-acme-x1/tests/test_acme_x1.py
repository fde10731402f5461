"""What the chip must satisfy: it is installed, every number says where it comes from, and its model's laws
hold on it.
"""

from __future__ import annotations

import inferbench as ib
from inferbench.testing import ArchitectureContract


class TestAcmeX1(ArchitectureContract):
    architecture = ib.installed().architecture("simt")
    chip = "acme-x1"


def test_it_is_installed_by_this_package():
    assert ib.installed().entries("chips")["acme-x1"].owner == "inferbench-acme-x1"


def test_every_number_has_a_source_or_a_reason():
    facts = ib.installed().chip("acme-x1").facts.values()
    numbers = [fact for fact in facts if not isinstance(fact.value, str)]
    assert numbers
    assert [fact.path for fact in numbers if not fact.source and not fact.missing] == []
