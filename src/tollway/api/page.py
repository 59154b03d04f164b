"""`/docs`: the OpenAPI document as one plain page, without scripts and without anything from another host."""

from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#0a7}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
nav ul{columns:2;list-style:none;padding:0;font-size:.9rem}
nav a,h3 a{color:inherit;text-decoration:none}nav a:hover{text-decoration:underline}
section{border-top:1px solid var(--line);padding:.5rem 0 1rem}
h2{margin-top:2.5rem;text-transform:capitalize}
h3{font-size:1.05rem;margin:.5rem 0}
b.method{color:var(--accent);display:inline-block;min-width:4.2rem}
code,pre{font:.88em ui-monospace,monospace}
pre{background:var(--soft);padding:.6rem .8rem;overflow:auto;border-radius:6px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid var(--line)}
.note{opacity:.75}
"""
_DEPTH_MAX = 6
_AUTH = {"key": "API key", "operator": "operator token", "metrics": "metrics key, where one is set"}


def page(document: dict[str, Any]) -> str:
    """The whole page.

    Args:
        document: as `openapi.document` makes it.
    """
    info = document["info"]
    groups = dict[str, list[tuple[str, str, dict[str, Any]]]]()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault((operation.get("tags") or ["other"])[0], []).append((path, method.upper(), operation))
    index = "".join(
        f'<li><a href="#{_anchor(path, method)}"><code>{method} {escape(path)}</code></a></li>'
        for rows in groups.values()
        for path, method, _ in rows
    )
    schemas: dict[str, Any] = document["components"]["schemas"]
    body = "".join(
        f"<h2>{escape(group)}</h2>" + "".join(_operation(schemas, *row) for row in rows)
        for group, rows in groups.items()
    )
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{_prose(info['description'])}</p>"
        f'<p class="note">For programs: <a href="/openapi.json">/openapi.json</a></p>'
        f"<nav><ul>{index}</ul></nav>{body}</body></html>"
    )


def _operation(schemas: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    schemes = {name for one in operation["security"] for name in one} & _AUTH.keys()
    needed = ", ".join(_AUTH[name] for name in sorted(schemes)) or "no key"
    head = (
        f'<section id="{_anchor(path, method)}"><h3><a href="#{_anchor(path, method)}">'
        f'<b class="method">{method}</b><code>{escape(path)}</code></a></h3>'
        f"<p>{_prose(operation.get('description') or operation.get('summary') or '')} "
        f'<span class="note">({needed})</span></p>'
    )
    parts = [head]
    if parameters := operation.get("parameters"):
        rows = "".join(
            f"<tr><td><code>{escape(one['name'])}</code></td><td>{_kind(one['schema'])}</td>"
            f"<td>{'required. ' if one.get('required') else ''}{_prose(_words(one))}</td></tr>"
            for one in parameters
        )
        parts.append(f"<table>{rows}</table>")
    if asked := operation.get("requestBody"):
        parts.append(f"<p>Body</p>{_shape(schemas, asked['content']['application/json']['schema'])}")
    for status, reply in operation["responses"].items():
        for media, content in reply.get("content", {}).items():
            if status != "default" and media == "application/json":
                parts.append(f"<p>{status}: {_prose(reply['description'])}</p>{_shape(schemas, content['schema'])}")
    return "".join(parts) + "</section>"


def _words(parameter: dict[str, Any]) -> str:
    return parameter.get("description") or parameter["schema"].get("description") or ""


def _anchor(path: str, method: str) -> str:
    return escape(f"{method.lower()}{path}".replace("/", "-").replace("{", "").replace("}", ""), quote=True)


def _prose(text: str) -> str:
    """Text in which `backquoted` words become code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces))


def _shape(schemas: dict[str, Any], schema: dict[str, Any]) -> str:
    return f"<pre>{escape(_sketch(schemas, schema, 0))}</pre>"


def _sketch(schemas: dict[str, Any], schema: dict[str, Any], depth: int) -> str:
    """A schema as an example-like text: `{"id": string, ...}`."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " | ".join(_sketch(schemas, one, depth) for one in schema[choice])
    pad = "  " * (depth + 1)
    if depth >= _DEPTH_MAX:
        return "..."
    if properties := schema.get("properties"):
        lines = [f'{pad}"{name}": {_sketch(schemas, one, depth + 1)}' for name, one in properties.items()]
        return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"
    if schema.get("type") == "array":
        return f"[{_sketch(schemas, schema.get('items', {}), depth)}]"
    return _kind(schema)


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join("null" if value is None else str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_kind(one) for one in schema["anyOf"])
    kind = schema.get("type", "any")
    return str(kind) if isinstance(kind, str) else " | ".join(kind)
