"""The endpoints as tools of language models, over the Model Context Protocol."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gradio_client import handle_file
from toy_heads import head

from brainai.web.embed import data_uri

mcp = pytest.importorskip("mcp", reason="mcp is not installed: pip install gradio[mcp]")


def ask(url: str, tool: str | None = None, **arguments: Any) -> Any:
    """The tools with their descriptions, or what one of them answers."""
    from mcp.client.streamable_http import streamablehttp_client

    async def talk() -> Any:
        async with (
            streamablehttp_client(f"{url}gradio_api/mcp/") as (reader, writer, _),
            mcp.ClientSession(reader, writer) as session,
        ):
            await session.initialize()
            if tool is None:
                return {one.name: one for one in (await session.list_tools()).tools}
            return (await session.call_tool(tool, arguments)).content

    with ThreadPoolExecutor(1) as pool:  # Playwright's loop may run in this thread
        return pool.submit(lambda: asyncio.run(talk())).result()


def test_each_endpoint_is_a_tool_with_a_description(running):
    tools = ask(running.url)
    assert set(tools) == {"predict", "predict_scan", "predict_batch", "model_info", "health"}
    assert "Research and teaching only" in tools["predict"].description
    flair = tools["predict"].inputSchema["properties"]["flair"]
    assert "the FLAIR slice" in flair["description"]


def test_a_tool_gives_the_same_answer_as_its_endpoint(running, client, uploads, save, monkeypatch):
    monkeypatch.setattr("gradio.mcp.DEFAULT_TEMP_DIR", str(uploads))  # read before the tests set it
    file = save("slice.png", head(1))
    answer = ask(running.url, "predict", flair=data_uri(file.read_bytes(), "image/png"))[0].text
    expected = client.predict(handle_file(str(file)), api_name="/predict")
    assert f"{expected['probability']:.6f}".rstrip("0") in answer
