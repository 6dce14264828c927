"""
The same signal in five codes
=============================

What the encoders of tables, series and sound make of one signal, side by side.
"""

# %%
# A signal
# --------
#
# A chirp that fades in: one feature over forty steps. The encoders learn the limits of its values,
# and see it as a level between 0 and 1.

import matplotlib.pyplot as plt
import numpy as np

from skspike.encoders import (
    DeltaEncoder,
    LatencyEncoder,
    PoissonEncoder,
    PopulationEncoder,
    RepeatEncoder,
)

steps = np.linspace(0, 1, 40)
signal = np.sin(25 * steps**2) * (0.3 + 0.7 * steps)
X = signal.reshape(1, 40, 1)

# %%
# Spikes and currents
# -------------------
#
# Each step of the signal is shown for five steps of the network, but for the changes: their steps
# are those of the signal. A row of a picture is an output feature, time runs to the right.

codes = {
    "PoissonEncoder: spikes as often as the level is high": PoissonEncoder(5, random_state=0),
    "LatencyEncoder: one spike in five steps, the sooner the higher": LatencyEncoder(5),
    "PopulationEncoder: the neuron of this value first": PopulationEncoder(8, n_steps=5),
    'PopulationEncoder(code="current")': PopulationEncoder(8, n_steps=5, code="current"),
    "DeltaEncoder: ON (above) and OFF (below)": DeltaEncoder(0.1),
    "RepeatEncoder: the value, as it is": RepeatEncoder(5),
}
figure, grid = plt.subplots(7, figsize=(9, 8), layout="constrained")
grid[0].step(np.arange(40), signal, where="mid", color="black")
grid[0].set(xlim=(-0.5, 39.5), xticks=[], title="the signal")
for axes, (title, encoder) in zip(grid[1:], codes.items(), strict=True):
    encoded = encoder.fit_transform(X)[0]
    axes.imshow(encoded.T, aspect="auto", cmap="Greys", origin="lower", interpolation="none")
    axes.set(xticks=[], yticks=[], title=title)
plt.show()

# %%
# And back
# --------
#
# Changes can be added up again. The reconstruction is never off by more than the threshold, which
# is a tenth of the distance between the limits here.

encoder = DeltaEncoder(0.1).fit(X)
spikes = encoder.transform(X)
back = encoder.inverse_transform(spikes)
figure, axes = plt.subplots(figsize=(9, 2.5), layout="constrained")
axes.step(np.arange(40), signal, where="mid", color="black", label="the signal")
axes.step(np.arange(40), back[0, :, 0], where="mid", label=f"from {int(spikes.sum())} spikes")
axes.legend(loc="lower left")
plt.show()

bool(np.abs(back - X).max() < 0.1 * np.ptp(X))
