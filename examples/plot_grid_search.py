"""
Tuning encoder and network together
===================================

How many frames to cut a recording into belongs to the model as much as the time constant of its
neurons. Since the encoder is a step of the pipeline, one search tunes both, and no fold copies an
event.
"""

# %%
# A small problem
# ---------------
#
# Shapes that move over a sensor, and a grid of four candidates.

from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skspike import FrameEncoder, SMAClassifier
from skspike.datasets import make_moving_shapes

X, y = make_moving_shapes(n_samples=120, random_state=0)
model = make_pipeline(
    FrameEncoder(),
    SMAClassifier(width=4, lr=0.005, max_epochs=10, batch_size=16, random_state=0),
)
grid = {"frameencoder__n_bins": [3, 6], "smaclassifier__tau": [1.5, 3.0]}
search = GridSearchCV(model, grid, cv=3, n_jobs=2).fit(X, y)
print(search.best_params_)

# %%
# The scores
# ----------
#
# Each line is a time constant, with the standard deviation over the folds.

import matplotlib.pyplot as plt

results = search.cv_results_
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for tau in grid["smaclassifier__tau"]:
    own = results["param_smaclassifier__tau"] == tau
    axes.errorbar(
        results["param_frameencoder__n_bins"][own].astype(int),
        results["mean_test_score"][own],
        results["std_test_score"][own],
        capsize=4,
        label=f"tau = {tau}",
    )
axes.set(xlabel="frames per recording", ylabel="accuracy", xticks=grid["frameencoder__n_bins"])
axes.legend()
plt.show()
