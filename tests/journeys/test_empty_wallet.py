"""A wallet that is empty: the refusal says what was needed, what there is, and where to pay."""

from pathlib import Path

from support.gateway import Gateway


def test_the_402_tells_what_to_do(tmp_path: Path) -> None:
    toml = '[money]\nopening_grant_usd = "0"\ntop_up_url = "https://pay.example/top-up"\n'
    with Gateway(tmp_path, toml) as gateway:
        status, body, _ = gateway.chat("simulated/priced", "Hello", max_tokens=100)
        assert status == 402
        error = body["error"]
        assert (error["type"], error["code"]) == ("insufficient_balance", "insufficient_balance")
        assert error["top_up_url"] == "https://pay.example/top-up"
        assert error["available_usd"] == "0"
        assert float(error["needed_usd"]) > 0
        assert gateway.chat("simulated/echo", "free is free")[0] == 200
        gateway.cli("wallet", "credit", "--usd", "1", "--kind", "topup", "--reason", "paid")
        assert gateway.chat("simulated/priced", "Hello", max_tokens=100)[0] == 200
        gateway.audit()
