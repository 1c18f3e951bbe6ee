"""An MCP client of the Python SDK, of either era (whichever SDK the environment has): lists tools,
calls one four times. Usage: client.py URL [--proxy URL] [--authority FILE] [--keys FILE]

`--authority` is what it trusts, `--keys` where secrets of its TLS connections are logged.
"""

import argparse
import asyncio
import ssl

import mcp

HEADERS = {"user-agent": "proxied-agent/1.0"}
TIMEOUT = 30
CALLS = 4


def options(args):
    context = ssl.create_default_context(cafile=args.authority)
    if args.keys:
        context.keylog_filename = args.keys
    # Variables of the environment that name proxies are for others.
    return {
        "verify": context,
        "proxy": args.proxy,
        "headers": HEADERS,
        "timeout": TIMEOUT,
        "trust_env": False,
    }


async def use(client):
    tools = await client.list_tools()
    assert {tool.name for tool in tools.tools} == {"find_part", "run_query"}
    for number in range(CALLS):
        result = await client.call_tool("find_part", {"name": f"rod {number}"})
        assert "shelf 4" in result.content[0].text


async def with_sessions(args):
    import httpx
    from mcp.client.streamable_http import streamable_http_client

    async with httpx.AsyncClient(**options(args)) as http:
        async with streamable_http_client(args.url, http_client=http) as (read, write, _):
            async with mcp.ClientSession(read, write) as client:
                await client.initialize()
                await use(client)


async def without_sessions(args):
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async with httpx2.AsyncClient(**options(args)) as http:
        async with mcp.Client(streamable_http_client(args.url, http_client=http)) as client:
            await use(client)


parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--proxy")
parser.add_argument("--authority")
parser.add_argument("--keys")
args = parser.parse_args()
asyncio.run(without_sessions(args) if hasattr(mcp, "Client") else with_sessions(args))
print("done")
