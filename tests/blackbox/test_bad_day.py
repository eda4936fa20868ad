"""A provider's bad day (the simulator's scenario peak-hours): 13% of requests fail, two thirds of them by never being answered.
docs/bad-day.md shows it beside the default settings and beside one key without the gateway."""

import pytest
from harness import bad_day

COUNT = 2_000
STALL = 5  # seconds of the scenario: a quarter of the patience with a provider
PLAYS = 3


def play_undisturbed(directory, scale):
    for _ in range(PLAYS):
        day = bad_day.play(directory, scale=scale, count=COUNT, clients=40, tuned=True)
        if day.stalled < STALL:
            return day
    pytest.skip(f"the machine stood still for {day.stalled / scale:.1f} s")


@pytest.mark.timeout(360)
@pytest.mark.parametrize("scale", [20, 8])
def test_a_bad_day_is_hardly_noticed(tmp_path, scale):
    day = play_undisturbed(tmp_path, scale)
    assert len(day.failed) <= COUNT // 1_000, day.failed[:5]
    assert day.repeats == 0, "answered twice"
