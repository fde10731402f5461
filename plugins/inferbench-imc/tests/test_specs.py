"""A bad `[architecture]` table in a spec is one message with its key."""

import re
from importlib.resources import files

import inferbench_imc
import pytest

import inferbench as ib

specs = pytest.importorskip("inferbench_specs", reason="chip specs are not installed")


class Folder:
    """A plugin that brings a folder of chips."""

    def __init__(self, folder):
        self.folder = folder

    @ib.hookimpl
    def inferbench_chips(self):
        yield self.folder


def load(folder, pattern, replacement):
    """Read IBM's HERMES with one line of its spec changed, the way any other package's chip is read."""
    text = files(specs).joinpath("chips", "hermes.toml").read_text("utf-8")
    changed = re.sub(pattern, replacement, text, count=1, flags=re.M)
    assert changed != text
    (folder / "hermes.toml").write_text(changed, "utf-8")
    registry = ib.Registry(load=False)
    registry.load("imc", lambda: inferbench_imc, "inferbench-imc", "0")
    registry.load("bad", lambda: Folder(folder), "bad-chips", "0")
    return registry.chip("hermes")


def test_the_spec_itself_is_read(tmp_path):
    chip = load(tmp_path, r"^title = .*", 'title = "Another"')
    assert (chip.title, chip.architecture.stores) == ("Another (bad-chips)", "pcm")


@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        (r"^adcs_per_array = .*", "adcs_per_array = 0", "an analog array needs at least 1 converter"),
        (r"^rows = .*", "rows = -256", "negative"),
        (r"^kind = .*", 'kind = "optical"', "'optical' is none of 'analog', 'digital'"),
        (r"^columns = .*", "colums = 256", "columns"),
        (r"^t_adc = .*", 't_adc = "1 GHz"', "is a frequency"),
    ],
)
def test_one_clear_message(tmp_path, line, instead, told):
    with pytest.raises(ib.InferBenchError) as error:
        load(tmp_path, line, instead)
    assert len(error.value.faults) == 1
    assert "hermes" in error.value.faults[0].where
    assert told in str(error.value)
