"""A provider's bad day (the simulator's scenario peak-hours): 13% of requests fail, two thirds of them by never being answered.
docs/bad-day.md shows it beside the default settings and beside one key without the gateway."""

import pytest
from harness import bad_day

COUNT = 2_000


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scale", [20, 8])
def test_a_bad_day_is_hardly_noticed(tmp_path, scale):
    day = bad_day.play(tmp_path, scale=scale, count=COUNT, clients=40, tuned=True)
    assert len(day.failed) <= COUNT // 1_000, day.failed[:5]
    assert day.repeats == 0, "answered twice"
