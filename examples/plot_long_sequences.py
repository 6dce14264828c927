"""
A digit, pixel by pixel
=======================

A network that reads an image as a sequence, one pixel a step, and can be asked after any of them.
"""

# %%
# Images as sequences
# -------------------
#
# Handwritten digits of 8 × 8 pixels, row by row: 64 steps of one number. What makes a digit lies
# several rows, and so dozens of steps, apart.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.model_selection import train_test_split

from skspike import SpikingSSMClassifier
from skspike.datasets import load_sequential_digits

X, y = load_sequential_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
digit = X_test[0]

figure, (left, right) = plt.subplots(
    1, 2, figsize=(9, 2.5), width_ratios=[1, 3], layout="constrained"
)
left.imshow(digit.reshape(8, 8), cmap="Greys")
left.set(xticks=[], yticks=[], title=f"a {y_test[0]}")
right.step(np.arange(64), digit[:, 0], where="mid", color="black")
right.set(xlim=(-0.5, 63.5), xticks=range(0, 64, 8), xlabel="step", title="what the network reads")
plt.show()

# %%
# Learning
# --------
#
# A state space model in each channel remembers the sequence, at a pace of its own; neurons turn
# what it says into spikes. The steps ``dt`` are inverse to how far a channel looks back. Here they
# are longer than the default, which is made for thousands of steps.

model = SpikingSSMClassifier(
    dt_min=0.005, dt_max=0.2, d_state=32, batch_size=16, max_epochs=20, random_state=0
)
model.fit(X_train, y_train)
accuracy = model.score(X_test, y_test)
print(f"{accuracy:.1%} of the test digits, {model.sparsity_:.0%} of the neurons silent in a step")

# %%
# Spikes and thresholds
# ---------------------
#
# Which neurons of the first block fire while the digit goes by, and the thresholds that all have
# learnt; they begin at 1.

spikes = []
first, second = (block.neuron for block in model.model_.blocks)
hook = first.register_forward_hook(lambda neuron, currents, output: spikes.append(output))
with torch.inference_mode():
    x = (digit - model.mean_) / model.scale_
    model.model_(torch.from_numpy(x).float()[:, None])  # time first
hook.remove()

figure, (left, right) = plt.subplots(
    1, 2, figsize=(9, 3), width_ratios=[3, 1], layout="constrained"
)
left.imshow(spikes[0][:, 0].T, aspect="auto", cmap="Greys", interpolation="none")
left.set(xticks=range(0, 64, 8), xlabel="step", ylabel="neuron", title="spikes of the first block")
for name, neuron in (("first", first), ("second", second)):
    thresholds = neuron.ln_threshold.detach().exp()
    right.hist(thresholds.numpy(), bins=12, alpha=0.6, label=f"{name} block")
right.axvline(1, color="black", linestyle=":")
right.set(xlabel="threshold", ylabel="neurons")
right.legend()
plt.show()

# %%
# An answer after every step
# --------------------------
#
# A stream holds the state of the network between calls, so that the next pixel costs as much
# as the first one, however long the sequence already is.

stream = model.stream()
rows = [stream.push(row) for row in digit.reshape(8, 8, 1)]  # as they arrive
probability = np.concatenate(rows)

figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
for label in np.argsort(probability.max(axis=0))[-4:]:
    axes.plot(probability[:, label], label=f"it is a {label}")
axes.set(xlim=(0, 63), ylim=(0, 1), xticks=range(0, 64, 8), xlabel="step", ylabel="probability")
figure.legend(loc="outside right upper")
plt.show()

# %%
# The last of these answers is that of the whole sequence.

bool(np.allclose(probability[-1], model.predict_proba(X_test[:1])[0]))
