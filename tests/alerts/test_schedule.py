"""When a delivery is tried again."""

from tollway.alerts.schedule import ATTEMPTS_MAX, RETRY_DELAYS_S, is_accepted, next_try


def test_the_delays_are_those_of_the_specification() -> None:
    assert RETRY_DELAYS_S == (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000)
    assert [next_try(done, 100) for done in range(1, 10)] == [
        105,
        400,
        1_900,
        7_300,
        18_100,
        36_100,
        50_500,
        72_100,
        None,
    ]
    assert ATTEMPTS_MAX == 9
    assert next_try(0, 100) is None


def test_only_a_2xx_is_a_success() -> None:
    assert [one for one in (0, 100, 199, 200, 204, 299, 300, 301, 404, 410, 500) if is_accepted(one)] == [200, 204, 299]
