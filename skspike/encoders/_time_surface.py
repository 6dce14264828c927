"""TimeSurfaceEncoder: how recently each pixel saw an event."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

from .._sklearn import Interval, StrOptions
from ._base import FLOATS, EventEncoder
from ._bins import Bins
from ._hats_reference import HatsPlan
from ._hats_reference import encode_recording as encode_hats
from ._time_surface_reference import SurfacePlan
from ._time_surface_reference import encode_recording as encode_surfaces


class TimeSurfaceEncoder(EventEncoder):
    """Turn recordings into time surfaces, or into histograms of averaged ones.

    A time surface says of each pixel how recent its last event is: 1 just now, falling off with
    the time constant `tau`, and 0 where there has been none. With ``kind="hots"`` the whole sensor
    is read at the end of each bin. With ``kind="hats"`` each event has a small surface around it,
    and the surfaces of a bin's events are averaged in square cells of the sensor.

    Parameters
    ----------
    n_bins : int, default=10
        Number of surfaces (or of histograms of each cell) per recording.
    kind : {"hots", "hats"}, default="hots"
        Surfaces of the whole sensor, or averages of the events' own in cells.
    tau : float, default=50000.0
        Time constant of the decay, in microseconds.
    split : {"time", "count"}, default="time"
        How the window is divided into bins: of equal duration, or of equally many events. A
        surface is read at the end of its bin: where the next begins with "time", at the bin's
        last event with "count", so that `n_bins` surfaces belong to as many events.
    window : {"recording", "fit"} or tuple of int (start, stop), default="recording"
        Which events are used, in microseconds: those with ``start <= t < stop``. "recording" is
        the window of each recording by itself, from its first event to its last, both included;
        "fit" is the window of all events seen in fit, so that the bins of different recordings
        are aligned.
    cell_size : int, default=10
        With ``kind="hats"``, the side of a cell in pixels. Cells that reach over the sensor's right
        or lower edge are kept.
    surface_size : int, default=7
        With ``kind="hats"``, the side of an event's surface in pixels: odd, so that it has a
        middle. Pixels of other cells are left out of it.
    memory : int, default=100000
        With ``kind="hats"``, how far an event looks back, in microseconds.
    normalize : {"cell", "polarity"}, default="cell"
        With ``kind="hats"``, by how many events of the bin the sum of their surfaces is divided:
        by all of the cell, so that of the two polarities the frequent one weighs more, or by those
        of the polarity alone.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default that of the recordings seen in fit: an
        ``EventCollection`` knows it; of other input it is the smallest that holds all events, so
        that recordings seen later may not fit.
    dtype : {"float32", "float64"}, default="float32"
        Type of the surfaces.
    n_jobs : int, default=None
        Number of threads. ``None`` means 1 unless in a :obj:`joblib.parallel_backend` context.
        ``-1`` means all processors.

    Attributes
    ----------
    sensor_size_ : tuple of int (width, height)
        Size of the sensor in pixels.
    window_ : tuple of int (start, stop) or None
        The window in microseconds, or None if each recording has its own.
    output_shape_ : tuple of int (n_bins, 2, height, width)
        Shape of the output for one recording: channel 0 for darker and 1 for brighter events. With
        ``kind="hats"`` the histograms lie side by side as the cells do, so that height and width
        are `surface_size` for each cell.

    Raises
    ------
    ValueError
        If an event lies off the sensor; the message names the recording.
    TypeError
        If `X` holds no recordings.

    Warns
    -----
    EventLossWarning
        If events lie outside a fixed window.

    See Also
    --------
    skspike.encoders.EventImageEncoder : The most recent time beside counts.

    Notes
    -----
    With ``kind="hots"``, after [1]_, a pixel whose last event was at :math:`t` has at the reading
    :math:`T` the value :math:`\\exp((t - T) / \\tau)`. An event counts until the next at its pixel
    and polarity; earlier bins of the window are remembered, what lies before it is not. tonic's
    ``ToTimesurface(dt)`` is the same at the ends of its windows: with ``split="time"`` and a window
    of `n_bins` times ``dt`` from the recording's first event.

    The paper reads the pixels around each event, learns features of these surfaces by clustering,
    and repeats that in layers, each with a larger radius and time constant. Here the whole sensor
    is read at the end of each bin, and nothing is learned: features are left to the network.

    With ``kind="hats"``, after [2]_, the surface of event :math:`i` is, for each offset :math:`z`,

    .. math:: T_i(z) = \\sum_j \\exp((t_j - t_i) / \\tau)

    over the events :math:`j` of the same polarity and cell, :math:`z` pixels away, with
    :math:`t_i - memory \\le t_j < t_i`. A histogram is the sum over the events of its bin, cell and
    polarity, divided by the number of events of its bin and cell, and 0 without any.

    `cell_size`, `surface_size` (a radius of 3 pixels) and `memory` are those for N-CARS, whose
    recordings take 100 ms. For these `tau` is 1e9 in the code of the authors' institute [3]_, so
    that a surface counts events, and 1e6 in that of Matrix-LSTM [4]_; the default forgets sooner.

    Public code differs in what it divides by. That of [4]_ takes the events of the cell, of either
    polarity, as the paper does; tonic takes those of the polarity. ``ToAveragedTimesurface`` of
    tonic is ``normalize="polarity"``, but counts each event into its own surface: it is larger by 1
    in the middle of every histogram that has an event. It also takes earlier events of the same
    time, keeps times in single precision, and has one bin.

    An empty recording gives zeros; one out of order is put in order of time first. The compiled
    kernel is used unless the configuration asks for ``backend="reference"``; both give the same
    up to the last digits of the exponential.

    References
    ----------
    .. [1] X. Lagorce et al., "HOTS: A Hierarchy of Event-Based Time-Surfaces for Pattern
       Recognition", IEEE Transactions on Pattern Analysis and Machine Intelligence, 2017.
    .. [2] A. Sironi et al., "HATS: Histograms of Averaged Time Surfaces for Robust Event-based
       Object Classification", CVPR 2018. https://arxiv.org/abs/1803.07913
    .. [3] S. Ieng and O. Oubari, Institut de la Vision, "hats.m", 2018.
       https://github.com/OOub/hummus
    .. [4] M. Cannici et al., "A Differentiable Recurrent Surface for Asynchronous Event-Based
       Data", ECCV 2020. https://github.com/marcocannici/matrixlstm

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import TimeSurfaceEncoder
    >>> X, y = make_moving_shapes(n_samples=5, sensor_size=(32, 24), random_state=0)
    >>> surfaces = TimeSurfaceEncoder(n_bins=4).fit_transform(X)
    >>> surfaces.shape
    (5, 4, 2, 24, 32)
    >>> hats = TimeSurfaceEncoder(n_bins=1, kind="hats", cell_size=8, surface_size=5)
    >>> hats.fit_transform(X).shape
    (5, 1, 2, 15, 20)
    """

    _parameter_constraints = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "kind": [StrOptions({"hots", "hats"})],
        "tau": [Interval(Real, 0, None, closed="neither")],
        "split": [StrOptions({"count", "time"})],
        "window": [StrOptions({"recording", "fit"}), "array-like"],
        "cell_size": [Interval(Integral, 1, None, closed="left")],
        "surface_size": [Interval(Integral, 1, None, closed="left")],
        "memory": [Interval(Integral, 1, 2**61, closed="both")],
        "normalize": [StrOptions({"cell", "polarity"})],
        "sensor_size": ["array-like", None],
        "dtype": [str, type, np.dtype],
        "n_jobs": [Integral, None],
    }
    _counts = False

    def __init__(
        self,
        n_bins=10,
        *,
        kind="hots",
        tau=50000.0,
        split="time",
        window="recording",
        cell_size=10,
        surface_size=7,
        memory=100000,
        normalize="cell",
        sensor_size=None,
        dtype="float32",
        n_jobs=None,
    ):
        self.n_bins = n_bins
        self.kind = kind
        self.tau = tau
        self.split = split
        self.window = window
        self.cell_size = cell_size
        self.surface_size = surface_size
        self.memory = memory
        self.normalize = normalize
        self.sensor_size = sensor_size
        self.dtype = dtype
        self.n_jobs = n_jobs

    def _plan(self) -> SurfacePlan | HatsPlan:
        """Return what decides the surfaces."""
        bins = Bins(self.n_bins, self.split == "time", self.window_)
        if self.kind == "hots":
            return SurfacePlan(bins, float(self.tau), self.sensor_size_)
        if self.surface_size % 2 == 0:
            raise ValueError(
                "The 'surface_size' parameter of TimeSurfaceEncoder must be odd. "
                f"Got {self.surface_size!r} instead."
            )
        return HatsPlan(
            bins=bins,
            tau=float(self.tau),
            memory=int(self.memory),
            cell_size=int(self.cell_size),
            surface_size=int(self.surface_size),
            of_polarity=self.normalize == "polarity",
            sensor_size=self.sensor_size_,
        )

    def _encode(self, events, plan):
        return (encode_surfaces if self.kind == "hots" else encode_hats)(events, plan)

    def _encode_fast(self, X, plan, out, lost, limit, n_threads):
        if self.kind == "hots":
            from ._time_surface_numba import encode_collection
        else:
            from ._hats_numba import encode_collection

        return encode_collection(X, plan, out, lost, n_threads)

    def _dtypes(self) -> tuple[list[str], str]:
        """Return the dtypes that hold fractions."""
        return list(FLOATS), ""
