"""The test session: makes sure that it runs with every test dependency, and knows `--full`."""

import importlib.util
import os
import shutil
import sys

import pytest

NEEDED = (
    "aiosmtpd",
    "hypothesis",
    "numpy",
    "openai",
    "anthropic",
    "llmock",
    "xllamacpp",
    "oteltap",
    "pyarrow",
    "pytest_timeout",
    "schemathesis",
)
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

pytest_plugins = [] if MISSING else ["support.fixtures"]


def pytest_configure(config: pytest.Config) -> None:
    if MISSING:
        _restart_with_test_group(config)


def _restart_with_test_group(config: pytest.Config) -> None:
    """`uv run pytest` starts with the bare runner (the gateway's first start stays light); run again with the group."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None or os.environ.get("TOLLWAY_TEST_GROUP"):
        pytest.exit(f"missing test dependencies: {', '.join(MISSING)}; run: uv run --group test pytest", returncode=2)
    os.environ["TOLLWAY_TEST_GROUP"] = "1"
    # pytest has replaced standard output by now; what comes next must be seen.
    config.pluginmanager.getplugin("capturemanager").stop_global_capturing()
    os.execv(uv, [uv, "run", "--group", "test", "pytest", *sys.argv[1:]])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", default=False, help="the long counts: thousands of kills and examples"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    for item in items:
        if "full" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="a long count; run with --full"))
