"""
The same recording, augmented
=============================

Every augmentation of :mod:`skspike.augment` on one recording, side by side.
"""

# %%
# A batch of two recordings
# -------------------------
#
# Augmentations change batches while a network is trained. Here is a batch by hand: a bar and a
# ring that move over a sensor of 48 x 48 pixels, cut into five frames, with soft labels.

import matplotlib.pyplot as plt
import torch

from skspike import FrameEncoder
from skspike.datasets import make_moving_shapes

X, labels = make_moving_shapes(
    n_samples=2, sensor_size=(48, 48), shapes=("ring", "bar"), random_state=3
)
x = torch.from_numpy(FrameEncoder(n_bins=5, dtype="uint8").fit_transform(X))
y = torch.eye(2)[torch.from_numpy(labels)]


def augmented(augmentation, seed=0):
    """Return the batch changed; the generator decides how."""
    return augmentation(x, y, torch.Generator().manual_seed(seed))


def show(axes, frame, title=""):
    """Draw one frame: brighter events blue, darker ones red."""
    darker, brighter = frame.float()
    axes.imshow(brighter - darker, cmap="RdBu", vmin=-2, vmax=2)
    axes.set_title(title, fontsize="medium")
    axes.set(xticks=[], yticks=[])


# %%
# Maps
# ----
#
# What moves pixels moves them alike in all frames of a recording, so one frame shows it. Nearest
# pixels are read, so that counts stay counts.

from skspike.augment import NDA, Cutout, Flip, Rotate, Scale, Shear, Shift

maps = {
    "as recorded": None,
    "Flip": Flip(p=1.0),
    "Shift": Shift(max_shift=0.4),
    'Shift, fill="zero"': Shift(max_shift=0.4, fill="zero"),
    "Rotate": Rotate(degrees=45),
    "Shear": Shear(degrees=45),
    "Scale": Scale(1.4, 1.6),
    "Cutout": Cutout(size=16),
    "NDA": NDA(),
    "NDA, another draw": NDA(),
}
figure, grid = plt.subplots(2, 5, figsize=(10, 4.4), layout="constrained")
for seed, axes, (title, augmentation) in zip(range(21, 31), grid.flat, maps.items(), strict=True):
    frames = x if augmentation is None else augmented(augmentation, seed)[0]
    show(axes, frames[0, 2], title)
plt.show()

# %%
# Events
# ------
#
# These drop, move and add single events, step by step: the five frames of the recording from left
# to right. EventDrop chooses one of its three ways for each sample; each is shown by itself.

from skspike.augment import EventDrop, Noise, PolarityFlip, TimeJitter


def show_rows(rows):
    """Draw the frames of the first recording, one row for each augmentation."""
    size = {"figsize": (8, 1.65 * len(rows)), "layout": "constrained"}
    _, grid = plt.subplots(len(rows), 5, **size)
    for line, (title, (augmentation, seed)) in zip(grid, rows.items(), strict=True):
        frames, soft = augmented(augmentation, seed)
        for axes, frame in zip(line, frames[0], strict=True):
            show(axes, frame)
        mixed = f"\n{soft[0, 1]:.0%} bar" if 0 < soft[0, 1] < 1 else ""
        line[0].set_ylabel(title + mixed)
    plt.show()


as_recorded = Flip(p=0.0), 0
show_rows(
    {
        "as recorded": as_recorded,
        "EventDrop,\nrandom": (EventDrop(modes=("random",)), 4),
        "EventDrop,\ntime": (EventDrop(modes=("time",)), 4),
        "EventDrop,\narea": (EventDrop(modes=("area",), max_area=0.6), 2),
        "PolarityFlip": (PolarityFlip(p=1.0), 0),
        "TimeJitter": (TimeJitter(share=0.5), 0),
        "TimeJitter,\nmax_shift=2": (TimeJitter(share=0.0, max_shift=2), 0),
        "Noise": (Noise(add=0.05, remove=0.3), 0),
    }
)

# %%
# Mixtures
# --------
#
# Two recordings become one, and so do their labels: those of Mixup by the weights, those of CutMix
# by the area of the box, those of EventMix by the share of the events.

from skspike.augment import CutMix, EventMix, Mixup

show_rows(
    {
        "as recorded": as_recorded,
        "Mixup": (Mixup(alpha=2.0), 8),
        "CutMix": (CutMix(), 7),
        "EventMix": (EventMix(), 7),
    }
)

# %%
# In a training
# -------------
#
# A classifier takes any of them by name, as an object or in a list. Which one helps depends on the
# task, and a grid search tells: ``GridSearchCV(model, {"augment": [None, "flip", "nda"]})``.

from skspike import SMAClassifier

SMAClassifier(augment=["flip", NDA(shift=3), "eventmix"])
