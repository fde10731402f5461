"""The tools as an agent sees them: schemas, answers, errors; over the protocol's own client."""

from __future__ import annotations

import asyncio
import json
import sys

import attrs
import pytest
from inferbench_mcp.server import TOOLS, server

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("networks/llama3-8b", "chips/h100-sxm")


def call(name, arguments):
    """Call a tool of the server; its data."""
    result = asyncio.run(server().call_tool(name, arguments))
    return json.loads(result.content[0].text, parse_constant=no_json)


def no_json(text):
    """NaN and infinity, which Python reads and nobody else."""
    raise ValueError(text)


def test_every_tool_has_a_schema_with_words_and_only_reads():
    tools = asyncio.run(server().list_tools())
    assert [tool.name for tool in tools] == ["compare", "run", "frontier", "size", "show", "validate"]
    for tool in tools:
        assert tool.description
        assert tool.annotations.read_only_hint
        assert not tool.annotations.destructive_hint
        assert all("description" in one or "anyOf" in one for one in tool.input_schema["properties"].values())
    assert len(TOOLS) == 6


def test_an_answer_is_the_face_s_to_the_last_bit():
    data = call(
        "run", {"system": "b200", "workload": "llama3-8b/decode", "precision": "fp8", "batch": [1, 8]}
    )
    ours = ib.run("b200", "llama3-8b/decode", precision="fp8", batch=[1, 8])["tpot_s"].ravel().tolist()
    assert [row["metrics"]["tpot_s"] for row in data["results"]] == ours


def test_a_comparison_has_its_screen_and_its_data():
    data = call("compare", {"systems": ["b200", "h100-sxm"], "workload": "llama3-8b/decode"})
    assert "bound" in data["text"]
    assert len(data["results"]) == 2


def test_a_chip_is_shown_with_its_sources():
    data = call("show", {"chip": "b200"})
    (bandwidth,) = [fact for fact in data["facts"] if fact["path"] == "memory.hbm.bandwidth"]
    assert (bandwidth["value"], bandwidth["unit"], bandwidth["basis"]) == (8e12, "B/s", "datasheet")


def test_sizes_and_frontiers_answer():
    sizes = call("size", {"network": "llama3-8b", "chips": ["b200"], "tpot": "20ms", "users": 8})
    assert "b200" in sizes["text"].lower()
    found = call("frontier", {"systems": ["b200"], "network": "llama3-8b", "slo_tpot": "20ms"})
    assert found["goodput"]["b200"]["tokens_per_s_per_chip"] > 0


def test_a_validation_says_what_it_scored():
    data = call("validate", {"chip": "h100-sxm"})
    assert 0 < data["scored"] <= data["figures"]
    assert 0 <= data["in_their_interval"] <= data["scored"]
    assert all(row["chip"] == "h100-sxm" and row["low"] <= row["high"] for row in data["rows"])


def test_texts_of_a_spec_give_an_agent_s_terminal_no_command(monkeypatch):
    known = ib.installed()
    chip = known.chip("b200")
    facts = {path: attrs.evolve(fact, note="\u202egnp.exe\x1b[31m") for path, fact in chip.facts.items()}
    bad = attrs.evolve(chip, title="\x1b]0;owned\x07", facts=facts)
    monkeypatch.setattr(ib, "installed", lambda: known.with_records("chips", [bad]))
    said = json.dumps(call("show", {"chip": "b200"}), ensure_ascii=False)
    assert "gnp.exe" in said
    assert not set("\x1b\x07\u202e") & set(said)


def test_a_wrong_name_is_answered_with_the_right_one():
    from mcp.server.mcpserver.exceptions import ToolError

    with pytest.raises(ToolError, match="did you mean 'llama3-8b'"):
        call("compare", {"systems": ["b200"], "workload": "lama3-8b/decode"})
    with pytest.raises(ToolError):
        call("run", {"system": "b200", "workload": "llama3-8b/decode", "batch": "many"})


def test_the_command_speaks_the_protocol():
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    async def ask():
        code = "from inferbench.cli.app import run; run(['mcp'])"
        given = StdioServerParameters(command=sys.executable, args=["-c", code])
        async with stdio_client(given) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            return [tool.name for tool in (await session.list_tools()).tools]

    assert asyncio.run(asyncio.wait_for(ask(), 60))[0] == "compare"


def test_the_protocol_is_loaded_where_it_is_served():
    import subprocess

    code = "import sys, inferbench as ib; ib.installed().names('commands'); print('mcp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False"
