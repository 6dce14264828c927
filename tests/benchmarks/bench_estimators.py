"""What SMAClassifier.fit costs beside a bare torch loop over the same network and batches.

Run ``python -m tests.benchmarks.bench_estimators [--tiny]`` on an idle machine.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch.nn.functional import mse_loss, one_hot

from skspike import FrameEncoder, SMAClassifier
from skspike.datasets import load_digits_events
from tests.benchmarks.compare import Arm, Target, compare
from tests.benchmarks.setting import Setting, run


def make_classifier(width: int, epochs: int) -> SMAClassifier:
    """Return the estimator under test: the loss and optimizer that the bare loop repeats."""
    return SMAClassifier(
        width=width,
        loss="mse",
        optimizer="adam",
        schedule=None,
        max_epochs=epochs,
        batch_size=32,
        random_state=0,
    )


def bare_fit(model: torch.nn.Module, X: np.ndarray, y: np.ndarray, lr: float, epochs: int) -> None:
    """Train as one would by hand, on batches of the same size and number."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    targets = one_hot(torch.from_numpy(y), 10).float()
    rng = np.random.RandomState(0)
    for _ in range(epochs):
        order = rng.permutation(len(X))
        for start in range(0, len(X), 32):
            rows = order[start : start + 32]
            x = torch.from_numpy(X[rows]).transpose(0, 1).float().contiguous()
            optimizer.zero_grad(set_to_none=True)
            loss = mse_loss(model(x).mean(0), targets[rows])
            loss.backward()
            optimizer.step()
            loss.item()  # both keep the loss of every batch


def bench_fit(setting: Setting, width: int, n_samples: int, epochs: int) -> None:
    """Print the comparison for one width."""
    width, n_samples, epochs = setting.pick(*[(width, n_samples, epochs)] * 2, (4, 64, 1))
    events, y = load_digits_events(n_samples=n_samples, return_X_y=True)
    X = FrameEncoder(n_bins=5).fit_transform(events)
    classifier = make_classifier(width, epochs)
    bare = make_classifier(width, 1).fit(X, y).model_  # the same architecture, by construction

    def one_step(model: torch.nn.Module) -> torch.Tensor:
        x = torch.from_numpy(X[:32]).transpose(0, 1).contiguous()
        return model.train()(x).mean(0).sum()

    classifier.fit(X, y)
    compare(
        setting,
        "estimators",
        f"SMAClassifier.fit, width {width}, {n_samples} samples, {epochs} epochs",
        ours={
            "ours": Arm(lambda: classifier.fit(X, y), lambda: one_step(classifier.model_)),
        },
        peers={
            "bare torch loop": lambda: Arm(
                lambda: bare_fit(bare, X, y, classifier.lr, epochs), lambda: one_step(bare)
            )
        },
        pairs=[("ours", "bare torch loop", Target(ratio=0.9))],
        inputs=[()],
    )


CASES = {
    "width-8": functools.partial(bench_fit, width=8, n_samples=640, epochs=2),
    "width-16": functools.partial(bench_fit, width=16, n_samples=640, epochs=1),
}

if __name__ == "__main__":
    run("tests.benchmarks.bench_estimators", __doc__.partition("\n")[0], CASES)
