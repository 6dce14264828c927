"""What SMAClassifier.fit costs beside a bare torch loop over the same network and batches.

Run ``python -m tests.benchmarks.bench_estimators [--tiny]`` on an idle machine.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch.nn.functional import mse_loss, one_hot

from skspike import FrameEncoder, SMAClassifier
from skspike.datasets import load_digits_events
from tests.benchmarks.measure import bytes_saved, interleave, report


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


def bench_fit(width: int, n_samples: int, epochs: int, repeats: int) -> None:
    """Print the comparison for one width."""
    events, y = load_digits_events(n_samples=n_samples, return_X_y=True)
    X = FrameEncoder(n_bins=5).fit_transform(events)
    classifier = make_classifier(width, epochs)
    bare = make_classifier(width, 1).fit(X, y).model_  # the same architecture, by construction

    def one_step(model: torch.nn.Module) -> torch.Tensor:
        x = torch.from_numpy(X[:32]).transpose(0, 1).contiguous()
        return model.train()(x).mean(0).sum()

    seconds = interleave(
        {
            "ours": lambda: classifier.fit(X, y),
            "peer": lambda: bare_fit(bare, X, y, classifier.lr, epochs),
        },
        repeats,
    )
    saved = bytes_saved(lambda: one_step(classifier.model_)), bytes_saved(lambda: one_step(bare))
    report(
        bench="estimators",
        case=f"SMAClassifier.fit width={width} samples={n_samples} epochs={epochs}",
        peer="bare torch loop",
        ratio=round(seconds["peer"] / seconds["ours"], 3),
        cost=round(seconds["ours"] / seconds["peer"], 3),
        bytes_saved_ratio=round(saved[0] / saved[1], 3),
        limit_fraction=round(seconds["peer"] / seconds["ours"], 3),
        ours_s=round(seconds["ours"], 3),
        peer_s=round(seconds["peer"], 3),
    )


def main() -> None:
    """Run both widths, or one small size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="one small size, to see that it runs")
    tiny = parser.parse_args().tiny
    torch.set_num_threads(2)
    for width, n_samples, epochs, repeats in (
        [(4, 64, 1, 1)]
        if tiny
        else [
            (8, 640, 2, 7),
            (16, 640, 1, 7),
        ]
    ):
        bench_fit(width, n_samples, epochs, repeats)


if __name__ == "__main__":
    main()
