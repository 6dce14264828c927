"""SpikingSSMLanguageModel: spiking state space models that predict the next token."""

from __future__ import annotations

import copy
import math
from numbers import Integral, Real

import numpy as np
import torch
import tqdm
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.history import History

from .._sklearn import HasMethods, Interval, StrOptions, fit_context
from ..models import SpikingSSMDecoder
from ._blocks import BLOCK_CONSTRAINTS, block_options
from ._device import device_after_loading, resolve_device, seeded
from ._language_stream import LanguageStream
from ._language_training import BestWeights, LanguageTrainer, firing_rates, mean_log_prob
from ._log import show_log
from ._precision import PRECISIONS, resolve_precision
from ._tokens import END, TOKENIZERS, Vocabulary, fit_tokenizer, read_sequences

__all__ = ["SpikingSSMLanguageModel"]

_N_RATED = 4096  # tokens that the firing rates are measured on


class SpikingSSMLanguageModel(BaseEstimator):
    """Language model of spiking state space models.

    It learns to predict each token of a text, a word or a character, from all those before it, with
    neurons that fire: what a block multiplies by its matrix is binary. It reads a text in constant
    memory and time per token, however long the text is.

    Parameters
    ----------
    tokenizer : {"word", "char"}, callable, transformer or None, default=None
        What makes tokens of a text. ``"word"`` takes what white space separates, and ``"<eos>"`` at
        the end of each line; ``"char"`` takes characters. A callable takes a text and returns
        its tokens; of a transformer, a copy is fitted to all texts and its `transform` returns the
        tokens of each. With None, `X` consists of tokens already.
    min_freq : int, default=1
        How often a token must occur to be in the vocabulary. The others are ``"<unk>"``.
    n_layers : int, default=2
        Number of blocks; 16 in the published network.
    width : int, default=128
        Number of channels of a block; 1024 in the published network.
    block : {"s4d", "selective"}, default="s4d"
        What a block is: the published one, :class:`skspike.nn.SpikingSSMBlock`, or one whose state
        space model is told by each step how much to forget, :class:`skspike.nn.SelectiveSSMBlock`;
        better where what a step means hangs on those around it, as in language and in formulas.
    d_state : int, default=16
        Number of real states of a channel of an ``"s4d"`` block; 64 in the published network.
    expand : int, default=2
        Number of neurons for each channel of a ``"selective"`` block.
    residual : bool, default=True
        Whether the input passes around a ``"selective"`` block.
    gated : bool, default=False
        Whether half of what the matrix of a ``"selective"`` block returns gates the other half.
    dt_min : float, default=0.01
        Shortest step of the state space models at first; 0.001 in the published network.
    dt_max : float, default=1.0
        Longest step of the state space models at first; 0.1 in the published network.
    mode : {"exact", "sdn", "fixed_point"}, default="exact"
        How neurons are computed; see :class:`skspike.nn.SpikingSSMNeuron`.
    decay : float, default=0.125
        Factor on the carried potential of the neurons.
    surrogate : {"triangle", "unit_sigmoid", "sigmoid", "atan", "rectangle", "dspike"}, \
            default="triangle"
        What stands for the derivative of a spike, ``"triangle"`` as published; see
        :func:`skspike.kernels.lif`. Some blocks learn faster with ``"unit_sigmoid"``.
    max_spikes : int, default=1
        Most spikes of a neuron in a step: one in the published network. With a few, blocks pass on
        more, and some learn more.
    cutoffs : sequence of int, default=()
        First token of each cluster of rarer tokens, of which the softmax computes only those that
        are needed; see :class:`skspike.nn.AdaptiveSoftmax`. ``(19997, 39997, 199997)`` in the
        published network.
    division : int, default=1
        By how much the numbers of a token are fewer in each next cluster; 4 in the published
        network.
    final_norm : bool, default=True
        Whether the output of the last block is normalised; it is not in the published network.
    project : bool, default=True
        Whether a matrix stands between the last block and the softmax;
        see :class:`skspike.models.SpikingSSMDecoder`.
    memory : bool, default=False
        Whether leaky sums of the tokens so far are added to what the softmax is given, so that a
        text goes on with its own words; see :class:`skspike.nn.TokenMemory`.
    dropout : float, default=0.2
        Share of channels left out of the blocks in training, the same ones in all steps of a
        segment.
    embedding_dropout : float, default=0.3
        Share of the numbers of a token left out where it is read.
    softmax_dropout : float, default=0.3
        Share of the numbers left out that are compared with the tokens.
    lr : float, default=0.004
        Learning rate of AdamW.
    ssm_lr : float, default=0.001
        Highest learning rate of the steps and modes of the state space models, which do not decay.
    weight_decay : float, default=0.1
        Weight decay of matrices; vectors do not decay.
    schedule : {"cosine"} or None, default="cosine"
        ``"cosine"`` lets the learning rate fall to zero over `max_epochs`.
    warmup : float, default=0.05
        Share of the training in which the learning rate rises from zero.
    max_grad_norm : float or None, default=1.0
        Length to which longer gradients are cut.
    averaging : float, default=0.998
        The weights that are kept are a running average of those after each step of the optimizer,
        of which a step keeps this share. 0 takes the last ones.
    max_epochs : int, default=20
        Number of passes over the text.
    batch_size : int, default=16
        Number of lanes that the text is cut into, which are read side by side.
    segment_length : int, default=32
        Number of tokens of each lane in a step of the optimizer.
    early_stopping : bool, default=False
        Whether to hold out the end of the text, `validation_fraction` of it, stop when its loss no
        longer falls, and keep the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the text held out for early stopping.
    n_iter_no_change : int, default=5
        Number of epochs without progress after which early stopping stops.
    tol : float, default=0.0001
        By how much the validation loss must fall to count as progress.
    warm_start : bool, default=False
        Whether :meth:`fit` goes on from the weights of the previous fit, with its tokenizer and
        vocabulary, and a new optimizer.
    device : {"auto", "cpu", "cuda", "cuda:N"}, default="auto"
        Where the network runs; ``"auto"`` asks :func:`skspike.get_config`.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        What products of matrices are computed in; weights, states and losses are float32.
        ``"auto"`` takes bfloat16 where the device has instructions for it; one that has none is
        several times slower in it than in float32.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        What runs the neurons and state space models; see :func:`skspike.set_config`.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, dropout and the places where the text is cut into segments. Global
        generators are left as they were; None draws a seed from numpy's.
    verbose : int, default=0
        With 1 a progress bar; with 2 a line for each epoch.

    Attributes
    ----------
    vocabulary_ : list of int or str
        The tokens by their numbers: by falling frequency, ``"<unk>"`` and ``"<eos>"`` among them.
    tokenizer_ : callable, transformer or None
        What makes tokens of a text.
    model_ : SpikingSSMDecoder
        The network, time first.
    history_ : skorch.history.History
        One row per epoch: ``history_[:, "train_loss"]``, and with early stopping ``"valid_loss"``.
    n_iter_ : int
        Number of epochs run.
    firing_rates_ : ndarray of shape (n_layers,)
        Spikes of a neuron in a step, in each block, on the end of the text.
    sparsity_ : float
        Share of all neurons that do not fire in a step.
    precision_ : {"float32", "bfloat16"}
        What `precision` stood for on the device.

    See Also
    --------
    skspike.models.SpikingSSMDecoder : The network alone.

    Notes
    -----
    A sequence begins behind an ``"<eos>"``, so that its first token is predicted, too. Of several
    sequences each is followed by an ``"<eos>"``, which is predicted like a token; they are trained
    one behind the other as one text, and scored each by itself.

    The text is cut into lanes, and these into segments. A segment goes on from the state of the
    network after the one before it, through which no gradient flows (truncated backpropagation
    through time); the published recipe, of segments of 8192 tokens, begins each one at rest.

    The biases of the softmax begin at the logarithms of the tokens' frequencies.

    Fitting twice with the same int `random_state` and number of threads gives bit-equal weights on
    the CPU.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.

    Examples
    --------
    >>> from skspike import SpikingSSMLanguageModel
    >>> text = "the cat sat on the mat and the dog sat on the cat " * 30
    >>> model = SpikingSSMLanguageModel("word", width=16, batch_size=4, random_state=0)
    >>> model.fit(text).perplexity(text) < 3
    True
    >>> model.predict(["the dog sat on"])
    ['the']
    """

    _parameter_constraints: dict = {
        "tokenizer": [
            StrOptions(set(TOKENIZERS)),
            callable,
            HasMethods(["fit", "transform"]),
            None,
        ],
        "min_freq": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "width": [Interval(Integral, 1, None, closed="left")],
        **BLOCK_CONSTRAINTS,
        "dt_min": [Interval(Real, 0, None, closed="neither")],
        "dt_max": [Interval(Real, 0, None, closed="neither")],
        "mode": [StrOptions({"exact", "sdn", "fixed_point"})],
        "decay": [Interval(Real, 0, 1, closed="both")],
        "cutoffs": [tuple, list],
        "division": [Interval(Integral, 1, None, closed="left")],
        "final_norm": ["boolean"],
        "project": ["boolean"],
        "memory": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "embedding_dropout": [Interval(Real, 0, 1, closed="left")],
        "softmax_dropout": [Interval(Real, 0, 1, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "ssm_lr": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions({"cosine"}), None],
        "warmup": [Interval(Real, 0, 1, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "averaging": [Interval(Real, 0, 1, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "segment_length": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str],
        "precision": [StrOptions(set(PRECISIONS))],
        "backend": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        tokenizer=None,
        *,
        min_freq=1,
        n_layers=2,
        width=128,
        block="s4d",
        d_state=16,
        expand=2,
        residual=True,
        gated=False,
        dt_min=0.01,
        dt_max=1.0,
        mode="exact",
        decay=0.125,
        surrogate="triangle",
        max_spikes=1,
        cutoffs=(),
        division=1,
        final_norm=True,
        project=True,
        memory=False,
        dropout=0.2,
        embedding_dropout=0.3,
        softmax_dropout=0.3,
        lr=0.004,
        ssm_lr=0.001,
        weight_decay=0.1,
        schedule="cosine",
        warmup=0.05,
        max_grad_norm=1.0,
        averaging=0.998,
        max_epochs=20,
        batch_size=16,
        segment_length=32,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        tol=0.0001,
        warm_start=False,
        device="auto",
        precision="float32",
        backend="auto",
        random_state=None,
        verbose=0,
    ):
        self.tokenizer = tokenizer
        self.min_freq = min_freq
        self.n_layers = n_layers
        self.width = width
        self.block = block
        self.d_state = d_state
        self.expand = expand
        self.residual = residual
        self.gated = gated
        self.dt_min = dt_min
        self.dt_max = dt_max
        self.mode = mode
        self.decay = decay
        self.surrogate = surrogate
        self.max_spikes = max_spikes
        self.cutoffs = cutoffs
        self.division = division
        self.final_norm = final_norm
        self.project = project
        self.memory = memory
        self.dropout = dropout
        self.embedding_dropout = embedding_dropout
        self.softmax_dropout = softmax_dropout
        self.lr = lr
        self.ssm_lr = ssm_lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.warmup = warmup
        self.max_grad_norm = max_grad_norm
        self.averaging = averaging
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.segment_length = segment_length
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

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit the network to a text.

        Parameters
        ----------
        X : str, sequence of str or int, or sequence of such sequences
            One long text or several; without a tokenizer, one sequence of tokens or several.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        owner = type(self).__name__
        fresh = not (self.warm_start and hasattr(self, "model_"))
        tokenizer = fit_tokenizer(self.tokenizer, X) if fresh else self.tokenizer_
        sequences, several = read_sequences(owner, X, tokenizer)
        if sum(map(len, sequences)) < 2:
            raise ValueError(f"X of {owner} must have at least 2 tokens to fit.")
        if fresh:
            self.tokenizer_ = tokenizer
            self._vocabulary = Vocabulary.fit(sequences, self.min_freq)
            self.vocabulary_ = self._vocabulary.tokens
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            self._random_state = np.random.RandomState(seed)
        encoded = self._encode(sequences, several)
        stream = np.concatenate([encoded[0], *(s[1:] for s in encoded[1:])])
        if fresh:
            self._start(stream)
        self._train(*self._split(stream))
        return self

    def score(self, X, y=None):
        """Return the mean logarithm of the probability of a token: minus that of the perplexity.

        Parameters
        ----------
        X : str, sequence of str or int, or sequence of such sequences
            Texts or tokens, as in :meth:`fit`.
        y : None
            Ignored.

        Returns
        -------
        score : float
            The higher the better; at most 0.
        """
        check_is_fitted(self, "model_")
        sequences, several = read_sequences(type(self).__name__, X, self.tokenizer_)
        encoded = self._encode(sequences, several)
        if not any(len(s) > 1 for s in encoded):
            raise ValueError(f"X of {type(self).__name__} must have at least 1 token to score.")
        return mean_log_prob(self.model_, encoded, self.precision_)

    def perplexity(self, X):
        """Return the perplexity: how many tokens the model chooses from, as it were.

        Parameters
        ----------
        X : str, sequence of str or int, or sequence of such sequences
            Texts or tokens, as in :meth:`fit`.

        Returns
        -------
        perplexity : float
            The lower the better; at least 1.
        """
        return math.exp(-self.score(X))

    def predict_proba(self, X):
        """Return the probabilities of the token that follows each beginning of a text.

        Parameters
        ----------
        X : str, sequence of str or int, or sequence of such sequences
            One beginning or several, which may be empty.

        Returns
        -------
        probabilities : ndarray of shape (n_sequences, n_tokens)
            Columns in the order of `vocabulary_`.
        """
        check_is_fitted(self, "model_")
        sequences, _ = read_sequences(type(self).__name__, X, self.tokenizer_)
        rows = [self.stream().push(tokens).predict_proba() for tokens in sequences]
        return np.array(rows).reshape(-1, len(self.vocabulary_))

    def predict(self, X):
        """Return the most probable token after each beginning of a text.

        Parameters
        ----------
        X : str, sequence of str or int, or sequence of such sequences
            One beginning or several, which may be empty.

        Returns
        -------
        tokens : list of int or str
            A token for each.
        """
        return self._vocabulary_of_fit().decode(self.predict_proba(X).argmax(1))

    def generate(self, prefix=(), n_tokens=20, temperature=1.0, random_state=None):
        """Continue a text by drawing token after token.

        Parameters
        ----------
        prefix : str or sequence of str or int, default=()
            The beginning of the text.
        n_tokens : int in [0, inf), default=20
            Number of tokens to draw.
        temperature : float in [0, inf), default=1.0
            Divides the logarithms of the probabilities; 0 takes the most probable token.
        random_state : int, RandomState instance or None, default=None
            Seeds the draws.

        Returns
        -------
        tokens : list of int or str
            What follows the prefix.
        """
        vocabulary = self._vocabulary_of_fit()
        _check_generation(type(self).__name__, n_tokens, temperature)
        rng = check_random_state(random_state)
        stream, tokens = self.stream(), []
        if len(prefix):
            stream.push(read_sequences(type(self).__name__, prefix, self.tokenizer_)[0][0])
        for _ in range(n_tokens):
            tokens.append(vocabulary.tokens[_draw(stream.log_prob(), temperature, rng)])
            stream.push(tokens[-1:])
        return tokens

    def stream(self):
        """Return what reads a text token by token, in constant memory and time per token.

        Returns
        -------
        stream : LanguageStream
            Its ``push(token)`` reads a token, its ``predict_proba()`` returns the probabilities of
            the next one.
        """
        check_is_fitted(self, "model_")
        return LanguageStream(self)

    def _vocabulary_of_fit(self) -> Vocabulary:
        """Return the vocabulary, if there is one."""
        check_is_fitted(self, "model_")
        return self._vocabulary

    def _encode(self, sequences: list[list], several: bool) -> list[np.ndarray]:
        """Return the numbers of sequences, behind an end of text and, of several, before one."""
        encode = self._vocabulary.encode
        return [encode([END, *tokens, *([END] if several else [])]) for tokens in sequences]

    def _start(self, stream: np.ndarray) -> None:
        """Build a network with seeded weights, and the biases of the tokens' frequencies."""
        device = resolve_device(type(self).__name__, self.device)
        self.precision_ = resolve_precision(self.precision, device)
        with seeded(self._random_state.randint(2**31 - 1), device):
            self.model_ = self._make_model().to(device)
        counts = np.bincount(stream, minlength=len(self._vocabulary))
        frequencies = torch.from_numpy(counts + 1.0).float()
        _set_frequencies(self.model_.softmax, frequencies)
        if self.model_.memory is not None:
            self.model_.memory.set_frequencies(frequencies)

    def _make_model(self) -> SpikingSSMDecoder:
        """Build the network."""
        return SpikingSSMDecoder(
            len(self._vocabulary),
            n_layers=self.n_layers,
            width=self.width,
            cutoffs=tuple(self.cutoffs),
            division=self.division,
            final_norm=self.final_norm,
            project=self.project,
            memory=self.memory,
            embedding_dropout=self.embedding_dropout,
            softmax_dropout=self.softmax_dropout,
            **block_options(self),
        )

    def _split(self, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Divide the text into what is trained on and, for early stopping, what comes after it."""
        if not self.early_stopping:
            return stream, None
        n_valid = math.ceil(self.validation_fraction * (len(stream) - 1))
        if len(stream) - n_valid < 2:
            raise ValueError(
                f"X of {type(self).__name__} with early_stopping=True must leave at least 1 token "
                f"to train on. Got {len(stream) - 1} tokens, of which {n_valid} are held out."
            )
        # the token before the held out ones is read by the model, but not predicted
        return stream[:-n_valid], stream[-n_valid - 1 :]

    def _train(self, train: np.ndarray, valid: np.ndarray | None) -> None:
        """Train epoch by epoch, and measure how often the neurons fire."""
        rng, model = self._random_state, self.model_
        device = model.softmax.biases[0].device
        trainer = self._make_trainer()
        best = BestWeights(self.n_iter_no_change, self.tol)
        self.history_ = History()
        with (
            show_log(self.verbose >= 1),
            seeded(rng.randint(2**31 - 1), device),
            tqdm.tqdm(
                total=self.max_epochs, desc=type(self).__name__, unit="epoch",
                disable=self.verbose != 1,
            ) as bar,
        ):  # fmt: skip
            for _ in range(self.max_epochs):
                over = self._run_epoch(trainer, best, train, valid, rng)
                self._report(bar)
                if over:
                    break
        model.load_state_dict(trainer.result.state_dict())
        best.restore(model)
        self.n_iter_ = len(self.history_)
        shown = train if valid is None else valid
        self.firing_rates_, self.sparsity_ = firing_rates(model, shown[-_N_RATED:], self.precision_)

    def _make_trainer(self) -> LanguageTrainer:
        """Return what trains the network, with a new optimizer."""
        return LanguageTrainer(
            self.model_,
            precision=self.precision_,
            batch_size=self.batch_size,
            segment_length=self.segment_length,
            lr=self.lr,
            ssm_lr=self.ssm_lr,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup=self.warmup,
            max_epochs=self.max_epochs,
            max_grad_norm=self.max_grad_norm,
            averaging=self.averaging,
        )

    def _run_epoch(self, trainer, best, train, valid, rng) -> bool:
        """Run an epoch and write its losses down; tell whether it was the last one."""
        self.history_.new_epoch()
        self.history_.record("epoch", len(self.history_))
        self.history_.record("train_loss", trainer.run_epoch(train, rng))
        if valid is None:
            return False
        loss = -mean_log_prob(trainer.result, [valid], self.precision_)
        self.history_.record("valid_loss", loss)
        return best.is_over(loss, trainer.result)

    def _report(self, bar) -> None:
        """Show the losses of the last epoch, in the bar or in a line."""
        row = self.history_[-1]
        losses = {k: f"{row[k]:.4f}" for k in ("train_loss", "valid_loss") if k in row}
        bar.set_postfix(losses, refresh=False)
        bar.update()
        if self.verbose > 1:
            print(f"epoch {row['epoch']}: " + ", ".join(f"{k} {v}" for k, v in losses.items()))

    def __getstate__(self):
        state = super().__getstate__()
        if "model_" in state:
            state = state | {"model_": copy.deepcopy(state["model_"]).cpu()}
        return state

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        if hasattr(self, "model_"):
            self.model_.to(device_after_loading(type(self).__name__, self.device))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True
        return tags


def _set_frequencies(softmax, counts: torch.Tensor) -> None:
    """Let the probabilities of a softmax begin at the frequencies of tokens."""
    clusters = [counts[first:end] for first, end in softmax.embedding.ranges()]
    with torch.no_grad():
        for bias, of_cluster in zip(softmax.biases, clusters, strict=True):
            bias.copy_(of_cluster.log() - counts.mean().log())
        for i, of_cluster in enumerate(clusters[1:]):
            softmax.cluster_bias[i] = of_cluster.sum().log() - counts.mean().log()


def _draw(log_p: torch.Tensor, temperature: float, rng: np.random.RandomState) -> int:
    """Draw a number with given probabilities, made more or less even."""
    if temperature == 0:
        return int(log_p.argmax())
    p = (log_p / temperature).softmax(-1).cpu().numpy()
    return int(rng.choice(len(p), p=p / p.sum()))


def _check_generation(owner: str, n_tokens, temperature) -> None:
    """Raise unless a number of tokens and a temperature make sense."""
    for name, value, kind in (("n_tokens", n_tokens, Integral), ("temperature", temperature, Real)):
        if not isinstance(value, kind) or not 0 <= value < math.inf:
            noun = "an int" if kind is Integral else "a float"
            raise ValueError(
                f"The {name!r} parameter of {owner}.generate must be {noun} in the range [0, inf). "
                f"Got {value!r} instead."
            )
