from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from skspike.estimators._losses import LOSSES, PROBABILITIES, PerSampleLoss, project_to_simplex


def outputs_and_target(n=5, n_steps=3, n_classes=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_steps, n_classes)), rng.integers(0, n_classes, n)


def by_hand(name, outputs, target):
    """The formula of one loss, one sample and one step at a time, in numpy."""
    losses = []
    for steps, label in zip(outputs, target, strict=True):
        if name == "mse":
            one_hot = np.eye(steps.shape[1])[label]
            losses.append(np.mean((np.mean(steps, axis=0) - one_hot) ** 2))
        elif name == "cross_entropy":
            losses.append(-log_softmax(np.mean(steps, axis=0))[label])
        else:
            losses.append(np.mean([-log_softmax(step)[label] for step in steps]))
    return np.array(losses)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss_by_an_independent_formula(name):
    outputs, target = outputs_and_target()
    loss = PerSampleLoss(name)(torch.from_numpy(outputs), torch.from_numpy(target))
    np.testing.assert_allclose(loss.numpy(), by_hand(name, outputs, target), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_one_hot_labels_give_the_loss_and_gradient_of_their_indices_bit_by_bit(name, dtype):
    outputs, target = map(torch.from_numpy, outputs_and_target(n=50))
    outputs = (100 * outputs).to(dtype).requires_grad_()
    results = []
    for labels in (target, torch.eye(4)[target], torch.eye(4, dtype=torch.float64)[target]):
        loss = PerSampleLoss(name)(outputs, labels)
        results.append((loss, *torch.autograd.grad(loss.sum(), outputs)))
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_soft_labels_by_an_independent_formula(name):
    outputs, _ = outputs_and_target()
    soft = np.random.default_rng(1).dirichlet(np.ones(4), size=5)
    loss = PerSampleLoss(name)(torch.from_numpy(outputs), torch.from_numpy(soft))
    if name == "mse":
        expected = np.mean((outputs.mean(axis=1) - soft) ** 2, axis=1)
    else:  # linear in the label
        labels = [np.full(5, k) for k in range(4)]
        expected = np.sum(soft * np.stack([by_hand(name, outputs, k) for k in labels], 1), axis=1)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-12)


def test_tet_is_not_the_cross_entropy_of_the_mean():
    outputs, target = map(torch.from_numpy, outputs_and_target())
    assert (LOSSES["tet"](outputs, target) > LOSSES["cross_entropy"](outputs, target)).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_has_its_probabilities(name):
    scores, _ = outputs_and_target()
    proba = PROBABILITIES[name](scores)
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=-1), 1)
    np.testing.assert_array_equal(proba.argmax(axis=-1), scores.argmax(axis=-1))


def test_projection_leaves_points_of_the_simplex_alone():
    inside = np.random.default_rng(0).dirichlet(np.ones(4), size=10)
    np.testing.assert_allclose(project_to_simplex(inside), inside, atol=1e-15)


def test_projection_is_the_nearest_point():
    for scores in np.random.default_rng(1).normal(size=(5, 3)):
        nearest = minimize(
            lambda p, scores=scores: np.sum((p - scores) ** 2),
            np.full(3, 1 / 3),
            bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            options={"ftol": 1e-14},
        ).x
        np.testing.assert_allclose(project_to_simplex(scores), nearest, atol=1e-5)


def test_projection_far_outside_is_a_corner():
    np.testing.assert_array_equal(project_to_simplex(np.array([9.0, -3.0, 2.0])), [1, 0, 0])
