"""Tables for the terminal."""

from tollway.commands.table import decimals, facts, grouped, requests_told, table


def test_columns_are_aligned():
    assert table(["model", "cost"], [["a/long-name", "1.5"], ["b", "10"]], right=["cost"]) == (
        "model        cost\na/long-name   1.5\nb              10"
    )


def test_wide_characters_take_two_places_and_combining_ones_none():
    assert table(["a", "b"], [["日本", "x"], ["e\u0301", "y"]]) == "a     b\n日本  x\ne\u0301     y"


def test_a_name_cannot_move_the_cursor():
    assert table(["a"], [["\x1b[2Jx\n"]]) == "a\n?[2Jx?"


def test_decimal_points_are_below_each_other():
    assert decimals(["1.5", "0.00012", "12", "-", "1,000.25"]) == ["1.5    ", "0.00012", "12      ", "-", "1,000.25   "]
    assert decimals([]) == []


def test_facts_leave_out_what_is_empty():
    assert facts([("id", "1"), ("finish", ""), ("model", "m")], "  ") == "  id     1\n  model  m"
    assert facts([]) == ""


def test_grouped():
    assert grouped(1234567) == "1,234,567"


def test_one_request_and_many():
    assert [requests_told(count) for count in (0, 1, 1_234)] == ["0 requests", "1 request", "1,234 requests"]
