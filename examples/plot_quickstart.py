"""
Events in, labels out
=====================

A spiking network learns handwritten digits as an event camera sees them, inside an ordinary
scikit-learn pipeline.
"""

# %%
# The recordings
# --------------
#
# 1,797 handwritten digits in front of a simulated event camera. Each recording is a list of
# events, pixels that grew brighter or darker, and all recordings together are one ``X`` that
# scikit-learn can split.

from sklearn.model_selection import train_test_split

from skspike.datasets import load_digits_events

X, y = load_digits_events(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
print(X_train)

# %%
# The pipeline
# ------------
#
# The encoder cuts each recording into frames of equally many events; the network reads them one
# by one, and answers at every step. Its weights and the order of its batches follow from
# ``random_state``.

from sklearn.pipeline import make_pipeline

from skspike import FrameEncoder, SMAClassifier

model = make_pipeline(
    FrameEncoder(n_bins=5),
    SMAClassifier(width=8, max_epochs=10, random_state=0, verbose=1),
)
model.fit(X_train, y_train)
print(f"test accuracy: {model.score(X_test, y_test):.3f}")

# %%
# What it sees, what it does, where it errs
# -----------------------------------------
#
# The network has an opinion at every step. Of the digits that it gets right in the end, take the
# one about which it is wrong at first: its frames with the opinion at each step, the spikes that
# they cause in the last convolution, read with an ordinary torch hook and counted for each
# channel, and the confusion matrix of the held-out quarter.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from skspike.nn import LIF

encoder, classifier = model
frames = encoder.transform(X_test)
over_time = classifier.predict_proba_over_time(frames)

truth = over_time[np.arange(len(y_test)), :, np.searchsorted(classifier.classes_, y_test)]
right = over_time[:, -1].argmax(axis=1) == np.searchsorted(classifier.classes_, y_test)
shown = np.where(right, truth[:, 0], np.inf).argmin()

spikes = []
layer = [module for module in classifier.model_.modules() if isinstance(module, LIF)][-1]
hook = layer.register_forward_hook(lambda module, args, output: spikes.append(output[:, 0]))
classifier.predict(frames[shown : shown + 1])
hook.remove()

n_steps = frames.shape[1]
figure = plt.figure(figsize=(10, 6.5), layout="constrained")
grid = figure.add_gridspec(2, 2 * n_steps, height_ratios=(1, 2.2))
for t, (darker, brighter) in enumerate(frames[shown]):
    axes = figure.add_subplot(grid[0, 2 * t : 2 * t + 2])
    axes.imshow(brighter - darker, cmap="RdBu", vmin=-4, vmax=4)
    opinion = over_time[shown, t]
    likely = classifier.classes_[opinion.argmax()]
    axes.set_title(f"step {t}: {likely} ({opinion.max():.0%})", fontsize="medium")
    axes.set(xticks=[], yticks=[])

raster = figure.add_subplot(grid[1, :n_steps])
counts = spikes[0].sum((-2, -1)).T.cpu()
shown_counts = raster.imshow(counts, cmap="Greys", aspect="auto", interpolation="none")
raster.set(title="Number of spikes in the last convolution", xlabel="step", ylabel="channel")
figure.colorbar(shown_counts, ax=raster)

matrix = figure.add_subplot(grid[1, n_steps:])
ConfusionMatrixDisplay.from_predictions(
    y_test, classifier.predict(frames), ax=matrix, colorbar=False, cmap="Blues"
)
matrix.set_title("Held-out quarter")
figure.savefig("quickstart.png", dpi=120)
plt.show()
