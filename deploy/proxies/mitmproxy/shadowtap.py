"""mitmproxy: a log for shadowtap, one line of JSON for each exchange.

    mitmdump -s shadowtap.py --set shadowtap_log=/var/log/mitmproxy/shadowtap.log
    shadowtap logs /var/log/mitmproxy/shadowtap.log

It has header fields that tell MCP, and the method and the tool of a JSON-RPC request. It has no
Authorization, no Cookie and, unless shadowtap_bodies is set, no bodies. Bodies hold what people ask
and what agents send, secrets too: only where that may be kept.

Streams of events are passed on as they come, which mitmproxy does not do by itself.
"""

import json

from mitmproxy import ctx, http

# Of a body, so many bytes are read and logged.
MAX_BODY = 1 << 20

REQUEST = {
    "user_agent": "user-agent",
    "referer": "referer",
    "origin": "origin",
    "accept": "accept",
    "request_type": "content-type",
    "mcp_session": "mcp-session-id",
    "mcp_version": "mcp-protocol-version",
    "mcp_method": "mcp-method",
    "mcp_name": "mcp-name",
    "request_id": "x-request-id",
}
RESPONSE = {
    "response_type": "content-type",
    "response_mcp_session": "mcp-session-id",
    "www_authenticate": "www-authenticate",
    "location": "location",
}


def fields(message, names):
    return {key: message.headers[name] for key, name in names.items() if name in message.headers}


def text_of(message):
    """A body without its content coding, if it is text of a size that is logged."""
    content = message.get_content(strict=False)
    if not content or len(content) > MAX_BODY:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def of_rpc(body):
    """The method of a JSON-RPC request, and what it names."""
    try:
        message = json.loads(body or "")
    except ValueError:
        return {}
    if not isinstance(message, dict):
        return {}
    params = message.get("params")
    params = params if isinstance(params, dict) else {}
    told = {
        "rpc_method": message.get("method"),
        "rpc_name": params.get("name"),
        "rpc_uri": params.get("uri"),
    }
    return {key: value for key, value in told.items() if isinstance(value, str)}


def of_connections(flow):
    told = {}
    client, address = flow.client_conn.peername, flow.client_conn.sockname
    if client:
        told |= {"client": client[0], "client_port": client[1]}
    if address:
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        told["here" if is_reverse(flow) else "proxy"] = f"{host}:{address[1]}"
    if flow.server_conn.peername and not is_reverse(flow):
        told |= {"server": flow.server_conn.peername[0], "server_port": flow.server_conn.peername[1]}
    tls = {
        "sni": flow.client_conn.sni,
        "tls_version": flow.client_conn.tls_version,
        "alpn": (flow.client_conn.alpn or b"").decode(errors="replace"),
    }
    return told | {key: value for key, value in tls.items() if value}


def is_reverse(flow):
    return flow.client_conn.proxy_mode.type_name == "reverse"


def line_of(flow):
    request, response = flow.request, flow.response
    user = flow.metadata.get("proxyauth")
    line = {
        "log": "mitmproxy",
        "time": f"{request.timestamp_start:.6f}",
        "method": request.method,
        "url": request.pretty_url,
        "version": request.http_version,
        **of_connections(flow),
        **fields(request, REQUEST),
    }
    if user:
        line["user"] = user[0]
    body = text_of(request)
    line |= of_rpc(body)
    if ctx.options.shadowtap_bodies and body is not None:
        line["request_body"] = body
    if response:
        line |= {"status": response.status_code, **fields(response, RESPONSE)}
        streamed = flow.metadata.get("shadowtap_streamed")
        body = text_of(response) if streamed is None else streamed.decode(errors="replace")
        if ctx.options.shadowtap_bodies and body is not None:
            line["response_body"] = body
    return line


class Log:
    def __init__(self):
        self.file = None

    def load(self, loader):
        loader.add_option("shadowtap_log", str, "shadowtap.log", "File that lines are added to.")
        loader.add_option("shadowtap_bodies", bool, False, "Whether bodies are logged.")

    def running(self):
        # One write for each line: whoever reads along sees whole lines.
        self.file = open(ctx.options.shadowtap_log, "a", buffering=1, encoding="utf-8")

    def responseheaders(self, flow: http.HTTPFlow):
        if not flow.response.headers.get("content-type", "").startswith("text/event-stream"):
            return
        kept = flow.metadata["shadowtap_streamed"] = bytearray()

        def pass_on(data):
            if ctx.options.shadowtap_bodies:
                kept.extend(data[: MAX_BODY - len(kept)])
            return data

        flow.response.stream = pass_on

    def response(self, flow: http.HTTPFlow):
        self.write(flow)

    def error(self, flow: http.HTTPFlow):
        self.write(flow)

    def write(self, flow):
        # A stream that breaks off has both events.
        if self.file and not flow.metadata.get("shadowtap_written"):
            flow.metadata["shadowtap_written"] = True
            self.file.write(json.dumps(line_of(flow), separators=(",", ":")) + "\n")

    def done(self):
        if self.file:
            self.file.close()


addons = [Log()]
