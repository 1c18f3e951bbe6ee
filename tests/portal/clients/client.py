"""A client of the Python SDK of either era, whichever the environment has; features as in features.mjs.

client.py (--url URL | --sse URL | --stdio -- PROGRAM ARGS) [--token TOKEN] [--mode auto|legacy|2026-07-28]
"""

import argparse
import contextlib
import json
import os
import sys
import warnings

import anyio
import mcp

IS_NEW = hasattr(mcp, "Client")
if IS_NEW:
    import mcp_types as types
    from mcp.shared.exceptions import MCPError as Refused
else:
    import mcp.types as types
    from mcp.shared.exceptions import McpError as Refused
warnings.simplefilter("ignore")

parser = argparse.ArgumentParser()
for option in ("--url", "--sse", "--token", "--only"):
    parser.add_argument(option)
parser.add_argument("--mode", default="auto")
parser.add_argument("--stdio", action="store_true")
split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
args = parser.parse_args(sys.argv[1:split])
program = sys.argv[split + 1 :]
headers = {"authorization": f"Bearer {args.token}"} if args.token else {}
heard = []


async def sample(_context, _params):
    content = types.TextContent(type="text", text="Paris")
    return types.CreateMessageResult(role="assistant", content=content, model="test-model")


async def roots(_context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///home/test", name="test")])


async def elicit(_context, params):
    schema = getattr(params, "requested_schema", None) or getattr(params, "requestedSchema", None) or {}
    kinds = {"boolean": True, "integer": 1, "number": 1.5, "array": []}
    content = {}
    for key, part in schema.get("properties", {}).items():
        content[key] = part.get("default", kinds.get(part.get("type"), f"some {key}"))
    return types.ElicitResult(action="accept", content=content)


async def hear(message):
    message = getattr(message, "root", message)
    if getattr(message, "method", "").startswith("notifications/"):
        params = plain(message.params) if message.params else {}
        heard.append((message.method, params))


def plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


@contextlib.asynccontextmanager
async def connected():
    """A client, and whether it speaks without sessions."""
    callbacks = {
        "sampling_callback": sample,
        "list_roots_callback": roots,
        "elicitation_callback": elicit,
        "message_handler": hear,
    }
    async with contextlib.AsyncExitStack() as stack:
        if args.stdio:
            from mcp.client.stdio import StdioServerParameters, stdio_client
            way = stdio_client(StdioServerParameters(command=program[0], args=program[1:], env=dict(os.environ)))
        elif args.sse:
            from mcp.client.sse import sse_client

            way = sse_client(args.sse, headers=headers)
        else:
            from mcp.client.streamable_http import streamable_http_client

            if IS_NEW:
                import httpx2 as httpx
            else:
                import httpx
            http = await stack.enter_async_context(httpx.AsyncClient(headers=headers, timeout=30, trust_env=False))
            way = streamable_http_client(args.url, http_client=http)
        if IS_NEW:
            client = mcp.Client(way, mode=args.mode, log_level="debug", cache=None, **callbacks)
            client = await stack.enter_async_context(client)
            revision = client.session.protocol_version
        else:
            read, write = (await stack.enter_async_context(way))[:2]
            client = await stack.enter_async_context(mcp.ClientSession(read, write, **callbacks))
            revision = (await client.initialize()).protocolVersion
        yield client, str(revision)


async def pages(listing, key):
    found, cursor = [], None
    for _ in range(100):
        if IS_NEW:
            page = plain(await listing(cursor=cursor))
        else:
            page = plain(await listing(params=types.PaginatedRequestParams(cursor=cursor)))
        found += page[key]
        cursor = page.get("nextCursor")
        if cursor is None:
            return found
    raise AssertionError("pages without end")


def named(items, name):
    exact = [item for item in items if item["name"] == name]
    return (exact or [item for item in items if item["name"].endswith(name)])[0]


async def until(what, why):
    for _ in range(100):
        if what():
            return
        await anyio.sleep(0.03)
    raise AssertionError(f"never: {why}")


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


class Features:
    def __init__(self, client, revision):
        self.client = client
        self.is_modern = revision >= "2026-07-28"
        self.tools = self.listed_prompts = None

    async def call(self, name, arguments=None, **more):
        result = await self.client.call_tool(named(self.tools, name)["name"], arguments or {}, **more)
        return plain(result)

    async def text(self, name, arguments=None):
        return "".join(part["text"] for part in (await self.call(name, arguments))["content"])

    async def tools_list(self):
        self.tools = await pages(self.client.list_tools, "tools")
        same(named(self.tools, "echo")["outputSchema"]["required"], ["echoed"])
        schema = named(self.tools, "json_schema_2020_12_tool")["inputSchema"]
        same(schema["$defs"]["address"]["$anchor"], "addressDef")
        return len(self.tools)

    async def plain_text(self):
        same(await self.text("test_simple_text"), "This is a simple text response for testing.")

    async def mixed_content(self):
        content = (await self.call("test_multiple_content_types"))["content"]
        same([part["type"] for part in content], ["text", "image", "resource"])

    async def structured(self):
        same((await self.call("echo", {"text": "grüße"}))["structuredContent"], {"echoed": "grüße"})

    async def error(self):
        same((await self.call("test_error_handling"))["isError"], True)

    async def unknown_tool(self):
        try:
            result = await self.client.call_tool("there_is_no_such_tool", {})
        except Refused:
            return
        raise AssertionError(f"no error: {result}")

    async def metadata(self):
        result = await self.call("with_meta")
        same(result["_meta"]["test.example/whole"], {"kept": True})
        same(result["content"][0]["_meta"]["test.example/part"], 1)

    async def progress(self):
        done = []

        async def progressed(progress, _total, _message):
            done.append(progress)

        await self.call("test_tool_with_progress", progress_callback=progressed)
        same(done, [0, 50, 100])

    async def logging(self):
        before = len(heard)
        if not self.is_modern:
            await self.client.set_logging_level("debug")
        await self.call("test_tool_with_logging")
        await until(lambda: sum(m == "notifications/message" for m, _ in heard[before:]) == 3, "three lines")

    async def sampling(self):
        same(await self.text("test_sampling", {"prompt": "What?"}), "LLM response: Paris")

    async def elicitation(self):
        said = await self.text("test_elicitation", {"message": "Who?"})
        assert said.startswith("User response: action=accept") and "some email" in said, said

    async def roots(self):
        same(await self.text("test_input_required_result_list_roots"), "Roots: file:///home/test")

    async def asked_for_three_things(self):
        same(await self.text("test_input_required_result_multiple_inputs"), "Paris some name 1")

    async def asked_twice(self):
        same(await self.text("test_input_required_result_multi_round"), "some name likes some color")

    async def asked_with_state(self):
        same(await self.text("test_input_required_result_request_state"), "state-ok")

    async def header_arguments(self):
        same(await self.text("test_custom_header", {"region": "eu west", "shards": 3}), "eu west 3")

    async def big(self):
        same(len(await self.text("big", {"bytes": 1_000_000})), 1_000_000)

    async def reconnection(self):
        same(await self.text("test_reconnection"), "Reconnection test completed")

    async def at_once(self):
        async def one(number):
            same(await self.text("echo", {"text": f"call {number}"}), f"call {number}")

        async with anyio.create_task_group() as group:
            for number in range(16):
                group.start_soon(one, number)

    async def cancelled(self):
        with anyio.move_on_after(0.2) as scope:
            await self.call("slow", {"milliseconds": 20_000})
        assert scope.cancelled_caught, "it was waited for"
        await self.text("test_simple_text")

    async def resources(self):
        found = await pages(self.client.list_resources, "resources")
        templates = await pages(self.client.list_resource_templates, "resourceTemplates")
        content = plain(await self.client.read_resource(named(found, "static-text")["uri"]))["contents"][0]
        same(content["text"], "This is the content of the static text resource.")
        uri = named(templates, "template")["uriTemplate"].replace("{id}", "42")
        content = plain(await self.client.read_resource(uri))["contents"][0]
        same(json.loads(content["text"])["id"], "42")

    async def unknown_resource(self):
        try:
            await self.client.read_resource("test://there-is-none")
        except Refused as error:
            assert error.error.code in (-32602, -32002), error.error.code
            return
        raise AssertionError("no error")

    async def prompts(self):
        self.listed_prompts = await pages(self.client.list_prompts, "prompts")
        name = named(self.listed_prompts, "test_prompt_with_arguments")["name"]
        result = plain(await self.client.get_prompt(name, {"arg1": "hello", "arg2": "world"}))
        same(result["messages"][0]["content"]["text"], "Prompt with arguments: arg1='hello', arg2='world'")

    async def prompt_that_asks(self):
        name = named(self.listed_prompts, "test_input_required_result_prompt")["name"]
        result = plain(await self.client.get_prompt(name))
        same(result["messages"][0]["content"]["text"], "Use this context: some context")

    async def completion(self):
        name = named(self.listed_prompts, "test_prompt_with_arguments")["name"]
        ref = types.PromptReference(type="ref/prompt", name=name)
        result = plain(await self.client.complete(ref, {"name": "arg1", "value": "par"}))
        same(result["completion"]["values"], ["paris", "park", "party"])

    async def changes(self):
        uri = named(await pages(self.client.list_resources, "resources"), "watched-resource")["uri"]
        if self.is_modern:
            wanted = {"tools_list_changed": True, "prompts_list_changed": True, "resource_subscriptions": [uri]}
            async with self.client.listen(**wanted) as events:
                for tool, kind in (
                    ("test_trigger_resource_update", "ResourceUpdated"),
                    ("test_trigger_tool_change", "ToolsListChanged"),
                    ("test_trigger_prompt_change", "PromptsListChanged"),
                ):
                    await self.call(tool)
                    with anyio.fail_after(5):
                        same(type(await anext(events)).__name__, kind)
            return
        before = len(heard)
        await self.client.subscribe_resource(uri)
        await anyio.sleep(0.15)
        for tool, method in (
            ("test_trigger_resource_update", "notifications/resources/updated"),
            ("test_trigger_tool_change", "notifications/tools/list_changed"),
            ("test_trigger_prompt_change", "notifications/prompts/list_changed"),
        ):
            await self.call(tool)
            await until(lambda method=method: any(m == method for m, _ in heard[before:]), method)
        await self.client.unsubscribe_resource(uri)

    async def ping(self):
        if not self.is_modern:
            await self.client.send_ping()


def tell(feature, ok, detail=None):
    print(json.dumps({"feature": feature, "ok": ok, "detail": detail}), flush=True)


async def main():
    try:
        async with connected() as (client, revision):
            tell("connect", True, revision)
            features = Features(client, revision)
            names = [name for name, what in vars(Features).items() if callable(what) and name not in ("__init__", "call", "text")]
            for name in names:
                if args.only and name not in args.only.split(",") and name not in ("tools_list", "prompts"):
                    continue
                try:
                    with anyio.fail_after(20):
                        tell(name, True, await getattr(features, name)())
                except Exception as error:
                    tell(name, False, f"{type(error).__name__} {error}")
    except BaseException as error:
        tell("close" if "features" in locals() else "connect", False, repr(error))
        return
    tell("close", True)


anyio.run(main)
