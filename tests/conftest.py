"""The test session: makes sure that it runs with every test dependency, and knows `--full`."""

import importlib.util
import os
import shutil
import sys

import pytest

NEEDED = ("hypothesis", "openai", "anthropic", "llmock", "xllamacpp", "oteltap", "pytest_timeout")


def _restart_with_test_group() -> None:
    """`uv run pytest` starts with the bare runner (the first start of the gateway stays light); run again with the group."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None or os.environ.get("TOLLWAY_TEST_GROUP"):
        sys.exit(f"missing test dependencies: {', '.join(missing)}; run: uv run --group test pytest")
    os.environ["TOLLWAY_TEST_GROUP"] = "1"
    os.execv(uv, [uv, "run", "--group", "test", "pytest", *sys.argv[1:]])


_restart_with_test_group()

pytest_plugins = ["support.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", default=False, help="the long counts: thousands of kills and examples")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    for item in items:
        if "full" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="a long count; run with --full"))
