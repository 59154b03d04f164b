"""Memory: what is given back is only what a file can give again."""

import gc

from tollway.metering.tokens import count
from tollway.telemetry.memory import quieten_collector, release_pages


def test_what_was_released_still_works() -> None:
    before = count("A toll road answers one question at every gate.", "o200k")
    release_pages()
    release_pages()
    assert count("A toll road answers one question at every gate.", "o200k") == before


def test_the_collector_is_quiet_but_not_off() -> None:
    threshold = gc.get_threshold()
    try:
        quieten_collector()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > threshold[0] or gc.get_threshold()[0] >= 50_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
