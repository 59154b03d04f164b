# Everything a developer does here, one word each. `just check` is exactly what CI runs.

export := "uv export --quiet --all-groups --all-extras --no-emit-project --no-header --format requirements-txt"

set shell := ["bash", "-euo", "pipefail", "-c"]

# The list of recipes.
default:
    @just --list

# Install everything for development.
setup:
    uv sync --all-groups --extra otel

# Lint, types, import rules, lock, tests: exactly CI.
check: lint types imports lock-check test

# Style and mistakes.
lint:
    uv run --group check --group test ruff format --check src tests bench
    uv run --group check --group test ruff check src tests bench

# pyright strict on src.
types:
    uv run --group check --group test --extra otel pyright

# Floors and locked doors (pyproject.toml, tool.importlinter).
imports:
    uv run --group check --group test lint-imports

# The lock holds hashes and no addresses, and is what every machine resolves (pyproject.toml, exclude-newer).
lock-check:
    ! grep -nE 'https?://|--index-url|--find-links' requirements.lock
    {{ export }} | diff requirements.lock -

# The README's test command.
test *args:
    uv run pytest {{ args }}

# The long counts: thousands of crashes, examples and kills.
torture:
    uv run pytest --full -m full

# Speed, as ratios within one run; prints a table and writes JSON.
bench *args:
    uv run --group test python bench/run.py {{ args }}

# Format.
fmt:
    uv run --group check --group test ruff format src tests bench
    uv run --group check --group test ruff check --fix src tests bench

# Start the gateway.
serve *args:
    uv run tollway serve {{ args }}

# Prove the ledger.
audit *args:
    uv run tollway audit {{ args }}

# Make the hash-pinned lock anew; move `exclude-newer` first.
lock:
    {{ export }} > requirements.lock
