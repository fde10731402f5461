"""Frozen records behave as attrs' own, class by class."""

from __future__ import annotations

import copy
import math
import pickle

import attrs
import pytest

from inferbench.records.immutable import frozen

NAN = float("nan")


def pair(make):
    """The same class, by one decorator or the other."""

    @make
    class Pair:
        left: object
        right: object = attrs.field(default=2, eq=False)
        hidden: object = attrs.field(default=0, repr=False, hash=False)

    return Pair


def keyed(make):
    @make
    class Keyed:
        word: str = attrs.field(eq=str.lower, repr=lambda word: f"<{word}>")

    return Keyed


@frozen
class Point:
    """Made at the top of a module, as pickles need it."""

    x: float
    y: float = 0.0


@frozen(eq=False)
class Thing:
    name: str


@frozen
class Told:
    """Says itself what it is."""

    name: str

    def __repr__(self):
        return f"told {self.name}"

    def __eq__(self, other):
        return isinstance(other, Told)

    def __hash__(self):
        return 7


class Nearby(Point):
    """No class of attrs, below one."""


@pytest.mark.parametrize("make", [attrs.frozen, frozen], ids=["attrs", "ours"])
def test_fields_left_out_of_a_comparison_are_left_out(make):
    kind = pair(make)
    assert kind(1, right=3) == kind(1, right=4)
    assert kind(1, hidden=3) != kind(1, hidden=4)
    assert kind(1) != kind(2)
    assert hash(kind(1, hidden=3)) == hash(kind(1, hidden=4)) != hash(kind(2))
    assert kind(1) != (1, 2, 0)
    assert kind(1).__eq__((1, 2, 0)) is NotImplemented


@pytest.mark.parametrize("make", [attrs.frozen, frozen], ids=["attrs", "ours"])
def test_two_classes_of_the_same_fields_differ(make):
    assert pair(make)(1) != pair(make)(1)


@pytest.mark.parametrize("make", [attrs.frozen, frozen], ids=["attrs", "ours"])
def test_a_field_may_say_by_what_it_is_compared_and_how_written(make):
    kind = keyed(make)
    assert kind("A") == kind("a") != kind("b")
    assert hash(kind("A")) == hash(kind("a"))
    assert repr(kind("A")) == "Keyed(word=<A>)"


@pytest.mark.parametrize("make", [attrs.frozen, frozen], ids=["attrs", "ours"])
def test_what_is_no_number_equals_nothing(make):
    kind = pair(make)
    assert kind(NAN) != kind(NAN)
    assert kind(math.inf) == kind(math.inf)


@pytest.mark.parametrize("make", [attrs.frozen, frozen], ids=["attrs", "ours"])
def test_what_has_no_hash_gives_none(make):
    with pytest.raises(TypeError, match="unhashable"):
        hash(pair(make)([]))


@pytest.mark.parametrize("make", [attrs.frozen, frozen], ids=["attrs", "ours"])
def test_a_record_within_itself_is_written_once(make):
    inner = []
    outer = pair(make)(inner)
    inner.append(outer)
    assert repr(outer) == "Pair(left=[...], right=2)"


@pytest.mark.parametrize("make", [attrs.frozen, frozen], ids=["attrs", "ours"])
def test_errors_compare_by_identity(make):
    @make
    class Refused(Exception):
        text: str

    assert Refused("a") != Refused("a")


@pytest.mark.parametrize("make", [attrs.frozen, frozen], ids=["attrs", "ours"])
def test_records_may_have_an_order_and_keep_their_hash(make):
    @make(order=True, cache_hash=True)
    class Rank:
        place: int

    assert Rank(1) < Rank(2)
    assert hash(Rank(1)) == hash(Rank(1))


def test_nothing_can_be_set():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Point(1.0).x = 2.0


def test_a_record_may_compare_by_identity():
    assert Thing("a") != Thing("a")
    assert repr(Thing("a")) == "Thing(name='a')"


def test_own_methods_stay():
    assert Told("a") == Told("b")
    assert hash(Told("a")) == 7
    assert repr(Told("a")) == "told a"


def test_a_class_below_is_written_by_its_own_name():
    assert repr(Nearby(1.0)) == "Nearby(x=1.0, y=0.0)"
    assert Nearby(1.0) == Nearby(1.0) != Point(1.0)


def test_a_copy_is_equal():
    first = Point(1.0, 2.0)
    for other in (pickle.loads(pickle.dumps(first)), copy.deepcopy(first), attrs.evolve(first, x=1.0)):
        assert other == first
        assert hash(other) == hash(first)
