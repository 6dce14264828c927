"""SMAClassifier: spiking networks with multi-scale attention."""

from __future__ import annotations

from numbers import Integral, Real

import torch

from .._sklearn import Interval, StrOptions
from ..models import create_model
from ._base import SURROGATES
from ._classifier import SpikingClassifier

__all__ = ["SMAClassifier"]


class SMAClassifier(SpikingClassifier):
    """Spiking network with multi-scale attention (SMA) and attention ZoneOut.

    Each sample is shown to the network step by step; its neurons integrate and fire, convolutions
    of several sizes watch the spikes, and attention over channels and steps weighs what they see.
    In training, attention ZoneOut replaces the least attended steps by the steps before them.

    Parameters
    ----------
    backbone : {"auto", "sma_vgg8", "sma_mlp"}, default="auto"
        The network. ``"auto"`` takes ``"sma_vgg8"``, convolutions, for events, frames and images,
        and ``"sma_mlp"`` for tables and series. ``"sma_mlp"`` reads frames and images flattened.
    width : int, default=16
        Channels of the first convolution of ``"sma_vgg8"``, 64 in the published networks;
        ``"sma_mlp"`` has layers of 8 times as many neurons.
    scales : tuple of int, default=(1, 3, 5, 7)
        Sizes of the convolutions that the attention chooses from; ``"sma_mlp"`` has as many
        parallel layers.
    channel_reduction : float, default=4
        Divides the number of channels into the hidden width of the channel attention.
    time_reduction : float, default=4
        Divides the number of steps into the hidden width of the time attention.
    min_map : int, default=3
        ``"sma_vgg8"`` halves a map only if no side gets smaller than this; the published networks,
        which see larger sensors, never meet the limit. ``"sma_mlp"`` ignores it.
    hidden : tuple of int, default=()
        Neurons of the spiking layers before the output of ``"sma_vgg8"``, in multiples of `width`;
        ``(32, 16)`` in the published networks. Without any, few samples are learned sooner.
        ``"sma_mlp"`` ignores it.
    zoneout : bool, default=True
        Whether attention ZoneOut regularises the training.
    zoneout_channels : int, default=4
        ZoneOut replaces one in so many channels.
    zoneout_steps : int, default=4
        ZoneOut replaces one in so many steps.
    neuron : {"if", "lif", "plif"}, default="lif"
        Integrate-and-fire, leaky, or leaky with a learned time constant.
    tau : float, default=2.0
        Membrane time constant in steps, greater than 1; ``"plif"`` starts from it.
    threshold : float, default=1.0
        Membrane potential at and above which a neuron fires.
    surrogate : {"atan", "sigmoid", "unit_sigmoid", "triangle", "rectangle", "dspike"}, \
            default="atan"
        Stands for the derivative of the spike in the backward pass.
    n_steps : int, default=10
        Number of steps where X has no time axis: tables and images are shown as constant current
        for so many steps, and the default encoder cuts recordings into so many bins.
    encoder : transformer, default=None
        Turns recordings given as `X` into frames, for instance a
        :class:`~skspike.encoders.FrameEncoder`; a copy is fitted. By default
        ``FrameEncoder(n_bins=n_steps)``. Not used where X is an array.
    memory_limit : float or "auto", default="auto"
        How many bytes encoded recordings may take at once. Those that would take more are encoded
        batch by batch, whenever they are used; the fit is the same to the last bit. ``"auto"`` is a
        quarter of the memory that is free.
    cache : str or path-like, default=None
        Folder that keeps encoded recordings, so that none is encoded twice; see
        :class:`~skspike.encoders.EncoderCache`.
    n_jobs : int, default=None
        Number of processes that encode where recordings are encoded in blocks: those beyond
        `memory_limit`, those of a memory-mapped collection, and those missing in the cache.
        ``None`` means 1, the calling process, unless in a :obj:`joblib.parallel_config` context;
        ``-1`` means all processors.
    augment : str, callable, list of these or None, default=None
        Changes every batch of the training at random: a name from
        :func:`skspike.augment.list_augmentations`, an object such as
        :class:`skspike.augment.NDA`, or a list of them, applied one after the other. Validation
        and prediction see samples as they are.
    loss : {"mse", "cross_entropy", "tet"}, default="mse"
        ``"mse"`` is the squared distance of the mean output to the one-hot label,
        ``"cross_entropy"`` the cross-entropy of the mean output, ``"tet"`` the mean over steps of
        the cross-entropy of each step [2]_.
    optimizer : {"adam", "adamw", "nadam", "sgd"}, default="adam"
        The optimizer; ``"sgd"`` has a momentum of 0.9.
    lr : float, default=0.002
        Learning rate.
    weight_decay : float, default=0.0
        Weight decay, as the optimizer understands it.
    schedule : {"cosine"} or None, default="cosine"
        ``"cosine"`` lets the learning rate fall to zero over `max_epochs`.
    max_epochs : int, default=20
        Number of passes over the data in one call to :meth:`fit`.
    batch_size : int, default=32
        Number of samples in a step of the optimizer.
    dropout : float, default=0.2
        Share of hidden units left out in training, the same ones at every step; 0.5 in the
        published networks, which are four times as wide.
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
        Whether :meth:`fit` goes on from the weights of the previous fit. The network, its
        precision, the loss and the optimizer with its weight decay then stay those of the first
        fit.
    device : {"auto", "cpu", "cuda", "cuda:N"}, default="auto"
        Where the network runs. ``"auto"`` asks :func:`skspike.get_config`, whose own ``"auto"``
        takes CUDA where there is one.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        What convolutions and spikes of ``"sma_vgg8"`` are computed in; weights, losses and the
        state of the optimizer are float32 always. ``"bfloat16"`` halves the memory, and is faster
        where the device has instructions for it: CUDA of compute capability 8.0 and above, CPUs
        with AVX-512 BF16 or AMX. There ``"auto"`` takes it, elsewhere float32. ``"sma_mlp"`` gains
        nothing from it: ``"auto"`` stays with float32, ``"bfloat16"`` concerns its training only.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        What runs the neurons; see :func:`skspike.set_config`.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the order of the samples, dropout, augmentation and the validation split.
        The global generators of numpy and torch are left as they were; None draws a seed from
        numpy's.
    verbose : int, default=0
        With 1 a progress bar, and what the package logs (kernels being compiled, for instance);
        with 2 a table with one line per epoch.
    callbacks : list of skorch callbacks, default=None
        Copied at every fit, as scikit-learn's rules ask; find the copies in ``net_.callbacks_``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    net_ : skorch.NeuralNet
        The net that was trained; its `module_` takes samples first.
    model_ : torch.nn.Module
        The network itself, time first.
    encoder_ : transformer
        The fitted encoder, where X was given as recordings.
    history_ : skorch.history.History
        One row per epoch: ``history_[:, "train_loss"]``, and with early stopping ``"valid_loss"``
        and ``"valid_acc"``.
    n_iter_ : int
        Number of epochs run.
    precision_ : {"float32", "bfloat16"}
        What `precision` stood for on the device.
    n_steps_ : int
        Number of steps of a sample.
    sample_shape_ : tuple of int
        Shape of one sample.
    n_features_in_ : int
        Number of values in one step of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X was a table that has some.

    See Also
    --------
    skspike.encoders.FrameEncoder : Recordings to frames, as a step of a pipeline.
    skspike.models.create_model : The networks alone.

    Notes
    -----
    Fitting twice with the same int `random_state` and number of threads gives bit-equal weights on
    the CPU, unless several threads of one process fit at the same time: they share torch's
    generator. The fit does not depend on the order of the samples: they are sorted by content
    before they are shuffled. With early stopping, samples are split before weights repeat them.

    Where an augmentation mixes two samples, each label brings the weight of its sample (that of its
    class included) into the loss, in proportion to its share: the gradient of the mixture is that
    of the two weighted losses, in these proportions.

    Interrupting a fit (Ctrl-C) keeps the weights of that moment, as in skorch.

    Tables and series are predicted in float64, so that the answer for a sample does not depend on
    the others predicted with it; frames and images are predicted in `precision_`, where the last
    bits may depend on it and a membrane potential at the very threshold can flip a spike.

    Predictions come from a copy of the network whose batch norms are folded into the convolutions
    (:func:`skspike.nn.fold_norms`): its spikes may differ from those of `model_` in the same rare
    cases. The copy is made by the first prediction after a change, and never pickled.

    References
    ----------
    .. [1] Shan et al., "Advancing Spiking Neural Networks towards Multiscale Spatiotemporal
       Interaction Learning", AAAI 2025. https://arxiv.org/abs/2405.13672
    .. [2] Deng et al., "Temporal Efficient Training of Spiking Neural Network via Gradient
       Re-weighting", ICLR 2022. https://arxiv.org/abs/2202.11946

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skspike import SMAClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), SMAClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **SpikingClassifier._parameter_constraints,
        "backbone": [StrOptions({"auto", "sma_vgg8", "sma_mlp"})],
        "width": [Interval(Integral, 1, None, closed="left")],
        "scales": [tuple, list],
        "channel_reduction": [Interval(Real, 1, None, closed="left")],
        "time_reduction": [Interval(Real, 1, None, closed="left")],
        "min_map": [Interval(Integral, 1, None, closed="left")],
        "hidden": [tuple, list],
        "zoneout": ["boolean"],
        "zoneout_channels": [Interval(Integral, 1, None, closed="left")],
        "zoneout_steps": [Interval(Integral, 1, None, closed="left")],
        "neuron": [StrOptions({"if", "lif", "plif"})],
        "tau": [Interval(Real, 1, None, closed="neither")],
        "threshold": [Interval(Real, 0, None, closed="neither")],
        "surrogate": [SURROGATES],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        *,
        backbone="auto",
        width=16,
        scales=(1, 3, 5, 7),
        channel_reduction=4,
        time_reduction=4,
        min_map=3,
        hidden=(),
        zoneout=True,
        zoneout_channels=4,
        zoneout_steps=4,
        neuron="lif",
        tau=2.0,
        threshold=1.0,
        surrogate="atan",
        n_steps=10,
        encoder=None,
        memory_limit="auto",
        cache=None,
        n_jobs=None,
        augment=None,
        loss="mse",
        optimizer="adam",
        lr=0.002,
        weight_decay=0.0,
        schedule="cosine",
        max_epochs=20,
        batch_size=32,
        dropout=0.2,
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
        self.backbone = backbone
        self.width = width
        self.scales = scales
        self.channel_reduction = channel_reduction
        self.time_reduction = time_reduction
        self.min_map = min_map
        self.hidden = hidden
        self.zoneout = zoneout
        self.zoneout_channels = zoneout_channels
        self.zoneout_steps = zoneout_steps
        self.neuron = neuron
        self.tau = tau
        self.threshold = threshold
        self.surrogate = surrogate
        self.n_steps = n_steps
        self.encoder = encoder
        self.memory_limit = memory_limit
        self.cache = cache
        self.n_jobs = n_jobs
        self.augment = augment
        self.loss = loss
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
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

    def _backbone_name(self, sample_shape: tuple[int, ...]) -> str:
        """Choose the network for samples of this shape."""
        if self.backbone == "auto":
            return "sma_mlp" if len(sample_shape) < 3 else "sma_vgg8"
        if self.backbone == "sma_vgg8" and len(sample_shape) < 3:
            raise ValueError(
                "X of SMAClassifier with backbone='sma_vgg8' must have shape "
                "(n_samples, n_channels, height, width) or "
                "(n_samples, n_steps, n_channels, height, width). "
                f"Got shape ({', '.join(map(str, ('n_samples', *sample_shape)))}) instead."
            )
        return self.backbone

    def _reads_vectors(self, sample_shape: tuple[int, ...]) -> bool:
        """Tell whether the network reads each step as a vector."""
        return self._backbone_name(sample_shape) == "sma_mlp"

    def _make_model(self, sample_shape: tuple[int, ...], n_outputs: int) -> torch.nn.Module:
        """Build the network, time first."""
        name = self._backbone_name(sample_shape)
        if name == "sma_mlp":
            options = {"in_channels": self.n_features_in_}
        else:
            options = {
                "in_channels": sample_shape[-3],
                "min_map": self.min_map,
                "hidden": tuple(self.hidden),
            }
        return create_model(
            name,
            **options,
            n_classes=n_outputs,
            n_steps=self.n_steps_,
            width=self.width,
            scales=tuple(self.scales),
            channel_reduction=self.channel_reduction,
            time_reduction=self.time_reduction,
            zoneout=self.zoneout,
            zoneout_channels=self.zoneout_channels,
            zoneout_steps=self.zoneout_steps,
            neuron=self.neuron,
            tau=self.tau,
            threshold=self.threshold,
            surrogate=self.surrogate,
            dropout=self.dropout,
            backend=self.backend,
        )
