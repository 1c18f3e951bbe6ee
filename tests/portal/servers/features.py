"""What every server of the tests does, in Python: the same as features.mjs, from the same catalogue.

`io` is the way to the client that an SDK offers; see features.mjs for what it has.
"""

import json
import os
import re
from pathlib import Path

import anyio

CATALOGUE = json.loads((Path(__file__).parent / "catalogue.json").read_text())
INVALID_PARAMS = -32602
TEXT = {"type": "string"}

seen = {"cancelled": 0, "finished": 0, "calls": 0, "headers": {}}


class Pause(Exception):
    """Raised by `io.ask` where the client is asked by a result."""

    def __init__(self, requests, state):
        super().__init__("the client is asked")
        self.requests = requests
        self.state = state


def say(text):
    return {"content": [{"type": "text", "text": text}]}


def form(message, properties, required=()):
    schema = {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(prompt, most=100):
    message = {"role": "user", "content": {"type": "text", "text": prompt}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": most}}


ROOTS = {"method": "roots/list", "params": {}}
NAME = form("What is your name?", {"name": TEXT}, ["name"])


def answers(request, answer):
    """Whether an answer is one to the request; the client may say anything."""
    if not isinstance(answer, dict):
        return False
    if request["method"] == "roots/list":
        return isinstance(answer.get("roots"), list)
    if request["method"] == "sampling/createMessage":
        return isinstance(answer.get("role"), str) and answer.get("content") is not None
    if answer.get("action") not in ("accept", "decline", "cancel"):
        return False
    wanted = request["params"]["requestedSchema"].get("required", [])
    given = answer.get("content") or {}
    return answer["action"] != "accept" or all(key in given for key in wanted)


def sampled(answer):
    content = answer["content"]
    parts = content if isinstance(content, list) else [content]
    return " ".join(part.get("text", part["type"]) for part in parts)


def titled(kind, titles):
    return [{"const": f"value{number}", "title": f"{title} {kind}"} for number, title in enumerate(titles, 1)]


ORDINALS = ("First", "Second", "Third")
OPTIONS = ["option1", "option2", "option3"]
ENUMS = {
    "untitledSingle": {"type": "string", "enum": OPTIONS},
    "titledSingle": {"type": "string", "oneOf": titled("Option", ORDINALS)},
    "legacyEnum": {
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
    "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice", ORDINALS)}},
}
DEFAULTS = {
    "name": {**TEXT, "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {**TEXT, "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}


async def asked(io, request, said):
    user = (await io.ask({"user": request}))["user"]
    return say(f"{said}: action={user['action']}, content={json.dumps(user.get('content') or {})}")


async def with_logging(_, io):
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await io.log("info", line)
        await anyio.sleep(0.05)
    return say("Tool with logging executed")


async def with_progress(_, io):
    for done in (0, 50, 100):
        await io.progress(done, 100)
        await anyio.sleep(0.05)
    return say("Tool with progress executed")


async def sampling(args, io):
    return say(f"LLM response: {sampled((await io.ask({'model': sample(args['prompt'])}))['model'])}")


async def elicitation(args, io):
    properties = {
        "username": {**TEXT, "description": "User's response"},
        "email": {**TEXT, "description": "User's email address"},
    }
    return await asked(io, form(args["message"], properties, ["username", "email"]), "User response")


async def reconnection(_, io):
    await anyio.sleep(0.05)
    await io.end_stream()
    await anyio.sleep(0.2)
    return say("Reconnection test completed")


async def asks_name(_, io):
    user = (await io.ask({"user_name": NAME}))["user_name"]
    return say(f"Hello, {(user.get('content') or {}).get('name', 'stranger')}!")


async def asks_model(_, io):
    answer = await io.ask({"capital_question": sample("What is the capital of France?")})
    return say(sampled(answer["capital_question"]))


async def asks_roots(_, io):
    found = (await io.ask({"client_roots": ROOTS}))["client_roots"]
    return say("Roots: " + " ".join(root["uri"] for root in found["roots"]))


async def asks_with_state(_, io):
    await io.ask({"confirm": form("Please confirm", {"ok": {"type": "boolean"}}, ["ok"])}, {"kept": "yes"})
    if io.is_modern and (io.state or {}).get("kept") != "yes":
        raise io.refuse(INVALID_PARAMS, "The state did not come back")
    return say("state-ok")


async def asks_thrice(_, io):
    wanted = {"user_name": NAME, "greeting": sample("Generate a greeting", 50), "client_roots": ROOTS}
    found = await io.ask(wanted, {"kept": "yes"})
    name = (found["user_name"].get("content") or {}).get("name")
    return say(f"{sampled(found['greeting'])} {name} {len(found['client_roots']['roots'])}")


async def asks_twice(_, io):
    name = (io.state or {}).get("name")
    if name is None:
        first = form("Step 1: What is your name?", {"name": TEXT}, ["name"])
        name = (await io.ask({"step1": first}, {"round": 1}))["step1"]["content"]["name"]
    second = form("Step 2: What is your favorite color?", {"color": TEXT}, ["color"])
    answer = (await io.ask({"step2": second}, {"round": 2, "name": name}))["step2"]
    return say(f"{name} likes {answer['content']['color']}")


async def asks_what_it_can(_, io):
    offered = {"sampling": ("model", sample("Say something", 20)), "elicitation": ("user_name", NAME)}
    offered["roots"] = ("client_roots", ROOTS)
    wanted = dict(offer for capability, offer in offered.items() if io.can(capability))
    return say(" ".join(await io.ask(wanted)))


async def missing_capability(_, io):
    if not io.can("sampling"):
        raise io.missing({"sampling": {}})
    return say("The client can sample")


async def streaming_elicitation(_, io):
    await io.progress(1, 2)
    if not io.can("elicitation"):
        return say("The client has nobody to ask")
    return say((await io.ask({"user_name": NAME}))["user_name"]["action"])


async def logs(_, io):
    await io.log("info", "Something was done")
    return say("logged")


def changes(kind, uri=None):
    async def change(_, io):
        await io.changed(kind, uri)
        return say("changed")

    return change


async def custom_header(args, _):
    return say(f"{args['region']} {args.get('shards', '')}".strip())


async def echo(args, _):
    return {**say(args["text"]), "structuredContent": {"echoed": args["text"]}}


async def slow(args, _):
    try:
        await anyio.sleep(args["milliseconds"] / 1000)
    except anyio.get_cancelled_exc_class():
        seen["cancelled"] += 1
        raise
    seen["finished"] += 1
    return say(f"after {args['milliseconds']} ms")


async def big(args, _):
    return say("x" * args["bytes"])


async def headers(_, io):
    return say(json.dumps(io.headers))


TOOLS = {
    "test_tool_with_logging": with_logging,
    "test_tool_with_progress": with_progress,
    "test_sampling": sampling,
    "test_elicitation": elicitation,
    "test_elicitation_sep1034_defaults": lambda _, io: asked(
        io, form("Please look through these values", DEFAULTS), "Elicitation completed"
    ),
    "test_elicitation_sep1330_enums": lambda _, io: asked(io, form("Please choose", ENUMS), "Elicitation completed"),
    "test_reconnection": reconnection,
    "test_input_required_result_elicitation": asks_name,
    "test_input_required_result_sampling": asks_model,
    "test_input_required_result_list_roots": asks_roots,
    "test_input_required_result_request_state": asks_with_state,
    "test_input_required_result_tampered_state": asks_with_state,
    "test_input_required_result_multiple_inputs": asks_thrice,
    "test_input_required_result_multi_round": asks_twice,
    "test_input_required_result_capabilities": asks_what_it_can,
    "test_missing_capability": missing_capability,
    "test_streaming_elicitation": streaming_elicitation,
    "test_logging_tool": logs,
    "test_trigger_tool_change": changes("tools"),
    "test_trigger_prompt_change": changes("prompts"),
    "test_trigger_resource_update": changes("resource", "test://watched-resource"),
    "test_custom_header": custom_header,
    "echo": echo,
    "slow": slow,
    "big": big,
    "seen": headers,
}


async def call(params, io):
    found = next((tool for tool in CATALOGUE["tools"] if tool["definition"]["name"] == params["name"]), None)
    if found is None:
        raise io.refuse(INVALID_PARAMS, f"Unknown tool: {params['name']}")
    seen["calls"] += 1
    if "answer" in found:
        return found["answer"]
    return await TOOLS[params["name"]](params.get("arguments") or {}, io)


def page(name, items):
    async def pages(params, io):
        size = int(os.environ.get("PAGE_SIZE", "0"))
        if not size:
            return {name: items}
        cursor = params.get("cursor") or "0"
        if not cursor.isdigit() or int(cursor) > len(items):
            raise io.refuse(INVALID_PARAMS, "No such page")
        end = int(cursor) + size
        return {name: items[int(cursor) : end], **({"nextCursor": str(end)} if end < len(items) else {})}

    return pages


async def read(params, io):
    uri = params["uri"]
    for resource in CATALOGUE["resources"]:
        if resource["definition"]["uri"] == uri:
            return {"contents": [{"uri": uri, **resource["contents"]}]}
    match = re.fullmatch(r"test://template/([^/]+)/data", uri)
    if not match:
        raise io.refuse(INVALID_PARAMS if io.is_modern else -32002, "Resource not found", {"uri": uri})
    data = {"id": match[1], "templateTest": True, "data": f"Data for ID: {match[1]}"}
    return {"contents": [{"uri": uri, "mimeType": "application/json", "text": json.dumps(data)}]}


def filled(value, args):
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: args.get(match[1], match[0]), value)
    if isinstance(value, dict):
        return {key: filled(part, args) for key, part in value.items()}
    return [filled(part, args) for part in value] if isinstance(value, list) else value


