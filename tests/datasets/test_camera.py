import numpy as np
import pytest

from skspike.datasets._camera import draw_seed, record


def watch(brightness, times, n_samples=1, **parameters):
    """Record scenes of uniform brightness, given for each time, on a sensor of 3 × 2 pixels."""
    parameters = {"contrast": 0.3, "refractory": 0, "noise": 0, "seed": 0, **parameters}

    def render(samples, k):
        shape = (samples.stop - samples.start, 2, 3)
        return np.full(shape, brightness[k], np.float32)

    return record(render, n_samples, np.array(times, float), (3, 2), **parameters)


def test_every_pixel_reports_each_threshold_that_log_brightness_crosses():
    X = watch(np.exp([0, 1.0]), [0, 1000])
    assert X.n_events == 6 * 3  # 1.0 is three times 0.3 and a rest
    assert X[0]["p"].all()
    first = X[0][:6]["t"]
    assert abs(first.mean() - 300) < 30  # where a straight line from 0 to 1 crosses 0.3
    assert np.ptp(first) > 0  # pixels differ a little
    assert set(zip(X[0]["x"].tolist(), X[0]["y"].tolist(), strict=True)) == {
        (x, y) for x in range(3) for y in range(2)
    }


def test_getting_darker_is_the_other_polarity():
    X = watch(np.exp([0, -0.5, 0.0]), [0, 1000, 2000])
    assert not X[0]["p"][X[0]["t"] < 1000].any()
    assert X[0]["p"][X[0]["t"] >= 1000].all()
    assert (np.diff(X[0]["t"]) >= 0).all()


def test_constant_scenes_are_silent_but_for_noise():
    assert watch([0.5, 0.5, 0.5], [0, 1, 2]).n_events == 0
    X = watch([0.5, 0.5], [0, 1_000_000], n_samples=50, noise=10.0)
    assert X.lengths.mean() == pytest.approx(6 * 10, abs=5)
    assert 0.4 < np.mean(np.concatenate([r["p"] for r in X])) < 0.6
    assert len({r.tobytes() for r in X}) == 50


def test_a_refractory_pixel_reports_later():
    X = watch(np.exp([0, 2.0, 2.0]), [0, 1000, 10_000], refractory=2500.0)
    for x in range(3):
        for y in range(2):
            t = X[0]["t"][(X[0]["x"] == x) & (X[0]["y"] == y)]
            assert len(t) >= 4
            assert np.diff(t).min() >= 2499  # whole microseconds, rounded down


def test_a_recording_does_not_depend_on_the_number_of_others():
    few, many = (watch(np.exp([0, 1]), [0, 9e5], n_samples=n, noise=5.0) for n in (3, 300))
    assert few == many[:3]


def test_seeds_come_from_every_kind_of_random_state():
    assert draw_seed("make", 7) == draw_seed("make", np.int64(7)) == 7
    assert draw_seed("make", np.random.RandomState(0)) == draw_seed(
        "make", np.random.RandomState(0)
    )
    assert draw_seed("make", np.random.default_rng(0)) == draw_seed(
        "make", np.random.default_rng(0)
    )
    assert draw_seed("make", None) != draw_seed("make", None)
    for wrong in (-1, "0", 0.5):
        with pytest.raises(ValueError, match="'random_state' parameter of make must be a non-nega"):
            draw_seed("make", wrong)
