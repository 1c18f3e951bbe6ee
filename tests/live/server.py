"""An MCP server of the Python SDK over Streamable HTTP. Usage: server.py ADDRESS PORT"""

import sys

from mcp.server.fastmcp import FastMCP

server = FastMCP("live-inventory", host=sys.argv[1], port=int(sys.argv[2]))


@server.tool()
def find_part(name: str) -> str:
    """Finds a part by its name."""
    return f"{name}: shelf 4"


@server.tool()
def export_rows(count: int) -> str:
    """Exports so many rows."""
    return "\n".join(f"row {number}" for number in range(count))


server.run(transport="streamable-http")
