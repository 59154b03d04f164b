"""LiteLLM's proxy from PyPI, in an environment of its own, without a database: so without billing."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import answers
from machine import pinned
from target import SHAPES, Process, Request, Target, free_port

# 1.110.2 cannot be installed with its extra: it asks for a package that is not published.
VERSION = "1.108.7"
_INSTALL_S = 900
_READY_S = 180
_KEY = "sk-bench-master"


def install(folder: Path) -> Path:
    """Install it below `folder` if it is not there yet; its program."""
    home = folder / f"litellm-{VERSION}"
    program = home / "bin" / "litellm"
    if not program.exists():
        uv = shutil.which("uv")
        if uv is None:
            raise RuntimeError("LiteLLM is installed with uv: pip install uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], check=True)
        command = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(home / "bin" / "python"),
            f"litellm[proxy]=={VERSION}",
        ]
        subprocess.run(command, check=True, timeout=_INSTALL_S)
    return program


@contextlib.contextmanager
def litellm(folder: Path, cores: list[int], upstream: str) -> Iterator[Target]:
    """In front of the upstream's base URL, one worker. `folder`: where installations are kept."""
    program = install(folder)
    models = "".join(
        f"  - model_name: bench-{shape}\n    litellm_params: "
        f"{{model: openai/bench, api_base: '{upstream}/{shape}/v1', api_key: sk-bench}}\n"
        for shape in SHAPES
    )
    settings = folder / "litellm.yaml"
    settings.write_text(f"model_list:\n{models}general_settings: {{master_key: {_KEY}}}\n")
    port = free_port()
    command = [
        str(program),
        "--config",
        str(settings),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    # It would fetch its price list, and say so on every start.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    with Process("litellm", pinned(command, cores), env=environment) as process:
        base = f"http://127.0.0.1:{port}"
        process.wait_ready(f"{base}/health/liveliness", timeout=_READY_S)
        requests = {
            shape: Request(
                f"{base}/v1/chat/completions",
                answers.question(f"bench-{shape}", streams=shape == "sse"),
                {"authorization": f"Bearer {_KEY}"},
            )
            for shape in SHAPES
        }
        yield Target("litellm", requests, process, {"version": VERSION})
