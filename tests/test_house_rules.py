"""The house rules, as tests: what a reviewer would otherwise have to say each time."""

import ast
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SRC = ROOT / "src" / "tollway"
FILES = sorted(SRC.rglob("*.py"))
MONEY = ("money", "ledger", "billing", "payments", "plans", "metering/rating", "metering/quote", "catalogue/prices")
LINES_MAX, FUNCTION_LINES_MAX = 400, 60
VAGUE = {"utils", "util", "helpers", "common", "misc", "manager", "handler", "base", "core", "service"}
AMBIENT = {("datetime", "now"), ("datetime", "utcnow"), ("time", "time"), ("uuid", "uuid4"), ("random", "random")}
MAY_ASK_AMBIENT = {"app.py", "process.py"}
OUTSIDERS = re.compile(r"\b(groq|mistral|deepseek|together|openrouter|razorpay|stripe)\b", re.IGNORECASE)
NAMES_VENDORS = ("providers", "payments", "app.py")
MARKERS = re.compile(r"\b(TODO|FIXME|XXX)\b")


def name(path: pathlib.Path) -> str:
    return path.relative_to(SRC).as_posix()


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The code alone: "together" is also a word, and a docstring may name whom a rule is compared with."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not is_text(one)] or [ast.Pass()]
    return tree


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file_is_tidy(path: pathlib.Path) -> None:
    text, where = path.read_text(), name(path)
    tree = ast.parse(text)

    first = (ast.get_docstring(tree) or "").split("\n")[0]
    assert first.endswith((".", ",", "-")) or len(first) > 40, (
        f"{where}: open with one sentence that says what lives here"
    )
    assert ast.get_docstring(tree), f"{where}: open with one sentence that says what lives here"
    assert len(text.splitlines()) <= LINES_MAX, f"{where}: over {LINES_MAX} lines; split by noun"
    assert path.stem not in VAGUE, f"{where}: name the thing, not its shape"
    assert not MARKERS.search(text), f"{where}: finish it, or open an issue"

    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{where}:{node.lineno} {node.name}: {length} lines"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            called = (owner.id if isinstance(owner, ast.Name) else "", node.func.attr)
            ambient = called in AMBIENT and where not in MAY_ASK_AMBIENT
            assert not ambient, f"{where}:{node.lineno} ask the Clock or the Ids"
        if where.startswith(MONEY):
            is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
            is_cast = isinstance(node, ast.Name) and node.id == "float"
            assert not is_float, f"{where}:{node.lineno} no floats near money"
            assert not is_cast, f"{where}:{node.lineno} no floats near money"

    if not where.startswith(NAMES_VENDORS):
        code = ast.unparse(without_docstrings(tree))
        assert not OUTSIDERS.search(code), f"{where}: a vendor's name leaked out of its own file"


def test_no_sql_outside_the_store() -> None:
    sql = re.compile(r"\b(SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
    guilty = [name(path) for path in FILES if not name(path).startswith("store") and sql.search(path.read_text())]
    assert guilty == []


def test_no_pth_files_and_no_forbidden_dependency() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert "litellm" not in text
    lock = (ROOT / "requirements.lock").read_text()
    assert "litellm" not in lock
    assert not re.search(r"https?://", lock), "the lock names an address"
    assert list(SRC.rglob("*.pth")) == []


def test_tracked_files_name_no_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    home = re.compile(r"(^|[^A-Za-z0-9_.])/(root|farm|home/\w+)/")
    guilty = []
    for path in listed:
        file = ROOT / path
        if not file.is_file() or file.suffix in {".png", ".gz", ".ico"}:
            continue
        if home.search(file.read_text(errors="replace")) and file.name != "test_house_rules.py":
            guilty.append(path)
    assert guilty == []
    assert "uv.lock" not in listed
