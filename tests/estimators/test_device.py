from __future__ import annotations

import pytest
import torch

from skspike import config_context
from skspike.estimators._device import resolve_device, seeded
from skspike.exceptions import BackendError


def test_a_name_is_taken_at_its_word():
    assert resolve_device("SMAClassifier", "cpu") == torch.device("cpu")


def test_auto_asks_the_configuration(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("SMAClassifier", "auto") == torch.device("cuda")
    with config_context(device="cuda:1"):
        assert resolve_device("SMAClassifier", "auto") == torch.device("cuda:1")
    with config_context(device="cpu"):
        assert resolve_device("SMAClassifier", "auto") == torch.device("cpu")
        assert resolve_device("SMAClassifier", "cuda:0") == torch.device("cuda:0")


def test_auto_is_the_cpu_without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("SMAClassifier", "auto") == torch.device("cpu")


def test_a_device_that_is_not_there_is_no_silent_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    message = r"The device 'cuda:1' asked for by SMAClassifier does not exist: torch sees 1 CUDA"
    with pytest.raises(BackendError, match=message):
        resolve_device("SMAClassifier", "cuda:1")


def test_unknown_device():
    message = (
        r"The 'device' parameter of SMAClassifier must be 'auto', 'cpu', 'cuda' or 'cuda:N'\. "
        r"Got 'tpu' instead\."
    )
    with pytest.raises(ValueError, match=message):
        resolve_device("SMAClassifier", "tpu")


def test_seeded_draws_the_same_and_leaves_the_generator_alone():
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded(5, torch.device("cpu")):
            draws.append(torch.rand(3))
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)
