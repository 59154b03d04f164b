"""The extra `local`: `tollway serve` brings a real model of its own, and what it prints on the first start works as pasted."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import openai
import pytest

from contract.bill import available
from contract.talk import LOCAL, ask, client
from support.gateway import Gateway, clean_environment

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with no provider key and no configuration, as a newcomer starts it."""
    # Empty is as good as unset: nobody says where a model is, so the server starts its own.
    with Gateway(tmp_path_factory.mktemp("alone"), TOLLWAY_LOCAL_URL="") as running:
        yield running


def run(command: list[str], folder: Path) -> str:
    """What a pasted command prints."""
    environment = {**clean_environment(), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_curl_line_works_as_pasted_at_once(alone: Gateway, tmp_path: Path) -> None:
    """The model is still loading: the call waits for it. First in this file, so that it is."""
    line = re.search(r"^curl .*?\\\n.*?'$", alone.log, re.DOTALL | re.MULTILINE)
    assert line is not None, alone.log
    before = available(alone)
    said = run(["bash", "-c", line[0]], tmp_path)
    assert said.startswith("data: {")
    assert said.rstrip().endswith("data: [DONE]")
    cost = re.search(r'"cost_usd":"([0-9.]+)"', said)
    assert cost is not None, said
    assert before - available(alone) == Decimal(cost[1]) > 0


def test_the_python_snippet_works_as_pasted(alone: Gateway, tmp_path: Path) -> None:
    snippet = re.search(r"^from openai import OpenAI\n.*?flush=True\)$", alone.log, re.DOTALL | re.MULTILINE)
    assert snippet is not None, alone.log
    assert alone.key in snippet[0]
    script = tmp_path / "first_call.py"
    script.write_text(snippet[0] + "\n")
    before = available(alone)
    assert run([sys.executable, str(script)], tmp_path).strip()
    assert available(alone) < before


def test_the_banner_shows_the_real_model(alone: Gateway) -> None:
    assert f'"{LOCAL}"' in alone.log
    assert "the local model loads for some seconds" in alone.log
    assert "no provider key" not in alone.log


def test_its_answers_cost_real_money_units(alone: Gateway) -> None:
    with client(alone) as sdk:
        reply = sdk.chat.completions.create(model="smollm2-135m", messages=ask("Say hello."), max_tokens=5)
    assert (reply.tollway["model"], reply.tollway["usage_source"]) == (LOCAL, "provider")
    assert Decimal(reply.tollway["cost_usd"]) > 0
    assert isinstance(reply, openai.types.chat.ChatCompletion)


def test_it_ends_with_the_server(tmp_path: Path) -> None:
    with Gateway(tmp_path, TOLLWAY_LOCAL_URL="") as running:
        children = _children(running.process.pid)
        assert children
        assert running.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def _children(pid: int) -> list[int]:
    """Processes that a process has started, by the kernel's own list."""
    folder = Path(f"/proc/{pid}/task")
    return [int(one) for task in folder.iterdir() for one in (task / "children").read_text().split()]
