"""The documentation, held to the code: errors, endpoints, commands, metrics, log fields, links, and places in the code."""

import ast
import json
import pathlib
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from types import SimpleNamespace

import click
import pytest
import yaml

from tollway import errors
from tollway.api.server import CHAT_PATH
from tollway.cli import COMMANDS, cli
from tollway.telemetry import logs
from tollway.telemetry.exposition import Exposition
from tollway.telemetry.metrics import Metrics
from tollway.telemetry.readings import ledger_readings

ROOT = pathlib.Path(__file__).parent.parent
SRC = ROOT / "src" / "tollway"
DOCS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
HEADINGS = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def name(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text(path: str) -> str:
    return (ROOT / path).read_text()


def prose(path: pathlib.Path) -> str:
    """A document without its code blocks."""
    return FENCE.sub("", path.read_text())


# --- docs/api.md ---


def error_rows() -> list[str]:
    """The rows of the error table: one per code, in the words of the class that says most about it."""
    found: dict[str, type[errors.TollwayError]] = {}
    for one in vars(errors).values():
        if isinstance(one, type) and issubclass(one, errors.TollwayError):
            found[one.code] = one
    return [
        f"| {one.status} | `{one.type}` | `{one.code}` | {' '.join((one.__doc__ or '').split())} |"
        for one in sorted(found.values(), key=lambda one: one.status)
    ]


def test_every_error_is_documented() -> None:
    rows = re.findall(r"^\| [45]\d\d \| .*$", text("docs/api.md"), re.MULTILINE)
    assert rows == error_rows(), "put these rows into the table of docs/api.md:\n" + "\n".join(error_rows())


def test_every_endpoint_is_documented() -> None:
    routes = {CHAT_PATH}
    for path in (SRC / "api").glob("*.py"):
        routes |= set(
            re.findall(
                r"""["'](/(?:v1|admin)/[^"'\s`]+|/healthz|/readyz|/metrics|/docs|/openapi\.json)["']""",
                path.read_text(),
            )
        )
    routes = {route.replace("{model_id:path}", "{model_id}") for route in routes}
    assert len(routes) > 20
    documented = text("docs/api.md")
    assert [route for route in sorted(routes) if route not in documented] == []


# --- docs/cli.md ---


def commands(group: click.Group, around: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for one in group.list_commands(context):
        command = group.get_command(context, one)
        assert command is not None
        if not command.hidden:
            yield f"{around} {one}", command
            if isinstance(command, click.Group):
                yield from commands(command, f"{around} {one}")


def test_every_command_and_option_is_documented() -> None:
    found = dict(commands(cli, "tollway"))
    assert {f"tollway {one}" for one in COMMANDS} <= found.keys()
    sections = re.split(r"^#{2,3} `(tollway [a-z ]+)`$", text("docs/cli.md"), flags=re.MULTILINE)
    told = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert told.keys() == found.keys()
    for command, section in told.items():
        for option in found[command].params:
            if isinstance(option, click.Option) and not option.hidden:
                assert f"`{option.opts[0]}" in section, f"{command}: {option.opts[0]} is not in docs/cli.md"


# --- docs/how-to/watch-it.md ---


def test_every_metric_and_log_field_is_documented() -> None:
    metrics = Metrics()
    metrics.readings += ledger_readings(lambda: SimpleNamespace(**dict.fromkeys(_LEDGER, 0)))
    names = {f"{family.name}{'_total' if family.type == 'counter' else ''}" for family in Exposition(metrics).collect()}
    assert len(names) > 15
    told = text("docs/how-to/watch-it.md")
    fields = {*logs._Line.__struct_fields__, *logs._Refusal.__struct_fields__}
    assert [one for one in sorted(names | fields) if f"`{one}`" not in told] == []


_LEDGER = (
    "open_holds", "held_nano", "queued", "commits", "written", "bad_debt_nano", "leaked_holds", "leaked_nano", "is_available",
)  # fmt: skip


# --- decisions ---


@pytest.mark.parametrize("path", ADRS, ids=name)
def test_a_decision_has_its_five_headings(path: pathlib.Path) -> None:
    lines = path.read_text().splitlines()
    assert re.match(rf"# {path.stem[:4]} \S", lines[0])
    assert [line[3:] for line in lines if line.startswith("## ")] == HEADINGS
    assert 15 <= len(lines) <= 35, "a decision is one page"


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.stem[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))


def test_every_dependency_has_its_reason() -> None:
    wanted = tomllib.loads(text("pyproject.toml"))["project"]["dependencies"]
    packages = [re.split(r"[>=<;\[ ]", one)[0] for one in wanted]
    told = text("docs/adr/0011-dependencies.md")
    assert [one for one in packages if f"`{one}`" not in told] == []
    assert metadata.version("tollway")


# --- all documents ---


def slug(heading: str) -> str:
    """The anchor of a heading, as forges make it."""
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_relative_link_leads_somewhere(path: pathlib.Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{name(path)}: {target} leads nowhere"
        if anchor:
            anchors = {slug(one) for one in re.findall(r"^#+ (.+)$", prose(found), re.MULTILINE)}
            assert anchor in anchors, f"{name(path)}: {target} names no heading"


def place(written: str) -> pathlib.Path | None:
    return next((one for base in (SRC, ROOT) if (one := base / written).is_file()), None)


def defines(path: pathlib.Path, dotted: str) -> bool:
    """The file has this function, class, method or constant at its top, or in the class before the dot."""
    body: list[ast.stmt] = ast.parse(path.read_text()).body
    for part in dotted.split("."):
        found = None
        for node in body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = {getattr(node, "name", None), *(getattr(one, "id", None) for one in targets)}
            if part in names:
                found = node
        if found is None:
            return False
        body = getattr(found, "body", [])
    return True


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_place_in_the_code_is_there(path: pathlib.Path) -> None:
    for file, dotted in re.findall(r"`([\w/]+/[\w.]+\.(?:py|sql)|\w+\.py)(?:::([\w.]+))?`", prose(path)):
        found = place(file)
        assert found is not None, f"{name(path)}: there is no {file}"
        assert not dotted or defines(found, dotted), f"{name(path)}: {file} has no {dotted}"


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_example_can_be_read(path: pathlib.Path) -> None:
    for language, code in FENCE.findall(path.read_text()):
        if language == "json":
            json.loads(code)
        elif language == "toml":
            tomllib.loads(code)
        elif language in {"yaml", "yml"}:
            yaml.safe_load(code)
        elif language == "python":
            ast.parse(code)


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_no_example_shows_a_whole_key(path: pathlib.Path) -> None:
    assert re.findall(r"\btwa?_[A-Za-z0-9]{47}\b", path.read_text()) == []


def test_the_first_pages_stay_short() -> None:
    assert len(text("README.md").splitlines()) <= 150
    assert len(text("docs/architecture.md").splitlines()) <= 200
