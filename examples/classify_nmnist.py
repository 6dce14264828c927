"""
Real recordings: N-MNIST
========================

Five-fold cross-validation on N-MNIST, or on any recordings in an ``.npz`` with the columns ``x``,
``y``, ``t`` (µs), ``p`` of all events, ``offsets`` and ``label``. Progress goes to stderr; one JSON
object goes to stdout::

    python examples/classify_nmnist.py --data nmnist.npz
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from argparse import RawDescriptionHelpFormatter

import numpy as np
import sklearn
import torch
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

import skspike
from skspike import EventCollection, FrameEncoder, SMAClassifier


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help=".npz with x, y, t, p, offsets, label")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--n-bins", type=int, default=10)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=13)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def make_model(args: argparse.Namespace):
    """Build the pipeline that every fold fits."""
    return make_pipeline(
        FrameEncoder(n_bins=args.n_bins),
        SMAClassifier(
            width=args.width,
            batch_size=16,
            max_epochs=args.epochs,
            random_state=args.seed,
            verbose=1,
        ),
    )


def cross_validate(model, X, y, folds: int, seed: int) -> list[dict]:
    """Fit and score the model on each fold."""
    results = []
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(y)), y)
    for fold, (train, test) in enumerate(splits):
        start = time.perf_counter()
        model.fit(X[train], y[train])
        accuracy = float(model.score(X[test], y[test]))
        seconds = time.perf_counter() - start
        results.append({"accuracy": accuracy, "seconds": round(seconds, 1)})
        print(f"fold {fold}: accuracy {accuracy:.4f}, {seconds:.0f} s", file=sys.stderr)
    return results


def main() -> None:
    """Run the cross-validation and print its summary."""
    args = parse_args()
    X = EventCollection.from_npz(args.data)
    with np.load(args.data, allow_pickle=False) as file:
        y = file["label"]
    print(X, file=sys.stderr)
    model = make_model(args)
    results = cross_validate(model, X, y, args.folds, args.seed)
    summary = {
        "accuracy": float(np.mean([result["accuracy"] for result in results])),
        "accuracy_std": float(np.std([result["accuracy"] for result in results])),
        "seconds": round(sum(result["seconds"] for result in results), 1),
        "folds": results,
        "n_samples": len(X),
        "n_parameters": sum(p.numel() for p in model[-1].model_.parameters()),
        "n_threads": torch.get_num_threads(),
        "device": str(model[-1].net_.device),
        "parameters": {k: v for k, v in vars(args).items() if k != "data"},
        "versions": {
            "skspike": skspike.__version__,
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
