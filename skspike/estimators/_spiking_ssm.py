"""SpikingSSMClassifier and SpikingSSMRegressor: spiking state space models for long sequences."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

from .._sklearn import Interval, StrOptions
from ._blocks import BLOCK_CONSTRAINTS
from ._classifier import SpikingClassifier
from ._regressor import SpikingRegressor
from ._sequence_base import SequenceEstimator

__all__ = ["SpikingSSMClassifier", "SpikingSSMRegressor"]

_CONSTRAINTS: dict = {
    "n_layers": [Interval(Integral, 1, None, closed="left")],
    "n_repeats": [Interval(Integral, 1, None, closed="left")],
    "width": [Interval(Integral, 1, None, closed="left")],
    **BLOCK_CONSTRAINTS,
    "bidirectional": ["boolean"],
    "trainable_input": ["boolean"],
    "dt_min": [Interval(Real, 0, None, closed="neither")],
    "dt_max": [Interval(Real, 0, None, closed="neither")],
    "norm": [StrOptions({"layer", "batch"})],
    "norm_place": [StrOptions({"before", "after", "unused"})],
    "final_norm": ["boolean"],
    "mode": [StrOptions({"exact", "sdn", "fixed_point"})],
    "decay": [Interval(Real, 0, 1, closed="both")],
    "n_rounds": [Interval(Integral, 0, None, closed="left")],
    "learnable_threshold": ["boolean"],
    "shared_threshold": ["boolean"],
    "readout": [StrOptions({"mean", "max", "last", "ends"})],
    "n_tokens": [Interval(Integral, 1, None, closed="left"), None],
    "patch_size": [Interval(Integral, 1, None, closed="left")],
    "standardize": ["boolean"],
    "ssm_lr": [Interval(Real, 0, None, closed="neither")],
    "warmup": [Interval(Real, 0, 1, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
}


def _constraints(base: type, **own: list) -> dict:
    """Return the constraints of a base and of the network."""
    inherited = {k: v for k, v in base._parameter_constraints.items() if k != "augment"}
    return {**inherited, **_CONSTRAINTS, **own}


class SpikingSSMClassifier(SequenceEstimator, SpikingClassifier):
    """Spiking state space models as a classifier of long sequences.

    State space models remember what happened thousands of steps ago, all steps are computed at
    once, and what is multiplied by the large matrices are spikes [1]_.

    X is an array of series of shape (n_samples, n_steps, n_features), or a list (or object array)
    of arrays of shape (n_steps,) or (n_steps, n_features), which may differ in length: what follows
    the end of a short one has no influence. A list of lists is a table, as everywhere in
    scikit-learn. Predictions take sequences of any length. Recordings, frames, images and tables
    are read as by :class:`SMAClassifier`, each step as a vector.

    Parameters
    ----------
    n_layers : int, default=2
        Number of blocks: a state space model, its spikes, and the matrix that mixes these.
    n_repeats : int, default=1
        How often a sequence goes through all blocks, with the same weights every time: for what is
        nested, a deep network of few parameters.
    width : int, default=64
        Number of channels of a block.
    block : {"s4d", "selective"}, default="s4d"
        What a block is: the published one, :class:`skspike.nn.SpikingSSMBlock`, or one whose state
        space model is told by each step how much to forget, :class:`skspike.nn.SelectiveSSMBlock`;
        better where what a step means hangs on those around it, as in language and in formulas.
    d_state : int, default=16
        Number of real states of a channel of an ``"s4d"`` block; the published networks have 4 to
        64.
    expand : int, default=2
        Number of neurons for each channel of a ``"selective"`` block.
    residual : bool, default=True
        Whether the input passes around a ``"selective"`` block.
    gated : bool, default=False
        Whether half of what the matrix of a ``"selective"`` block returns gates the other half.
    bidirectional : bool, default=False
        Whether a step sees those after it, too. Better where whole sequences are there, but only
        without it can sequences be answered while they go on.
    trainable_input : bool, default=False
        Whether the input matrix of the state space models of ``"s4d"`` blocks is learnt.
    dt_min : float, default=0.001
        Shortest step of the state space models at first: the inverse of how far they look back.
    dt_max : float, default=0.1
        Longest step of the state space models at first.
    norm : {"layer", "batch"}, default="layer"
        Normalises channels: those of a step with each other, or each over all steps and samples.
    norm_place : {"before", "after", "unused"}, default="before"
        Where in a block; ``"unused"`` is what the published code of some configurations computes,
        see :class:`skspike.nn.SpikingSSMBlock`.
    final_norm : bool, default=False
        Whether the output of the last block is normalised over channels before it is read, which
        the published networks do not do.
    mode : {"exact", "sdn", "fixed_point"}, default="exact"
        How neurons are computed: step by step in a fused kernel, by the surrogate dynamic network
        of the paper, or in rounds; see :class:`skspike.nn.SpikingSSMNeuron`.
    decay : float, default=0.125
        Factor on the potential that a neuron carries to the next step.
    n_rounds : int, default=3
        Number of rounds of ``mode="fixed_point"``.
    learnable_threshold : bool, default=True
        Whether the thresholds of the neurons are learnt.
    shared_threshold : bool, default=False
        Whether all neurons of a block share a threshold.
    surrogate : {"triangle", "unit_sigmoid", "sigmoid", "atan", "rectangle", "dspike"}, \
            default="triangle"
        What stands for the derivative of a spike, ``"triangle"`` as published; see
        :func:`skspike.kernels.lif`. Some blocks learn faster with ``"unit_sigmoid"``.
    max_spikes : int, default=1
        Most spikes of a neuron in a step: one in the published network. With a few, blocks pass on
        more, and some learn more.
    readout : {"mean", "max", "last", "ends"}, default="mean"
        What the output is read from: the mean over the steps of a sequence, the maximum of each
        channel over them, its last step, or its first and its last one, in networks of both
        directions. The maximum is learnt faster where a few steps of many decide.
    n_tokens : int, default=None
        Where a step is a token, 0 to `n_tokens` - 1, how many there are: X has whole numbers of
        shape (n_samples, n_steps) then, or is a list of arrays of shape (n_steps,).
    patch_size : int, default=1
        How many steps of a series the network reads as one, their features side by side; zeros
        fill the last one.
    standardize : bool, default=True
        Whether the features of series and tables are given a mean of 0 and a deviation of 1, by
        what they are over all steps in :meth:`fit`.
    n_steps : int, default=10
        Number of steps where X has no time axis: tables and images are shown as constant current
        for so many steps, and the default encoder cuts recordings into so many bins.
    encoder : transformer, default=None
        Turns recordings given as `X` into frames, for instance a
        :class:`~skspike.encoders.FrameEncoder`; a copy is fitted. By default
        ``FrameEncoder(n_bins=n_steps)``. Not used where X is an array.
    memory_limit : float or "auto", default="auto"
        How many bytes encoded recordings may take at once. Those that would take more are encoded
        batch by batch, whenever they are used. ``"auto"`` is a quarter of the memory that is free.
    cache : str or path-like, default=None
        Folder that keeps encoded recordings, so that none is encoded twice; see
        :class:`~skspike.encoders.EncoderCache`.
    n_jobs : int, default=None
        Number of processes that encode where recordings are encoded in blocks.
    loss : {"cross_entropy", "mse"}, default="cross_entropy"
        ``"cross_entropy"`` of the output, or its squared distance to the one-hot label.
    optimizer : {"adam", "adamw", "nadam", "sgd"}, default="adamw"
        The optimizer; ``"sgd"`` has a momentum of 0.9.
    lr : float, default=0.01
        Highest learning rate.
    ssm_lr : float, default=0.001
        Highest learning rate of the poles and steps of the state space models, if that is lower
        than `lr`; they have no weight decay.
    weight_decay : float, default=0.01
        Weight decay, as the optimizer understands it.
    schedule : {"cosine"} or None, default="cosine"
        ``"cosine"`` lets the learning rate fall to zero over `max_epochs`, batch by batch.
    warmup : float, default=0.1
        Share of the batches in which the learning rate rises to its highest value.
    max_epochs : int, default=30
        Number of passes over the data in one call to :meth:`fit`.
    batch_size : int, default=32
        Number of samples in a step of the optimizer. Of sequences of different lengths, a batch
        has some of about the same.
    dropout : float, default=0.1
        Share of the channels that are left out in training, the same ones at every step.
    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the samples, stratified, stop when their loss
        no longer falls, and keep the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the samples held out for early stopping.
    n_iter_no_change : int, default=10
        Number of epochs without progress after which early stopping stops.
    tol : float, default=0.0001
        By how much the validation loss must fall to count as progress.
    class_weight : dict or "balanced", default=None
        Factor of the loss for each class label; ``"balanced"`` makes all classes weigh the same in
        the data that a call to :meth:`fit` or :meth:`partial_fit` is given.
    warm_start : bool, default=False
        Whether :meth:`fit` goes on from the weights of the previous fit. The network, the optimizer
        and the units of samples then stay those of the first fit.
    device : {"auto", "cpu", "cuda", "cuda:N"}, default="auto"
        Where the network runs. ``"auto"`` asks :func:`skspike.get_config`, whose own ``"auto"``
        takes CUDA where there is one.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        What the matrices that mix spikes are multiplied in while training; all else, and all of
        a prediction, has more digits. ``"auto"`` takes bfloat16 where the device is faster in it.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        What runs the kernels; see :func:`skspike.set_config`.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the order of the samples, dropout and the validation split. The global
        generators of numpy and torch are left as they were; None draws a seed from numpy's.
    verbose : int, default=0
        With 1 a progress bar, and what the package logs; with 2 a table with one line per epoch.
    callbacks : list of skorch callbacks, default=None
        Copied at every fit, as scikit-learn's rules ask; find the copies in ``net_.callbacks_``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    net_ : skorch.NeuralNet
        The net that was trained; its `module_` takes samples first.
    model_ : skspike.models.SpikingSSM
        The network itself, time first.
    encoder_ : transformer
        The fitted encoder, where X was given as recordings.
    mean_ : ndarray of shape (`n_features_in_`,) or None
        What `standardize` takes from each feature; None where it does not apply.
    scale_ : ndarray of shape (`n_features_in_`,) or None
        What it divides each feature by.
    firing_rates_ : ndarray of shape (n_layers * n_repeats,)
        Spikes of a neuron in a step, in each block and each time that it is passed, over samples
        of the training.
    sparsity_ : float
        Share of all neurons that do not fire in a step.
    history_ : skorch.history.History
        One row per epoch: ``history_[:, "train_loss"]``, and with early stopping ``"valid_loss"``
        and ``"valid_acc"``.
    n_iter_ : int
        Number of epochs run.
    precision_ : {"float32", "bfloat16"}
        What `precision` stood for on the device.
    n_steps_ : int or None
        Number of steps of a sample; None for series, which may have any number.
    sample_shape_ : tuple
        Shape of one sample; ``"n_steps"`` stands for any number.
    n_features_in_ : int
        Number of values in one step of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X was a table that has some.

    See Also
    --------
    SpikingSSMRegressor : The same for numbers.
    skspike.models.SpikingSSM : The network alone.

    Notes
    -----
    Fitting twice with the same int `random_state` and number of threads gives bit-equal weights on
    the CPU. The fit does not depend on the order of the samples. Interrupting a fit (Ctrl-C) keeps
    the weights of that moment.

    Predictions are computed in double precision, so that the answer for a sample does not depend on
    the others predicted with it.

    The published recipe is AdamW with `lr` 0.01, `ssm_lr` 0.001, a cosine with warm-up, and 30 to
    200 epochs; :func:`skspike.models.create_model` has the published networks.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025, 39(19), 20380-20388.

    Examples
    --------
    >>> import numpy as np
    >>> from skspike import SpikingSSMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=rng.integers(20, 60)) for _ in range(60)]
    >>> y = np.arange(60) % 2
    >>> for x, label in zip(X, y):
    ...     x[:10] += 3 * label  # at the beginning
    >>> model = SpikingSSMClassifier(width=16, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    >>> stream = model.stream()
    >>> stream.push(X[0][:7, None]).shape
    (7, 2)
    """

    _parameter_constraints: dict = _constraints(
        SpikingClassifier, loss=[StrOptions({"cross_entropy", "mse"})]
    )

    def __init__(
        self,
        *,
        n_layers=2,
        n_repeats=1,
        width=64,
        block="s4d",
        d_state=16,
        expand=2,
        residual=True,
        gated=False,
        bidirectional=False,
        trainable_input=False,
        dt_min=0.001,
        dt_max=0.1,
        norm="layer",
        norm_place="before",
        final_norm=False,
        mode="exact",
        decay=0.125,
        n_rounds=3,
        learnable_threshold=True,
        shared_threshold=False,
        surrogate="triangle",
        max_spikes=1,
        readout="mean",
        n_tokens=None,
        patch_size=1,
        standardize=True,
        n_steps=10,
        encoder=None,
        memory_limit="auto",
        cache=None,
        n_jobs=None,
        loss="cross_entropy",
        optimizer="adamw",
        lr=0.01,
        ssm_lr=0.001,
        weight_decay=0.01,
        schedule="cosine",
        warmup=0.1,
        max_epochs=30,
        batch_size=32,
        dropout=0.1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=0.0001,
        class_weight=None,
        warm_start=False,
        device="auto",
        precision="float32",
        backend="auto",
        random_state=None,
        verbose=0,
        callbacks=None,
    ):
        self.n_layers = n_layers
        self.n_repeats = n_repeats
        self.width = width
        self.block = block
        self.d_state = d_state
        self.expand = expand
        self.residual = residual
        self.gated = gated
        self.bidirectional = bidirectional
        self.trainable_input = trainable_input
        self.dt_min = dt_min
        self.dt_max = dt_max
        self.norm = norm
        self.norm_place = norm_place
        self.final_norm = final_norm
        self.mode = mode
        self.decay = decay
        self.n_rounds = n_rounds
        self.learnable_threshold = learnable_threshold
        self.shared_threshold = shared_threshold
        self.surrogate = surrogate
        self.max_spikes = max_spikes
        self.readout = readout
        self.n_tokens = n_tokens
        self.patch_size = patch_size
        self.standardize = standardize
        self.n_steps = n_steps
        self.encoder = encoder
        self.memory_limit = memory_limit
        self.cache = cache
        self.n_jobs = n_jobs
        self.loss = loss
        self.optimizer = optimizer
        self.lr = lr
        self.ssm_lr = ssm_lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.warmup = warmup
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.dropout = dropout
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.backend = backend
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    def predict_proba_over_time(self, X):
        """Return the class probabilities after each step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps, n_features)
            Series of equal length, or what else :meth:`fit` takes that has equal numbers of steps.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_steps, n_classes)
            Row ``t`` follows from the steps up to and including ``t``; the last row equals
            :meth:`predict_proba`. With a `patch_size`, one row for each patch.
        """
        return self._probabilities(self._outputs_over_time(X))

    def stream(self, n_samples=1):
        """Begin to predict sequences that are still arriving.

        Parameters
        ----------
        n_samples : int, default=1
            Number of sequences that go on side by side.

        Returns
        -------
        stream : object
            Its method ``push`` takes the next steps and returns class probabilities after each,
            ``reset`` begins anew.
        """
        return self._stream(n_samples, self._probabilities)

    def _scores_over_time(self, X) -> np.ndarray:
        """Return the one output for a sequence, on an axis of steps."""
        return self._outputs(X)


class SpikingSSMRegressor(SequenceEstimator, SpikingRegressor):
    """Spiking state space models as a regressor of long sequences.

    State space models remember what happened thousands of steps ago, all steps are computed at
    once, and what is multiplied by the large matrices are spikes [1]_. The targets are standardised
    for the training, which minimises their mean squared error.

    X is an array of series of shape (n_samples, n_steps, n_features), or a list (or object array)
    of arrays of shape (n_steps,) or (n_steps, n_features), which may differ in length: what follows
    the end of a short one has no influence. A list of lists is a table, as everywhere in
    scikit-learn. Predictions take sequences of any length. Recordings, frames, images and tables
    are read as by :class:`SMAClassifier`, each step as a vector.

    Parameters
    ----------
    n_layers : int, default=2
        Number of blocks: a state space model, its spikes, and the matrix that mixes these.
    n_repeats : int, default=1
        How often a sequence goes through all blocks, with the same weights every time: for what is
        nested, a deep network of few parameters.
    width : int, default=64
        Number of channels of a block.
    block : {"s4d", "selective"}, default="s4d"
        What a block is: the published one, :class:`skspike.nn.SpikingSSMBlock`, or one whose state
        space model is told by each step how much to forget, :class:`skspike.nn.SelectiveSSMBlock`;
        better where what a step means hangs on those around it, as in language and in formulas.
    d_state : int, default=16
        Number of real states of a channel of an ``"s4d"`` block; the published networks have 4 to
        64.
    expand : int, default=2
        Number of neurons for each channel of a ``"selective"`` block.
    residual : bool, default=True
        Whether the input passes around a ``"selective"`` block.
    gated : bool, default=False
        Whether half of what the matrix of a ``"selective"`` block returns gates the other half.
    bidirectional : bool, default=False
        Whether a step sees those after it, too. Better where whole sequences are there, but only
        without it can sequences be answered while they go on.
    trainable_input : bool, default=False
        Whether the input matrix of the state space models of ``"s4d"`` blocks is learnt.
    dt_min : float, default=0.001
        Shortest step of the state space models at first: the inverse of how far they look back.
    dt_max : float, default=0.1
        Longest step of the state space models at first.
    norm : {"layer", "batch"}, default="layer"
        Normalises channels: those of a step with each other, or each over all steps and samples.
    norm_place : {"before", "after", "unused"}, default="before"
        Where in a block; ``"unused"`` is what the published code of some configurations computes,
        see :class:`skspike.nn.SpikingSSMBlock`.
    final_norm : bool, default=False
        Whether the output of the last block is normalised over channels before it is read, which
        the published networks do not do.
    mode : {"exact", "sdn", "fixed_point"}, default="exact"
        How neurons are computed: step by step in a fused kernel, by the surrogate dynamic network
        of the paper, or in rounds; see :class:`skspike.nn.SpikingSSMNeuron`.
    decay : float, default=0.125
        Factor on the potential that a neuron carries to the next step.
    n_rounds : int, default=3
        Number of rounds of ``mode="fixed_point"``.
    learnable_threshold : bool, default=True
        Whether the thresholds of the neurons are learnt.
    shared_threshold : bool, default=False
        Whether all neurons of a block share a threshold.
    surrogate : {"triangle", "unit_sigmoid", "sigmoid", "atan", "rectangle", "dspike"}, \
            default="triangle"
        What stands for the derivative of a spike, ``"triangle"`` as published; see
        :func:`skspike.kernels.lif`. Some blocks learn faster with ``"unit_sigmoid"``.
    max_spikes : int, default=1
        Most spikes of a neuron in a step: one in the published network. With a few, blocks pass on
        more, and some learn more.
    readout : {"mean", "max", "last", "ends"}, default="mean"
        What the output is read from: the mean over the steps of a sequence, the maximum of each
        channel over them, its last step, or its first and its last one, in networks of both
        directions. The maximum is learnt faster where a few steps of many decide.
    n_tokens : int, default=None
        Where a step is a token, 0 to `n_tokens` - 1, how many there are: X has whole numbers of
        shape (n_samples, n_steps) then, or is a list of arrays of shape (n_steps,).
    patch_size : int, default=1
        How many steps of a series the network reads as one, their features side by side; zeros
        fill the last one.
    standardize : bool, default=True
        Whether the features of series and tables are given a mean of 0 and a deviation of 1, by
        what they are over all steps in :meth:`fit`.
    n_steps : int, default=10
        Number of steps where X has no time axis: tables and images are shown as constant current
        for so many steps, and the default encoder cuts recordings into so many bins.
    encoder : transformer, default=None
        Turns recordings given as `X` into frames, for instance a
        :class:`~skspike.encoders.FrameEncoder`; a copy is fitted. By default
        ``FrameEncoder(n_bins=n_steps)``. Not used where X is an array.
    memory_limit : float or "auto", default="auto"
        How many bytes encoded recordings may take at once. Those that would take more are encoded
        batch by batch, whenever they are used. ``"auto"`` is a quarter of the memory that is free.
    cache : str or path-like, default=None
        Folder that keeps encoded recordings, so that none is encoded twice; see
        :class:`~skspike.encoders.EncoderCache`.
    n_jobs : int, default=None
        Number of processes that encode where recordings are encoded in blocks.
    optimizer : {"adam", "adamw", "nadam", "sgd"}, default="adamw"
        The optimizer; ``"sgd"`` has a momentum of 0.9.
    lr : float, default=0.01
        Highest learning rate.
    ssm_lr : float, default=0.001
        Highest learning rate of the poles and steps of the state space models, if that is lower
        than `lr`; they have no weight decay.
    weight_decay : float, default=0.01
        Weight decay, as the optimizer understands it.
    schedule : {"cosine"} or None, default="cosine"
        ``"cosine"`` lets the learning rate fall to zero over `max_epochs`, batch by batch.
    warmup : float, default=0.1
        Share of the batches in which the learning rate rises to its highest value.
    max_epochs : int, default=30
        Number of passes over the data in one call to :meth:`fit`.
    batch_size : int, default=32
        Number of samples in a step of the optimizer. Of sequences of different lengths, a batch
        has some of about the same.
    dropout : float, default=0.1
        Share of the channels that are left out in training, the same ones at every step.
    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the samples, stop when their loss
        no longer falls, and keep the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the samples held out for early stopping.
    n_iter_no_change : int, default=10
        Number of epochs without progress after which early stopping stops.
    tol : float, default=0.0001
        By how much the validation loss must fall to count as progress.
    warm_start : bool, default=False
        Whether :meth:`fit` goes on from the weights of the previous fit. The network, the optimizer
        and the units of samples
        and targets then stay those of the first fit.
    device : {"auto", "cpu", "cuda", "cuda:N"}, default="auto"
        Where the network runs. ``"auto"`` asks :func:`skspike.get_config`, whose own ``"auto"``
        takes CUDA where there is one.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        What the matrices that mix spikes are multiplied in while training; all else, and all of
        a prediction, has more digits. ``"auto"`` takes bfloat16 where the device is faster in it.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        What runs the kernels; see :func:`skspike.set_config`.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the order of the samples, dropout and the validation split. The global
        generators of numpy and torch are left as they were; None draws a seed from numpy's.
    verbose : int, default=0
        With 1 a progress bar, and what the package logs; with 2 a table with one line per epoch.
    callbacks : list of skorch callbacks, default=None
        Copied at every fit, as scikit-learn's rules ask; find the copies in ``net_.callbacks_``.

    Attributes
    ----------
    target_mean_ : ndarray of shape (n_outputs,)
        Mean of the targets in the training.
    target_scale_ : ndarray of shape (n_outputs,)
        Standard deviation of the targets in the training.
    net_ : skorch.NeuralNet
        The net that was trained; its `module_` takes samples first.
    model_ : skspike.models.SpikingSSM
        The network itself, time first.
    encoder_ : transformer
        The fitted encoder, where X was given as recordings.
    mean_ : ndarray of shape (`n_features_in_`,) or None
        What `standardize` takes from each feature; None where it does not apply.
    scale_ : ndarray of shape (`n_features_in_`,) or None
        What it divides each feature by.
    firing_rates_ : ndarray of shape (n_layers * n_repeats,)
        Spikes of a neuron in a step, in each block and each time that it is passed, over samples
        of the training.
    sparsity_ : float
        Share of all neurons that do not fire in a step.
    history_ : skorch.history.History
        One row per epoch: ``history_[:, "train_loss"]``, and with early stopping ``"valid_loss"``.
    n_iter_ : int
        Number of epochs run.
    precision_ : {"float32", "bfloat16"}
        What `precision` stood for on the device.
    n_steps_ : int or None
        Number of steps of a sample; None for series, which may have any number.
    sample_shape_ : tuple
        Shape of one sample; ``"n_steps"`` stands for any number.
    n_features_in_ : int
        Number of values in one step of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X was a table that has some.

    See Also
    --------
    SpikingSSMClassifier : The same for labels.
    skspike.models.SpikingSSM : The network alone.

    Notes
    -----
    Fitting twice with the same int `random_state` and number of threads gives bit-equal weights on
    the CPU. The fit does not depend on the order of the samples. Interrupting a fit (Ctrl-C) keeps
    the weights of that moment.

    Predictions are computed in double precision, so that the answer for a sample does not depend on
    the others predicted with it.

    The published recipe is AdamW with `lr` 0.01, `ssm_lr` 0.001, a cosine with warm-up, and 30 to
    200 epochs; :func:`skspike.models.create_model` has the published networks.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025, 39(19), 20380-20388.

    Examples
    --------
    >>> import numpy as np
    >>> from skspike import SpikingSSMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30, 1))
    >>> y = X[..., 0].sum(axis=1)
    >>> model = SpikingSSMRegressor(width=16, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.5
    True
    """

    _parameter_constraints: dict = _constraints(SpikingRegressor)

    def __init__(
        self,
        *,
        n_layers=2,
        n_repeats=1,
        width=64,
        block="s4d",
        d_state=16,
        expand=2,
        residual=True,
        gated=False,
        bidirectional=False,
        trainable_input=False,
        dt_min=0.001,
        dt_max=0.1,
        norm="layer",
        norm_place="before",
        final_norm=False,
        mode="exact",
        decay=0.125,
        n_rounds=3,
        learnable_threshold=True,
        shared_threshold=False,
        surrogate="triangle",
        max_spikes=1,
        readout="mean",
        n_tokens=None,
        patch_size=1,
        standardize=True,
        n_steps=10,
        encoder=None,
        memory_limit="auto",
        cache=None,
        n_jobs=None,
        optimizer="adamw",
        lr=0.01,
        ssm_lr=0.001,
        weight_decay=0.01,
        schedule="cosine",
        warmup=0.1,
        max_epochs=30,
        batch_size=32,
        dropout=0.1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=0.0001,
        warm_start=False,
        device="auto",
        precision="float32",
        backend="auto",
        random_state=None,
        verbose=0,
        callbacks=None,
    ):
        self.n_layers = n_layers
        self.n_repeats = n_repeats
        self.width = width
        self.block = block
        self.d_state = d_state
        self.expand = expand
        self.residual = residual
        self.gated = gated
        self.bidirectional = bidirectional
        self.trainable_input = trainable_input
        self.dt_min = dt_min
        self.dt_max = dt_max
        self.norm = norm
        self.norm_place = norm_place
        self.final_norm = final_norm
        self.mode = mode
        self.decay = decay
        self.n_rounds = n_rounds
        self.learnable_threshold = learnable_threshold
        self.shared_threshold = shared_threshold
        self.surrogate = surrogate
        self.max_spikes = max_spikes
        self.readout = readout
        self.n_tokens = n_tokens
        self.patch_size = patch_size
        self.standardize = standardize
        self.n_steps = n_steps
        self.encoder = encoder
        self.memory_limit = memory_limit
        self.cache = cache
        self.n_jobs = n_jobs
        self.optimizer = optimizer
        self.lr = lr
        self.ssm_lr = ssm_lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.warmup = warmup
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.dropout = dropout
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.backend = backend
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    def predict_over_time(self, X):
        """Return the predicted targets after each step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps, n_features)
            Series of equal length, or what else :meth:`fit` takes that has equal numbers of steps.

        Returns
        -------
        targets : ndarray of shape (n_samples, n_steps) or (n_samples, n_steps, n_outputs)
            Row ``t`` follows from the steps up to and including ``t``; the last row equals
            :meth:`predict`. With a `patch_size`, one row for each patch.
        """
        return self._targets(self._outputs_over_time(X))

    def stream(self, n_samples=1):
        """Begin to predict sequences that are still arriving.

        Parameters
        ----------
        n_samples : int, default=1
            Number of sequences that go on side by side.

        Returns
        -------
        stream : object
            Its method ``push`` takes the next steps and returns the targets predicted after each,
            ``reset`` begins anew.
        """
        return self._stream(n_samples, self._targets)
