"""A server of the Python SDK 1.x (sessions): py1.py --http PORT | --sse PORT | --stdio [--json]"""

import contextlib

import anyio
import mcp.types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.shared.exceptions import McpError
from mcp.shared.message import ServerMessageMetadata

import features

server = Server("py1", version="1.0.0", instructions="A server of tests.")
sessions = {}

REQUESTS = {
    "tools/list": (types.ListToolsRequest, types.ListToolsResult),
    "tools/call": (types.CallToolRequest, types.CallToolResult),
    "resources/list": (types.ListResourcesRequest, types.ListResourcesResult),
    "resources/templates/list": (types.ListResourceTemplatesRequest, types.ListResourceTemplatesResult),
    "resources/read": (types.ReadResourceRequest, types.ReadResourceResult),
    "prompts/list": (types.ListPromptsRequest, types.ListPromptsResult),
    "prompts/get": (types.GetPromptRequest, types.GetPromptResult),
    "completion/complete": (types.CompleteRequest, types.CompleteResult),
}
ASKED = {
    "elicitation/create": (types.ElicitRequest, types.ElicitResult),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult),
}


class Io:
    is_modern = False
    state = None

    def __init__(self, context):
        self.context = context
        self.session = context.session
        request = context.request
        self.headers = dict(request.headers) if request is not None else {}

    def refuse(self, code, message, data=None):
        return McpError(types.ErrorData(code=code, message=message, data=data))

    def missing(self, wanted):
        return self.refuse(-32600, f"The client lacks {list(wanted)}")

    def can(self, capability):
        params = self.session.client_params
        return params is not None and getattr(params.capabilities, capability, None) is not None

    async def progress(self, done, total):
        token = self.context.meta and self.context.meta.progressToken
        if token is not None:
            await self.session.send_progress_notification(token, done, total, related_request_id=self.context.request_id)

    async def log(self, level, data):
        await self.session.send_log_message(level, data, related_request_id=self.context.request_id)

    async def end_stream(self):
        if self.context.close_sse_stream:
            await self.context.close_sse_stream()

    async def ask(self, requests, state=None):
        found = {}
        for key, request in requests.items():
            needed = request["method"].split("/")[0]
            if not self.can(needed):
                raise self.missing([needed])
            kind, result = ASKED[request["method"]]
            answer = await self.session.send_request(
                types.ServerRequest(kind.model_validate(request)),
                result,
                metadata=ServerMessageMetadata(related_request_id=self.context.request_id),
            )
            found[key] = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
            if not features.answers(request, found[key]):
                raise self.refuse(features.INVALID_PARAMS, f"That is no answer: {key}")
        return found

    async def changed(self, kind, uri):
        for session, subscriptions in list(sessions.items()):
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                if kind == "tools":
                    await session.send_tool_list_changed()
                elif kind == "prompts":
                    await session.send_prompt_list_changed()
                elif uri in subscriptions:
                    await session.send_resource_updated(types.AnyUrl(uri))


def register(method):
    kind, result = REQUESTS[method]

    async def handler(request):
        context = server.request_context
        sessions.setdefault(context.session, set())
        params = request.params.model_dump(by_alias=True, mode="json", exclude_none=True) if request.params else {}
        return types.ServerResult(result.model_validate(await features.METHODS[method](params, Io(context))))

    server.request_handlers[kind] = handler


for name in REQUESTS:
    register(name)


@server.subscribe_resource()
async def subscribe(uri):
    sessions.setdefault(server.request_context.session, set()).add(str(uri))


@server.unsubscribe_resource()
async def unsubscribe(uri):
    sessions.setdefault(server.request_context.session, set()).discard(str(uri))


@server.set_logging_level()
async def set_level(_level):
    pass


# Lists change here; the SDK asks for that where a transport begins, and some begin without asking.
make_options = server.create_initialization_options
CHANGES = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
server.create_initialization_options = lambda *_, **__: make_options(CHANGES)


class Events:
    """Events of streams, so that a client may go on where a stream ended."""

    def __init__(self):
        self.all = []

    async def store_event(self, stream_id, message):
        self.all.append((str(len(self.all)), stream_id, message))
        return self.all[-1][0]

    async def replay_events_after(self, last_event_id, send_callback):
        from mcp.server.streamable_http import EventMessage

        at = int(last_event_id)
        stream = self.all[at][1]
        for number, stream_id, message in self.all[at + 1 :]:
            if stream_id == stream and message is not None:
                await send_callback(EventMessage(message, number))
        return stream


def security():
    from mcp.server.transport_security import TransportSecuritySettings

    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=["127.0.0.1:*", "localhost:*"],
        allowed_origins=["http://127.0.0.1:*", "http://localhost:*"],
    )


def over_http(port, is_json):
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.applications import Starlette
    from starlette.routing import Route

    manager = StreamableHTTPSessionManager(
        app=server, event_store=Events(), json_response=is_json, retry_interval=50, security_settings=security()
    )

    class Endpoint:
        async def __call__(self, scope, receive, send):
            await manager.handle_request(scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        async with manager.run():
            yield

    async def forget():
        manager._server_instances.clear()
        sessions.clear()

    routes = [Route("/mcp", Endpoint()), *features.control(forget)]
    features.serve(Starlette(routes=routes, lifespan=lifespan), port)


def over_sse(port):
    from mcp.server.sse import SseServerTransport
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    transport = SseServerTransport("/messages/", security_settings=security())

    async def stream(request):
        async with transport.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await server.run(read, write, server.create_initialization_options())
        return Response()

    async def forget():
        sessions.clear()

    routes = [Route("/sse", stream), Mount("/messages/", app=transport.handle_post_message)]
    features.serve(Starlette(routes=[*routes, *features.control(forget)]), port)


async def over_stdio():
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


options = features.arguments()
if options.stdio:
    anyio.run(over_stdio)
elif options.sse:
    over_sse(options.sse)
else:
    over_http(options.http, options.json)
