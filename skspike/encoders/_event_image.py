"""EventImageEncoder: what happened at each pixel, and when it last did, as channels."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from .._sklearn import Interval, StrOptions
from ._base import FLOATS, LIMITS, EventEncoder
from ._bins import Bins
from ._event_image_reference import CHANNELS, ImagePlan, encode_recording


class EventImageEncoder(EventEncoder):
    """Turn recordings into images of counts, polarity and time.

    Parameters
    ----------
    n_bins : int, default=1
        Number of images per recording.
    channels : sequence of str, default=("darker", "brighter", "net", "time")
        What each channel of an image holds, of the events of a pixel: "darker", "brighter" and
        "count" the number of its darker, its brighter, and all its events; "net" the number of
        brighter minus that of darker ones; "time" how late in the bin the last one is, from 0
        excluded to 1, and 0 without any; "time_darker" and "time_brighter" the same for the last
        of a polarity.
    split : {"count", "time"}, default="count"
        How the events in the window are divided. With "count" into bins of equally many events:
        in order of time, event ``i`` of ``n`` falls in bin ``i * n_bins // n``. With "time" into
        bins of equal duration: an event at ``t`` in the window ``[start, stop)`` falls in bin
        ``(t - start) * n_bins // (stop - start)``.
    window : {"recording", "fit"} or tuple of int (start, stop), default="recording"
        Which events are used, in microseconds: those with ``start <= t < stop``. "recording" is
        the window of each recording by itself, from its first event to its last, both included;
        "fit" is the window of all events seen in fit, so that the bins of different recordings
        are aligned.
    downsample : int, default=1
        Blocks of `downsample` × `downsample` pixels become one. Blocks that reach over the
        sensor's right or lower edge are kept.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default that of the recordings seen in fit: an
        ``EventCollection`` knows it; of other input it is the smallest that holds all events, so
        that recordings seen later may not fit.
    dtype : {"float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", \
            "int64"}, default="float32"
        Type of the images. Times need a float and "net" a sign; counts too large are clipped,
        with a warning.
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
        Shape of the images of one recording.

    Raises
    ------
    ValueError
        If an event lies off the sensor; the message names the recording.
    TypeError
        If `X` holds no recordings.

    Warns
    -----
    EventLossWarning
        If events lie outside a fixed window, or counts are too large for the dtype.

    See Also
    --------
    skspike.encoders.TimeSurfaceEncoder : The most recent times, decaying.

    Notes
    -----
    The network of [1]_ reads the channels ``("brighter", "darker", "time_brighter",
    "time_darker")``. The time of an event in a bin of the microseconds ``begin`` to ``end - 1``
    is ``(t - begin + 1) / (end - begin)``, so that the last microsecond is 1 exactly. With
    ``split="time"`` these are the microseconds that fall in the bin, with ``split="count"`` those
    from its first event to its last.

    Without a warning, each event is counted once in the channels of its polarity, and "net" sums
    up to the number of brighter minus that of darker events. Of times, the last event of a pixel
    and bin remains.

    An empty recording gives zeros; one out of order is put in order of time first. The compiled
    kernel is used unless the configuration asks for ``backend="reference"``; both give the same
    images.

    References
    ----------
    .. [1] A. Z. Zhu, L. Yuan, K. Chaney and K. Daniilidis, "EV-FlowNet: Self-Supervised Optical
       Flow Estimation for Event-based Cameras", Robotics: Science and Systems 2018.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import EventImageEncoder
    >>> X, y = make_moving_shapes(n_samples=5, sensor_size=(32, 24), random_state=0)
    >>> images = EventImageEncoder().fit_transform(X)
    >>> images.shape
    (5, 1, 4, 24, 32)
    >>> bool(images[:, :, :2].sum() == X.n_events)
    True
    """

    _parameter_constraints = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "channels": ["array-like"],
        "split": [StrOptions({"count", "time"})],
        "window": [StrOptions({"recording", "fit"}), "array-like"],
        "downsample": [Interval(Integral, 1, None, closed="left")],
        "sensor_size": ["array-like", None],
        "dtype": [str, type, np.dtype],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_bins=1,
        *,
        channels=("darker", "brighter", "net", "time"),
        split="count",
        window="recording",
        downsample=1,
        sensor_size=None,
        dtype="float32",
        n_jobs=None,
    ):
        self.n_bins = n_bins
        self.channels = channels
        self.split = split
        self.window = window
        self.downsample = downsample
        self.sensor_size = sensor_size
        self.dtype = dtype
        self.n_jobs = n_jobs

    def _plan(self) -> ImagePlan:
        """Return what decides the images."""
        return ImagePlan(
            bins=Bins(self.n_bins, self.split == "time", self.window_),
            channels=self._check_channels(),
            downsample=self.downsample,
            sensor_size=self.sensor_size_,
        )

    def _encode(self, events, plan):
        return encode_recording(events, plan)

    def _encode_fast(self, X, plan, out, lost, limit, n_threads):
        from ._event_image_numba import encode_collection

        return encode_collection(X, plan, out, lost, limit, n_threads)

    def _check_channels(self) -> tuple[str, ...]:
        """Return the names of the channels, or raise."""
        names = tuple(map(str, self.channels))
        if not names or len(set(names)) < len(names) or not set(names) <= set(CHANNELS):
            raise ValueError(
                "The 'channels' parameter of EventImageEncoder must be a sequence of different "
                f"names among {sorted(CHANNELS)}. Got {self.channels!r} instead."
            )
        return names

    def _dtypes(self) -> tuple[list[str], str]:
        """Return the dtypes that can hold all channels."""
        names = self._check_channels()
        when = f" with channels={self.channels!r}"
        if any(name.startswith("time") for name in names):
            return list(FLOATS), when
        return [d for d in LIMITS if not ("net" in names and d.startswith("u"))], when

    def _channel_names(self) -> list[str]:
        """Return the names of the channels."""
        return list(self._check_channels())

    def __event_claims__(self):
        """Say what the output can be held to."""
        sums = {
            ("darker", "brighter"): {"counts"},
            ("count",): {"counts"},
            ("net",): {"signed_counts"},
        }
        return sums.get(self._check_channels(), set()) | super().__event_claims__()
