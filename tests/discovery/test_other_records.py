"""A registry with other records, and files that the core hands over unread."""

import attrs

import inferbench as ib


class TestOtherRecords:
    def test_a_record_takes_the_place_of_that_of_its_name(self, toy):
        slow = ib.override(toy.chip("toy-chip"), {"peak.bf16": "1 GOP/s"})
        other = toy.with_records("chips", [slow])
        assert other.chip("toy-chip").peak["bf16"] == 1e9
        assert other.entries("chips")["toy-chip"].owner == toy.entries("chips")["toy-chip"].owner
        assert toy.chip("toy-chip").peak["bf16"] != 1e9

    def test_a_new_name_is_added(self, toy):
        named = attrs.evolve(toy.chip("toy-chip"), name="toy-slow")
        assert toy.with_records("chips", [named]).names("chips") == ["toy-chip", "toy-slow"]
        assert toy.names("chips") == ["toy-chip"]


def test_a_folder_of_claims_is_handed_over_as_files(bare, plugin, tmp_path):
    (tmp_path / "press.toml").write_text("nobody here reads this")
    bare.load("press", lambda: plugin(inferbench_claims=lambda: iter([tmp_path])), "acme-press", "1")
    assert bare.names("claims") == ["press"]
    assert bare.get("claims", "press").read_text() == "nobody here reads this"
