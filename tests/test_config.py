"""The configuration: per thread, checked, restored."""

from __future__ import annotations

import re
import threading

import pytest

from skspike import config_context, get_config, set_config

DEFAULTS = {"backend": "auto", "device": "auto"}


@pytest.fixture(autouse=True)
def _restored():
    with config_context():
        set_config(**DEFAULTS)
        yield


def test_defaults():
    assert get_config() == DEFAULTS


def test_none_leaves_a_key_as_it_is():
    set_config(backend="numba")
    set_config(device="cpu")
    set_config()
    assert get_config() == {"backend": "numba", "device": "cpu"}


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:13"])
def test_devices(device):
    set_config(device=device)
    assert get_config()["device"] == device


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cpu:0", " cpu", "", 0])
def test_device_that_is_none(device):
    message = (
        "The 'device' parameter of set_config must be 'auto', 'cpu', 'cuda' or 'cuda:N'. "
        f"Got {device!r} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        set_config(backend="numba", device=device)
    assert get_config() == DEFAULTS  # nothing is set by halves


def test_backend_that_is_none():
    message = (
        "The 'backend' parameter of set_config must be one of "
        "('auto', 'reference', 'numba', 'triton'). Got 'jax' instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        set_config(backend="jax", device="cpu")
    assert get_config() == DEFAULTS


def test_the_configuration_handed_out_is_a_copy():
    get_config()["backend"] = "numba"
    assert get_config() == DEFAULTS


def test_context_restores_everything_set_inside():
    with config_context(backend="numba"):
        with config_context(device="cpu"):
            assert get_config() == {"backend": "numba", "device": "cpu"}
            set_config(backend="reference")
        assert get_config() == {"backend": "numba", "device": "auto"}
    assert get_config() == DEFAULTS


def test_context_restores_after_an_error():
    with pytest.raises(RuntimeError, match="inside"), config_context(backend="numba"):
        raise RuntimeError("inside")
    assert get_config() == DEFAULTS


def test_each_thread_has_its_own_beginning_with_the_defaults():
    seen = []

    def work():
        seen.append(get_config())
        set_config(device="cuda")

    with config_context(backend="numba"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert get_config() == {"backend": "numba", "device": "auto"}
    assert seen == [DEFAULTS]
