"""A server of notes over standard input and output, without any SDK. What it offers stands in the file
that it is given, which is read again for each list, so a test can change it; what it answers, too."""

import json
import sys


def offered():
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "notes", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": offered()["tools"]}
    if method == "tools/call":
        # Whatever came, for the test to look for what should not have come.
        with open(sys.argv[1] + ".calls", "a", encoding="utf-8") as file:
            file.write(json.dumps(params) + "\n")
        text = offered().get("answers", {}).get(params["name"], "done")
        return {"content": [{"type": "text", "text": text}]}
    return None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    result = answer(message["method"], message.get("params", {}))
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    if result is None:
        reply["error"] = {"code": -32601, "message": "Method not found"}
    else:
        reply["result"] = result
    print(json.dumps(reply), flush=True)
