"""A server of the Python SDK 2.x, of both eras: py2.py --http PORT | --stdio [--json]"""

import json
import warnings

import anyio
import mcp_types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

import features

warnings.simplefilter("ignore")
MODERN = "2026-07-28"
bus = InMemorySubscriptionBus()
sessions = {}

RESULTS = {
    "tools/list": types.ListToolsResult,
    "tools/call": types.CallToolResult,
    "resources/list": types.ListResourcesResult,
    "resources/templates/list": types.ListResourceTemplatesResult,
    "resources/read": types.ReadResourceResult,
    "prompts/list": types.ListPromptsResult,
    "prompts/get": types.GetPromptResult,
    "completion/complete": types.CompleteResult,
}
ASKED = {
    "elicitation/create": (types.ElicitRequest, types.ElicitResult),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult),
}


class Io:
    def __init__(self, context, params):
        self.context = context
        self.session = context.session
        self.is_modern = context.protocol_version >= MODERN
        self.given = params.get("inputResponses") or {}
        state = params.get("requestState")
        self.state = json.loads(state) if state is not None else None
        request = context.request
        self.headers = dict(request.headers) if request is not None else {}

    def refuse(self, code, message, data=None):
        return MCPError(code, message, data)

    def missing(self, wanted):
        if not self.is_modern:
            return self.refuse(-32600, f"The client lacks {list(wanted)}")
        return self.refuse(-32021, "The client lacks a capability", {"requiredCapabilities": wanted})

    def can(self, capability):
        return getattr(self.session.client_capabilities, capability, None) is not None

    async def progress(self, done, total):
        await self.session.report_progress(done, total)

    async def log(self, level, data):
        await self.session.send_log_message(level, data, related_request_id=self.context.request_id)

    async def end_stream(self):
        if self.context.close_sse_stream:
            await self.context.close_sse_stream()

    async def ask(self, requests, state=None):
        if self.is_modern:
            missing = {k: r for k, r in requests.items() if not features.answers(r, self.given.get(k))}
            if missing:
                raise features.Pause(missing, state)
            return self.given
        found = {}
        for key, request in requests.items():
            needed = request["method"].split("/")[0]
            if not self.can(needed):
                raise self.missing({needed: {}})
            kind, result = ASKED[request["method"]]
            answer = await self.session.send_request(
                kind.model_validate(request, by_name=False),
                result,
                metadata=ServerMessageMetadata(related_request_id=self.context.request_id),
            )
            found[key] = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
        return found

    async def changed(self, kind, uri):
        event = {"tools": ToolsListChanged, "prompts": PromptsListChanged}.get(kind)
        await bus.publish(event() if event else ResourceUpdated(uri=uri))
        for session, subscriptions in list(sessions.items()):
            if kind == "tools":
                await session.send_tool_list_changed()
            elif kind == "prompts":
                await session.send_prompt_list_changed()
            elif uri in subscriptions:
                await session.send_resource_updated(uri)


def handler(method):
    async def handle(context, params):
        raw = params.model_dump(by_alias=True, mode="json", exclude_none=True) if params else {}
        io = Io(context, raw)
        if not io.is_modern:
            sessions.setdefault(context.session, set())
        try:
            return RESULTS[method].model_validate(await features.METHODS[method](raw, io), by_name=False)
        except features.Pause as pause:
            state = {"requestState": json.dumps(pause.state)} if pause.state is not None else {}
            asked = {"inputRequests": pause.requests, "resultType": "input_required", **state}
            return types.InputRequiredResult.model_validate(asked, by_name=False)

    return handle


async def subscribe(context, params):
    sessions.setdefault(context.session, set()).add(str(params.uri))
    return types.EmptyResult()


async def unsubscribe(context, params):
    sessions.setdefault(context.session, set()).discard(str(params.uri))
    return types.EmptyResult()


async def set_level(_context, _params):
    return types.EmptyResult()


def schema_of(name):
    return next((t["inputSchema"] for t in features.definitions("tools") if t["name"] == name), None)


server = Server(
    "py2",
    version="2.0.0",
    instructions="A server of tests.",
    get_tool_input_schema=schema_of,
    on_list_tools=handler("tools/list"),
    on_call_tool=handler("tools/call"),
    on_list_resources=handler("resources/list"),
    on_list_resource_templates=handler("resources/templates/list"),
    on_read_resource=handler("resources/read"),
    on_list_prompts=handler("prompts/list"),
    on_get_prompt=handler("prompts/get"),
    on_completion=handler("completion/complete"),
    on_subscribe_resource=subscribe,
    on_unsubscribe_resource=unsubscribe,
    on_subscriptions_listen=ListenHandler(bus),
    on_set_logging_level=set_level,
)
server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="py2"))
make_options = server.create_initialization_options
CHANGES = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
server.create_initialization_options = lambda *_, **__: make_options(CHANGES)


async def forget():
    server.session_manager._server_instances.clear()
    sessions.clear()


async def over_stdio():
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


options = features.arguments()
if options.stdio:
    anyio.run(over_stdio)
else:
    app = server.streamable_http_app(json_response=options.json, custom_starlette_routes=features.control(forget))
    features.serve(app, options.http)
