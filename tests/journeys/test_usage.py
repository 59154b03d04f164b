"""Somebody who wants to know where the money went: sums, the list, files, the command line; all say the same."""

import csv
import io
import json
from decimal import Decimal

import pyarrow.parquet

from support.gateway import Gateway


def test_every_way_of_asking_adds_up_to_the_wallet(gateway: Gateway) -> None:
    before = Decimal(gateway.wallet()["balance_usd"])
    for number in range(4):
        status, _, _ = gateway.chat("simulated/priced", f"Hello {'big ' * number}world", user_id=f"user {number % 2}")
        assert status == 200
    gateway.chat("simulated/echo", "free")
    spent = before - Decimal(gateway.wallet()["balance_usd"])
    assert spent > 0
    report = gateway.ask("GET", "/v1/usage?group_by=minute,key,model,provider,user,status")[1]["data"]
    assert Decimal(report["summary"]["total_cost_usd"]) == spent
    assert sum(Decimal(one["cost_usd"]) for one in report["buckets"]) == spent
    assert {one["key_name"] for one in report["buckets"]} == {gateway.ask("GET", "/v1/key")[1]["data"]["label"]}
    assert {one["user"] for one in report["buckets"]} == {"", "user 0", "user 1"}
    listed = gateway.ask("GET", "/v1/activity")[1]["data"]
    assert (len(listed), sum(Decimal(one["cost_usd"]) for one in listed)) == (5, spent)
    assert gateway.receipt(listed[0]["id"])["data"]["charge_usd"] == listed[0]["cost_usd"]
    _, text, headers = gateway.ask("GET", "/v1/activity", accept="text/csv")
    assert headers["content-type"].startswith("text/csv")
    assert sum(Decimal(line["cost_usd"]) for line in csv.DictReader(io.StringIO(text))) == spent
    # The command line, beside the running server.
    told = json.loads(gateway.cli("usage", "--by", "day,model", "--format", "json"), parse_float=Decimal)["data"]
    assert sum(Decimal(one["cost_usd"]) for one in told["buckets"]) == spent
    file = gateway.folder / "usage.parquet"
    gateway.cli("usage", "--by", "user", "--format", "parquet", "--out", str(file))
    assert sum(row["cost_usd"] for row in pyarrow.parquet.read_table(file).to_pylist()) == spent
    assert "total" in gateway.cli("usage", "--by", "model")
    gateway.audit()
