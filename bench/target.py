"""A gateway to be measured: how it is started on its one core, and what is posted to it for each shape of answer."""

import importlib.metadata
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
# One way to start, await and end servers, shared with the tests.
sys.path.insert(0, str(ROOT / "tests"))

from support.process import Process, free_port  # noqa: E402

__all__ = ["ROOT", "SHAPES", "Process", "Request", "Target", "free_port", "installed_version"]

SHAPES = ("json", "sse")


@dataclass(frozen=True)
class Request:
    """A POST that the load repeats."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Something to measure.

    requests: shape -> what is posted. process: whose CPU and memory are counted. facts: more figures for the report.
    """

    name: str
    requests: Mapping[str, Request]
    process: Process
    facts: Mapping[str, float | str] = field(default_factory=dict)

    def check(self) -> None:
        """One request of each shape; AssertionError if the answer is not the upstream's."""
        for shape, request in self.requests.items():
            headers = {"content-type": "application/json", **request.headers}
            asked = urllib.request.Request(request.url, request.body, headers, method="POST")
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with direct.open(asked, timeout=60) as reply:
                    text = reply.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    raise AssertionError(f"{self.name} {shape}: {error.code} {error.read()[:500]}") from None
            ending = "data: [DONE]" if shape == "sse" else '"usage"'
            assert ending in text, f"{self.name} {shape}: {text[-500:]}"
            assert "567" in text, f"{self.name} {shape}: no usage in {text[-500:]}"


def installed_version(package: str) -> str:
    """Version of a Python package of this environment, "" if it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
