"""An MCP server of the Python SDK over Streamable HTTP on loopback, of either era (whichever SDK the
environment has). Usage: server.py PORT [CERTIFICATE KEY]
"""

import sys

import uvicorn

try:
    from mcp.server import MCPServer as Server
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server

server = Server("proxied-inventory")


@server.tool()
def find_part(name: str) -> str:
    """Finds a part by its name."""
    return f"{name}: shelf 4"


@server.tool()
def run_query(sql: str) -> str:
    """Answers a question in SQL."""
    return f"rows of {sql}"


tls = {"ssl_certfile": sys.argv[2], "ssl_keyfile": sys.argv[3]} if len(sys.argv) > 2 else {}
app = server.streamable_http_app()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="info", **tls)
