"""What an operator sees when the server is ready: once, on the first start, everything needed for a first call."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ready:
    """A server that answers.

    url: its address. model: one that can be called now. seconds: from the start of the process to readiness.
    key, admin_token: shown on the first start only, "" later. grant_usd: what the first wallet holds.
    notes: what the operator should know, e.g. that no provider key is set.
    """

    url: str
    data: str
    model: str
    models: int
    seconds: float
    key: str = ""
    admin_token: str = ""
    grant_usd: str = ""
    notes: tuple[str, ...] = ()


def welcome(ready: Ready) -> str:
    """The text, with a curl line and a Python snippet that work as pasted on the first start."""
    lines = [f"Tollway is ready at {ready.url} ({ready.seconds:.1f} s, {ready.models} models, data in {ready.data})"]
    lines += [f"  note: {note}" for note in ready.notes]
    if ready.key:
        lines += ["", *_first_start(ready)]
    lines += ["", "Ctrl-C finishes what is running, then stops."]
    return "\n".join(lines)


def _first_start(ready: Ready) -> list[str]:
    return [
        "First start. These two are shown once and kept only as hashes; write them down:",
        f"  first API key   {ready.key}",
        f"  admin login     {ready.admin_token}   (bearer token of /admin)",
        f"The first wallet holds {ready.grant_usd} USD to begin with.",
        "",
        "Try it:",
        f"curl -N {ready.url}/v1/chat/completions -H 'Content-Type: application/json' \\",
        f"  -H 'Authorization: Bearer {ready.key}' \\",
        f'  -d \'{{"model": "{ready.model}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}\'',
        "",
        "Or with the official Python SDK (pip install openai):",
        "from openai import OpenAI",
        "",
        f'client = OpenAI(base_url="{ready.url}/v1", api_key="{ready.key}")',
        "stream = client.chat.completions.create(",
        f'    model="{ready.model}", messages=[{{"role": "user", "content": "Hello!"}}], stream=True',
        ")",
        "for chunk in stream:",
        '    print(chunk.choices[0].delta.content or "", end="", flush=True)',
    ]
