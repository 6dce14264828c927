"""
One recording, every encoder
============================

What a network is shown of a recording is a choice. The same digit, drawn as each encoder sees it.
"""

# %%
# The recording
# -------------
#
# A handwritten digit in front of a simulated event camera: a cloud of events in space and time,
# here darker ones in blue and brighter ones in red.

import matplotlib.pyplot as plt

from skspike.datasets import load_digits_events

X, y = load_digits_events(return_X_y=True)
X, y = X[3:4], y[3]
events = X[0]

figure = plt.figure(figsize=(7, 4))
axes = figure.add_subplot(projection="3d", box_aspect=(2.5, 1, 1))
axes.scatter(events["t"] / 1e3, events["x"], -events["y"], c=events["p"], cmap="coolwarm", s=2)
axes.set(xlabel="time (ms)", ylabel="x", zlabel="y", yticks=[], zticks=[], title=f"a {y}")
figure.tight_layout()


# %%
# Bin after bin
# -------------
#
# Each encoder divides the recording into five bins. Where darker and brighter events have a channel
# each, the picture shows the difference of the two.


def images_of(encoded):
    """Return an image for each bin, or for each channel of bins that are stacks of frames."""
    if encoded.shape[1] == 2:
        return encoded[:, 1] - encoded[:, 0]
    return encoded.reshape(-1, *encoded.shape[2:])


def show(name, *encoders, n_columns=5):
    """Draw a row of images for each encoder: brighter in red, darker in blue."""
    figure, rows = plt.subplots(
        len(encoders), n_columns, figsize=(9, 2.1 * len(encoders)), squeeze=False
    )
    for row, (label, encoder) in zip(rows, encoders, strict=True):
        images = images_of(encoder.fit_transform(X)[0])
        limit = abs(images).max()
        for axes, image in zip(row, images, strict=True):
            axes.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(label, fontsize=8)
    figure.suptitle(name)
    figure.tight_layout()


# %%
# ``FrameEncoder`` counts events. Bins of equal duration show the pauses of the scene, bins of
# equally many events are equally busy.

from skspike.encoders import EventImageEncoder, FrameEncoder, TimeSurfaceEncoder, VoxelEncoder

show(
    "FrameEncoder",
    ('split="time"', FrameEncoder(5, split="time")),
    ('split="count"', FrameEncoder(5)),
    ('values="sign"', FrameEncoder(5, values="sign")),
    ('values="last"', FrameEncoder(5, values="last")),
)

# %%
# Detectors stack frames of a fixed size: of so many microseconds, or of so many events. They are
# counted back from the end, or on from the start, and a warning says how many events are in none.
# The last row is a single step of the network, whose five channels are five frames.

import warnings

from skspike.exceptions import EventLossWarning

warnings.simplefilter("ignore", EventLossWarning)  # five frames are less than the recording
show(
    "FrameEncoder, stacking",
    ("bin_size=20 ms", FrameEncoder(5, split="time", bin_size=20_000)),
    ('keep="first"', FrameEncoder(5, split="time", bin_size=20_000, keep="first")),
    ("bin_size=80 events", FrameEncoder(5, bin_size=80)),
    ("frames_per_step=5", FrameEncoder(1, bin_size=80, frames_per_step=5, values="sign")),
)

# %%
# ``VoxelEncoder`` shares each event between the two instants nearest in time, and so changes
# smoothly from one to the next.

show("VoxelEncoder", ("signed", VoxelEncoder(5)))

# %%
# ``TimeSurfaceEncoder`` shows how recent the last event of a pixel is; a short time constant
# forgets the bin before.

show(
    "TimeSurfaceEncoder",
    ("tau: 100 ms", TimeSurfaceEncoder(5, tau=100_000)),
    ("tau: 10 ms", TimeSurfaceEncoder(5, tau=10_000)),
    (
        'kind="hats"',
        TimeSurfaceEncoder(5, kind="hats", tau=10_000, cell_size=4, surface_size=3),
    ),
)

# %%
# Side by side
# ------------
#
# ``EventImageEncoder`` has channels for what the others say one at a time.

encoder = EventImageEncoder(channels=("darker", "brighter", "net", "time"))
image = encoder.fit_transform(X)[0, 0]

figure, row = plt.subplots(1, 4, figsize=(9, 2.6))
for axes, name, channel in zip(row, encoder.channels, image, strict=True):
    limit = abs(channel).max()
    signed = {"cmap": "RdBu_r", "vmin": -limit} if name == "net" else {"cmap": "viridis", "vmin": 0}
    axes.imshow(channel, vmax=limit, **signed)
    axes.set(xticks=[], yticks=[], title=name)
figure.suptitle("EventImageEncoder")
figure.tight_layout()
