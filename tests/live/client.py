"""An MCP client of the Python SDK: lists tools, then calls them. Usage: client.py URL CALLS"""

import asyncio
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def connected(url):
    for attempt in range(50):
        try:
            return await session(url)
        except BaseException:  # The server is not up yet; groups of errors are no Exception.
            if attempt == 49:
                raise
            await asyncio.sleep(0.2)


async def session(url):
    async with streamablehttp_client(url) as (read, write, _):
        async with ClientSession(read, write) as client:
            await client.initialize()
            tools = await client.list_tools()
            assert {tool.name for tool in tools.tools} == {"find_part", "export_rows"}
            for number in range(int(sys.argv[2])):
                await client.call_tool("find_part", {"name": f"rod {number}"})
            result = await client.call_tool("export_rows", {"count": 5000})
            assert "row 4999" in result.content[0].text


asyncio.run(connected(sys.argv[1]))
print("done")
