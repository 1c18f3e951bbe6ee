#!/usr/bin/env python3
"""Derives the small schemas beside this file from the published ones.

    pip download --no-deps ocsf-json-schema==1.2.0 && unzip ocsf_json_schema-*.whl
    npm pack @elastic/ecs@9.4.0 && tar xzf elastic-ecs-9.4.0.tgz
    tests/schemas/derive.py ocsf ocsf_json_schema/ocsf/1.5.0.json > tests/schemas/ocsf-1.5.0.json
    tests/schemas/derive.py ecs package/generated > tests/schemas/ecs-9.4.0.json

Kept are names, types, requirements and enumerations of what the encoders use; no texts.
"""
import json
import pathlib
import re
import sys

CLASSES = ["detection_finding", "http_activity"]
OBJECTS = [
    "actor", "analytic", "evidences", "finding_info", "http_request", "http_response", "logger",
    "metadata", "network_connection_info", "network_endpoint", "object", "product", "remediation",
    "url", "user",
]
ECS_SETS = [
    "base", "client", "destination", "ecs", "event", "http", "log", "network", "observer",
    "related", "rule", "server", "source", "url", "user",
]


def attribute(raw):
    out = {"type": raw["type"], "requirement": raw.get("requirement", "optional")}
    if raw.get("object_type"):
        out["object"] = raw["object_type"]
    if raw.get("is_array"):
        out["array"] = True
    if raw.get("enum"):
        keys = raw["enum"]
        # Long lists of texts are of no use here.
        out["enum"] = {key: keys[key]["caption"] for key in sorted(keys)}
    profiles = raw.get("profiles") or ([raw["profile"]] if raw.get("profile") else [])
    if profiles:
        out["profiles"] = profiles
    return out


def ocsf(path):
    schema = json.load(open(path, encoding="utf-8"))

    def part(raw):
        attributes = {
            name: attribute(value)
            for name, value in sorted(raw["attributes"].items())
            if "@deprecated" not in value
        }
        out = {"attributes": attributes}
        if raw.get("constraints"):
            out["constraints"] = raw["constraints"]
        return out

    types = schema.get("types") or schema["dictionary"]["types"]["attributes"]
    base = {
        name: {key: value[key] for key in ("type", "max_len", "range") if key in value}
        for name, value in sorted(types.items())
    }
    print_lines({
        "source": f"OCSF {schema['version']}, Apache-2.0, from the PyPI package ocsf-json-schema 1.2.0",
        "version": schema["version"],
        "types": base,
        "classes": {name: part(schema["classes"][name]) for name in CLASSES},
        "objects": {name: part(schema["objects"][name]) for name in OBJECTS},
    })


def ecs(folder):
    fields = {}
    for name in ECS_SETS:
        text = (pathlib.Path(folder) / f"{name}.ts").read_text(encoding="utf-8")
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        stack = [] if name == "base" else [name]
        inside = False
        for line in text.splitlines():
            if line.startswith("export interface"):
                inside = True
                continue
            found = re.match(r"\s+'?([@\w]+)'?\??: (.*)$", line)
            if not inside:
                continue
            if found and found.group(2) == "{":
                stack.append(found.group(1))
            elif found:
                fields[".".join([*stack, found.group(1)])] = found.group(2).rstrip(";")
            elif re.match(r"\s+}", line):
                stack.pop()
    print_lines({
        "source": "ECS 9.4.0, Apache-2.0, from the npm package @elastic/ecs 9.4.0",
        "version": "9.4.0",
        "fields": dict(sorted(fields.items())),
    })


def print_lines(value, depth=0, end="\n"):
    """JSON with one line for each innermost object of attributes."""
    leaf = not isinstance(value, dict) or depth > 0 and not any(
        isinstance(item, dict) and (depth < 4) for item in value.values()
    ) and depth != 1
    if leaf or not isinstance(value, dict):
        print(json.dumps(value), end=end)
        return
    print("{")
    items = list(value.items())
    for number, (key, item) in enumerate(items):
        print(" " * (depth + 1) + json.dumps(key) + ": ", end="")
        print_lines(item, depth + 1, "" if number + 1 == len(items) else ",")
        if number + 1 == len(items):
            print()
        else:
            print()
    print(" " * depth + "}", end=end)


{"ocsf": ocsf, "ecs": ecs}[sys.argv[1]](sys.argv[2])
