"""VoxelEncoder: events shared between the two bins nearest in time."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from .._sklearn import Interval, StrOptions
from ._base import FLOATS, EventEncoder
from ._voxel_reference import VoxelPlan, encode_recording


class VoxelEncoder(EventEncoder):
    """Turn recordings into voxel grids, bilinear in time.

    Bins are instants, from the first to the last of the window, and each event is shared between
    the two nearest in proportion to how near they are. What lies between two frames is thus not
    lost, as it is where events are only counted. No event is lost silently.

    Parameters
    ----------
    n_bins : int, default=10
        Number of instants, and so of images per recording.
    window : {"recording", "fit"} or tuple of int (start, stop), default="recording"
        Which events are used, in microseconds: those with ``start <= t < stop``. "recording" is
        the window of each recording by itself, from its first event to its last, both included;
        "fit" is the window of all events seen in fit, so that the bins of different recordings
        are aligned.
    polarity : {"signed", "separate", "merged"}, default="signed"
        Whether a brighter event adds 1 and a darker one -1 to the same channel, or both add 1: to
        a channel each, darker first, or to the same one.
    downsample : int, default=1
        Events of blocks of `downsample` × `downsample` pixels are added up. Blocks that reach over
        the sensor's right or lower edge are kept.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default that of the recordings seen in fit: an
        ``EventCollection`` knows it; of other input it is the smallest that holds all events, so
        that recordings seen later may not fit.
    dtype : {"float32", "float64"}, default="float32"
        Type of the grids, and of the sums in them.
    n_jobs : int, default=None
        Number of threads. ``None`` means 1 unless in a :obj:`joblib.parallel_backend` context.
        ``-1`` means all processors.

    Attributes
    ----------
    sensor_size_ : tuple of int (width, height)
        Size of the sensor in pixels.
    window_ : tuple of int (start, stop) or None
        The window in microseconds, or None if each recording has its own.
    output_shape_ : tuple of int (n_bins, n_channels, height, width)
        Shape of the grid of one recording.

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
    skspike.encoders.FrameEncoder : Counts each event in one bin.

    Notes
    -----
    As defined in [1]_, an event at :math:`t` lies at

    .. math:: t^* = (n_{bins} - 1) \\frac{t - t_{first}}{t_{last} - t_{first}},

    where the window is :math:`[t_{first}, t_{last} + 1)`, and bin :math:`b` gets the weight
    :math:`\\max(0, 1 - |b - t^*|)`. The weights of an event add up to 1: without a warning, a grid
    sums up to the number of its brighter minus that of its darker events with
    ``polarity="signed"``, and else to the number of its events, up to rounding. Events of equal
    times, and all events of a grid with one bin, belong to the first bin alone.

    tonic's ``ToVoxelGrid`` divides the same time into `n_bins` and not `n_bins` - 1 parts, and
    leaves out what belongs to the end of the last: it gives the first ``n`` images of
    ``VoxelEncoder(n + 1)``.

    An empty recording gives zeros; one out of order is put in order of time first. The compiled
    kernel is used unless the configuration asks for ``backend="reference"``; both give the same
    grids, whatever the number of threads.

    References
    ----------
    .. [1] A. Z. Zhu, L. Yuan, K. Chaney and K. Daniilidis, "Unsupervised Event-Based Learning of
       Optical Flow, Depth, and Egomotion", CVPR 2019.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import VoxelEncoder
    >>> X, y = make_moving_shapes(n_samples=5, sensor_size=(32, 24), random_state=0)
    >>> grids = VoxelEncoder(n_bins=4, polarity="separate").fit_transform(X)
    >>> grids.shape
    (5, 4, 2, 24, 32)
    >>> round(float(grids.sum()), 2) == X.n_events
    True
    """

    _parameter_constraints = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "window": [StrOptions({"recording", "fit"}), "array-like"],
        "polarity": [StrOptions({"signed", "separate", "merged"})],
        "downsample": [Interval(Integral, 1, None, closed="left")],
        "sensor_size": ["array-like", None],
        "dtype": [str, type, np.dtype],
        "n_jobs": [Integral, None],
    }
    _counts = False

    def __init__(
        self,
        n_bins=10,
        *,
        window="recording",
        polarity="signed",
        downsample=1,
        sensor_size=None,
        dtype="float32",
        n_jobs=None,
    ):
        self.n_bins = n_bins
        self.window = window
        self.polarity = polarity
        self.downsample = downsample
        self.sensor_size = sensor_size
        self.dtype = dtype
        self.n_jobs = n_jobs

    def _plan(self) -> VoxelPlan:
        """Return what decides the grids."""
        return VoxelPlan(
            n_bins=self.n_bins,
            window=self.window_,
            polarity=self.polarity,
            downsample=self.downsample,
            sensor_size=self.sensor_size_,
            dtype=self._check_dtype(),
        )

    def _encode(self, events, plan):
        return encode_recording(events, plan)

    def _encode_fast(self, X, plan, out, lost, limit, n_threads):
        from ._voxel_numba import encode_collection

        return encode_collection(X, plan, out, lost, n_threads)

    def _dtypes(self) -> tuple[list[str], str]:
        """Return the dtypes that hold parts of an event."""
        return list(FLOATS), ""

    def __event_claims__(self):
        """Say what the output can be held to."""
        sums = "signed_counts" if self.polarity == "signed" else "counts"
        return {sums} | super().__event_claims__()
