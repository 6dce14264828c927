"""
Sequences: letters by touch, digits by pixels
=============================================

One recipe for four kinds of sequences: letters in Braille as a fingertip with four sensors feels
them (``braille.npz`` in a folder of yours), and the handwritten digits of scikit-learn pixel by
pixel, of 8 × 8 and of 28 × 28 pixels, and in an order that puts neighbours far apart. Progress goes
to stderr; one JSON object goes to stdout::

    python examples/classify_sequences.py --data FOLDER
    python examples/classify_sequences.py --tasks digits permuted_digits

===============  =====  ======  =========  ========  ==========
task             steps  epochs  s / epoch  accuracy  firing
===============  =====  ======  =========  ========  ==========
braille             76      15        0.7   100.0 %  29 %, 33 %
digits              64      30        1.2    98.2 %  7 %, 9 %
large_digits       784      15        5.1    96.9 %  10 %, 11 %
permuted_digits     64      40        1.2    95.3 %  6 %, 8 %
===============  =====  ======  =========  ========  ==========

The accuracy is that on test samples with the first seed, the time that of one thread. "Firing" is
the share of the neurons of each block that fire in a step, on samples of the training. A
processor that rounds otherwise recognises one or two of the 450 test digits more or fewer.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from argparse import RawDescriptionHelpFormatter
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.model_selection import train_test_split

import skspike
from skspike import SpikingSSMClassifier
from skspike.datasets import load_sequential_digits

FIRST_TEST_REPETITION = 40  # of the fifty of each letter


def load_braille(folder: str):
    """Return the series of letters to learn from and to test, and their labels."""
    with np.load(Path(folder) / "braille.npz", allow_pickle=False) as file:
        X, y = file["X"], file["label"]
        test = file["repetition"] >= FIRST_TEST_REPETITION
    return X[~test], X[test], y[~test], y[test]


def load_digits(folder: str, **options):
    """Return three quarters of the digits to learn from, one to test, and their labels."""
    X, y = load_sequential_digits(return_X_y=True, **options)
    return train_test_split(X, y, stratify=y, random_state=0)


# What a task is loaded by, how, and for how many epochs it is learnt.
TASKS = {
    "braille": (load_braille, {}, 15),
    "digits": (load_digits, {}, 30),
    "large_digits": (load_digits, {"upsample": 28}, 15),
    "permuted_digits": (load_digits, {"permutation": "bit_reversal"}, 40),
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of braille.npz, with X, label, repetition")
    parser.add_argument("--tasks", nargs="+", choices=[*TASKS], default=[*TASKS])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if "braille" in args.tasks and args.data is None:
        parser.error("the task braille needs --data")
    return args


def make_model(epochs: int, seed: int) -> SpikingSSMClassifier:
    """Build the classifier; sequences of up to a thousand steps need no longer memory than this."""
    return SpikingSSMClassifier(
        d_state=32,
        dt_min=0.005,
        dt_max=0.2,
        batch_size=16,
        max_epochs=epochs,
        random_state=seed,
        verbose=1,
    )


def evaluate(task: str, args: argparse.Namespace) -> dict:
    """Fit a model for a task and describe how it does."""
    load, options, epochs = TASKS[task]
    X_train, X_test, y_train, y_test = load(args.data, **options)
    model = make_model(epochs, args.seed)
    start, cpu_start = time.perf_counter(), time.process_time()
    model.fit(X_train, y_train)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    accuracy = float(model.score(X_test, y_test))
    print(f"{task}: accuracy {accuracy:.4f}, {seconds:.0f} s", file=sys.stderr)
    return {
        "accuracy": accuracy,
        "fit_seconds": round(seconds, 1),
        "fit_cpu_seconds": round(cpu_seconds, 1),
        "epochs": epochs,
        "firing_rates": model.firing_rates_.round(4).tolist(),
        "n_samples": [len(X_train), len(X_test)],
        "n_steps": X_train.shape[1],
        "n_parameters": sum(p.numel() for p in model.model_.parameters()),
    }


def main() -> None:
    """Run the tasks and print a summary."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    summary = {
        "tasks": {task: evaluate(task, args) for task in args.tasks},
        "n_threads": torch.get_num_threads(),
        "seed": args.seed,
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
