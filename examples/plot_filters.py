"""
The same recording, cleaned
===========================

Every step that goes before an encoder, on one recording, side by side.
"""

# %%
# A recording with defects
# ------------------------
#
# A bar and a ring that move in front of a camera with much background noise. To see every step at
# work, three of its pixels are made hot: they fire all the time, whatever the camera looks at.

import matplotlib.pyplot as plt
import numpy as np

from skspike import EventCollection
from skspike.datasets import make_moving_shapes

clean, _ = make_moving_shapes(
    n_samples=2, sensor_size=(48, 48), shapes=("ring", "bar"), noise=8.0, random_state=3
)
HOT = np.array([(10, 8), (37, 14), (24, 40)])


def with_hot_pixels(events, seed):
    """Add 60 events of each hot pixel at random times."""
    rng = np.random.default_rng(seed)
    hot = np.empty(60 * len(HOT), events.dtype)
    hot["x"], hot["y"] = np.repeat(HOT, 60, axis=0).T
    hot["t"] = rng.integers(events["t"].min(), events["t"].max(), len(hot))
    hot["p"] = True
    events = np.concatenate([events, hot])
    return events[np.argsort(events["t"], kind="stable")]


X = EventCollection(
    [with_hot_pixels(events, seed) for seed, events in enumerate(clean)], sensor_size=(48, 48)
)

# %%
# Step by step
# ------------
#
# Each picture shows the first 30 ms of the first recording, brighter events in red and darker ones
# in blue; above it is the number of events in all of the recording. ``HotPixelFilter`` leaves out
# the three red pixels, and nothing else; ``Denoise`` also drops them, but keeps the noise at their
# sides, which they support.

from sklearn.pipeline import make_pipeline

from skspike.encoders import Crop, Denoise, HotPixelFilter, RefractoryFilter, Resize

steps = {
    "as recorded": None,
    "HotPixelFilter()": HotPixelFilter(),
    "Denoise(2000)": Denoise(2000),
    "HotPixelFilter(), Denoise(2000)": make_pipeline(HotPixelFilter(), Denoise(2000)),
    "RefractoryFilter(20_000)": RefractoryFilter(20_000),
    "Crop(x=(8, 40), y=(8, 40))": Crop(x=(8, 40), y=(8, 40)),
    "Crop(t=(0, 10_000))": Crop(t=(0, 10_000)),
    "Resize(0.5)": Resize(0.5),
    'Resize(0.5, keep="rate")': Resize(0.5, keep="rate"),
}


def picture(recordings):
    """Return brighter minus darker events of each pixel in the first 30 ms."""
    width, height = recordings.sensor_size
    image = np.zeros((height, width), int)
    events = recordings[0][recordings[0]["t"] < 30_000]
    np.add.at(image, (events["y"], events["x"]), np.where(events["p"], 1, -1))
    return image


figure, grid = plt.subplots(3, 3, figsize=(9, 10), layout="constrained")
for axes, (title, step) in zip(grid.flat, steps.items(), strict=True):
    recordings = X if step is None else step.fit_transform(X)
    axes.imshow(picture(recordings), cmap="RdBu_r", vmin=-6, vmax=6)
    axes.set_title(f"{title}\n{len(recordings[0]):,} events", fontsize="medium")
    axes.set(xticks=[], yticks=[])
plt.show()

# %%
# In a pipeline
# -------------
#
# Cleaning goes in front of the encoder; hot pixels first, since they keep noise alive.

from skspike import FrameEncoder

make_pipeline(HotPixelFilter(), Denoise(2000), FrameEncoder(5)).fit_transform(X).shape