async def prompt(params, io):
    for found in CATALOGUE["prompts"]:
        if found["definition"]["name"] == params["name"]:
            break
    else:
        raise io.refuse(INVALID_PARAMS, f"No such prompt: {params['name']}")
    args = params.get("arguments") or {}
    if params["name"] == "test_input_required_result_prompt":
        question = form("What context should the prompt use?", {"context": TEXT}, ["context"])
        args = (await io.ask({"user_context": question}))["user_context"].get("content") or {}
    return {"description": found["definition"]["description"], "messages": filled(found["messages"], args)}


async def complete(params, _):
    words = [word for word in ("paris", "park", "party") if word.startswith(params["argument"]["value"])]
    return {"completion": {"values": words, "total": len(words), "hasMore": False}}


def definitions(name):
    return [entry["definition"] for entry in CATALOGUE[name]]


METHODS = {
    "tools/list": page("tools", definitions("tools")),
    "tools/call": call,
    "resources/list": page("resources", definitions("resources")),
    "resources/templates/list": page("resourceTemplates", CATALOGUE["templates"]),
    "resources/read": read,
    "prompts/list": page("prompts", definitions("prompts")),
    "prompts/get": prompt,
    "completion/complete": complete,
}


def arguments():
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, help="port of Streamable HTTP")
    parser.add_argument("--sse", type=int, help="port of HTTP with SSE (2024-11-05)")
    parser.add_argument("--stdio", action="store_true")
    parser.add_argument("--json", action="store_true", help="answers as JSON where no stream is needed")
    return parser.parse_args()


def control(forget):
    """Pages for tests beside the endpoint."""
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    async def told(_):
        return JSONResponse(seen)

    async def forgets(_):
        await forget()
        return PlainTextResponse("done")

    return [Route("/control/seen", told), Route("/control/forget", forgets, methods=["POST"])]


def serve(app, port):
    import sys

    import uvicorn

    print(f"listening on {port}", file=sys.stderr, flush=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)
