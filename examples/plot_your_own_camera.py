"""
A camera of your own
====================

A folder of recordings from some camera becomes a classifier: load it, clean it, encode it, fit.
"""

# %%
# A folder
# --------
#
# Here are twelve dozen recordings of two gestures by six people, as a camera may have left them:
# one file for each, in a folder for each class and person. They are simulated, with a lot of noise
# and three hot pixels that this camera has.

import tempfile
from pathlib import Path

import numpy as np

from skspike import EventCollection
from skspike.datasets import make_moving_shapes
from skspike.io import write_events

SENSOR, HOT = (24, 24), [(3, 5), (17, 20), (18, 20)]


def add_hot_pixels(events, rng):
    """Let three pixels fire 200 times in each recording."""
    hot = np.empty(3 * 200, events.dtype)
    hot["x"], hot["y"] = np.repeat(HOT, 200, axis=0).T
    hot["t"], hot["p"] = rng.integers(100_000, size=len(hot)), rng.random(len(hot)) < 0.5
    both = np.concatenate([events, hot])
    return both[np.argsort(both["t"], kind="stable")]


rng = np.random.default_rng(0)
scenes, gesture = make_moving_shapes(
    144, sensor_size=SENSOR, n_directions=2, target="direction", noise=20.0, random_state=0
)
folder = tempfile.TemporaryDirectory()
for i, (events, k) in enumerate(zip(scenes, gesture, strict=True)):
    place = Path(folder.name, ["to the right", "to the left"][k], f"person {i % 6}")
    place.mkdir(parents=True, exist_ok=True)
    recording = EventCollection([add_hot_pixels(events, rng)], sensor_size=SENSOR)
    write_events(recording, place / f"{i:03}.npz")

# %%
# Load it
# -------
#
# The format of each file is found by its content. The folders below those of the classes are the
# groups, so that the test recordings can be those of people who are not in training.

from sklearn.model_selection import GroupShuffleSplit

from skspike.datasets import load_event_folder

gestures = load_event_folder(folder.name, groups="folder")
folder.cleanup()
print(gestures.data)
print("classes:", *gestures.target_names, sep="\n  ")
print("groups:", *np.unique(gestures.groups), sep="\n  ")

X, y = gestures.data, gestures.target
train, test = next(GroupShuffleSplit(random_state=0).split(X, y, groups=gestures.groups))

# %%
# Clean it
# --------
#
# Hot pixels are learned from the training recordings; what is left of the noise are events that
# no neighbour supports.

from sklearn.pipeline import make_pipeline

from skspike import FrameEncoder, SMAClassifier
from skspike.encoders import Denoise, HotPixelFilter

cleaning = make_pipeline(HotPixelFilter(), Denoise(window=3000)).fit(X[train])
print("hot pixels:", cleaning[0].hot_pixels_.tolist())

import matplotlib.pyplot as plt

shown = test[0]
stages = {
    "as recorded": X[[shown]],
    "without hot pixels": cleaning[0].transform(X[[shown]]),
    "and without noise": cleaning.transform(X[[shown]]),
}
figure, rows = plt.subplots(2, 3, figsize=(9, 6), layout="constrained", sharey="row")
for (title, recording), (image, path) in zip(stages.items(), rows.T, strict=True):
    counts = FrameEncoder(n_bins=1, values="signed", sensor_size=SENSOR).fit_transform(recording)
    image.imshow(counts[0, 0, 0], cmap="RdBu", vmin=-6, vmax=6)
    image.set(title=f"{title}\n{recording.n_events} events", xticks=[], yticks=[])
    events = recording[0]
    path.scatter(events["t"] / 1000, events["x"], s=2, c=events["p"], cmap="RdBu")
    path.set(xlabel="time (ms)")
rows[1, 0].set_ylabel("column of the sensor")
plt.show()

# %%
# Fit
# ---
#
# The same steps, an encoder and a network make one model, which is what to cross-validate and to
# keep. The people of the test recordings are new to it.

model = make_pipeline(
    HotPixelFilter(),
    Denoise(window=3000),
    FrameEncoder(n_bins=4),
    SMAClassifier(width=8, max_epochs=8, batch_size=8, random_state=0),
)
model.fit(X[train], y[train])
print(f"accuracy on new people: {model.score(X[test], y[test]):.3f}")
