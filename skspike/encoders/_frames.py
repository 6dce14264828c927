"""FrameEncoder: recordings to stacks of frames."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from .._event_columns import MAX_TIME
from .._sklearn import Interval, StrOptions
from ._base import LIMITS, EventEncoder
from ._bins import Bins
from ._frames_reference import FramePlan, encode_recording


class FrameEncoder(EventEncoder):
    """Turn recordings into stacks of frames.

    The events of a recording are divided into bins, and the events of a bin are added up pixel by
    pixel. No event is lost silently: with the defaults every event is counted once, and where a
    fixed window or a narrow dtype leaves some out, a warning says how many and why.

    Parameters
    ----------
    n_bins : int, default=10
        Number of steps per recording: of frames, unless `frames_per_step` stacks several.
    split : {"count", "time"}, default="count"
        How the events in the window are divided. With "count" into bins of equally many events:
        in order of time, event ``i`` of ``n`` falls in bin ``i * n_bins // n``, so that bin sizes
        differ by one at most. With "time" into bins of equal duration: an event at ``t`` in the
        window ``[start, stop)`` falls in bin ``(t - start) * n_bins // (stop - start)``.
    window : {"recording", "fit"} or tuple of int (start, stop), default="recording"
        Which events are used, in microseconds: those with ``start <= t < stop``. "recording" is
        the window of each recording by itself, from its first event to its last, both included;
        "fit" is the window of all events seen in fit, so that the bins of different recordings
        are aligned.
    bin_size : int, default=None
        Size of a frame, in events with ``split="count"`` and in microseconds with
        ``split="time"``. By default all frames together are as large as the window.
    keep : {"last", "first"}, default="last"
        With a `bin_size`, whether the bins are counted back from the end of the window, or on from
        its start. Events that they do not reach are left out, with a warning; bins that reach
        over the window are empty.
    frames_per_step : int, default=1
        Number of frames that a step is divided into. They are stacked as channels, in order of
        time and each with its polarities.
    values : {"counts", "binary", "signed", "sign", "last"}, default="counts"
        What a pixel holds: the number of its events, whether it has any (0 or 1), the number of
        its brighter events minus that of its darker ones, the sign of this difference (-1, 0 or
        1), or the polarity of its last event (-1 or 1, and 0 where there is none).
    polarity : {"separate", "merged"}, default="separate"
        Whether darker (channel 0) and brighter (channel 1) events have a channel each or share
        one. With ``values="signed"``, ``"sign"`` or ``"last"`` they always share one.
    downsample : int, default=1
        Events of blocks of `downsample` × `downsample` pixels are added up. Blocks that reach over
        the sensor's right or lower edge are kept.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default that of the recordings seen in fit: an
        ``EventCollection`` knows it; of other input it is the smallest that holds all events, so
        that recordings seen later may not fit.
    dtype : {"float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", \
            "int64"}, default="float32"
        Type of the frames. Counts too large for it are clipped, with a warning.
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
        Shape of the frames of one recording.

    Raises
    ------
    ValueError
        If an event lies off the sensor; the message names the recording.
    TypeError
        If `X` holds no recordings.

    Warns
    -----
    EventLossWarning
        If events lie outside a fixed window or beyond bins of a given size, or counts are too
        large for the dtype.

    See Also
    --------
    skspike.EventCollection : Many recordings as one ``X``.
    skspike.encoders.VoxelEncoder : Shares each event between two bins.

    Notes
    -----
    An empty recording gives zeros. A single event, and events of equal times, fall in bins as the
    formulas say. Recordings out of order are put in order of time first (equal times keep their
    order), which takes longer; the input itself is never changed.

    Recordings have no fixed number of features, so that, as with scikit-learn's text vectorizers,
    there is no ``n_features_in_``. The frames have five dimensions and cannot become a table:
    ``set_output`` is accepted and changes nothing.

    Without a warning, the frames of ``values="counts"`` sum up to the number of events.

    Stacking by time as in [1]_, where a step is three frames of 20 ms and the last frame ends at
    the recording's end, is ``FrameEncoder(3, split="time", bin_size=20_000, frames_per_step=3,
    values="sign", dtype="int8")``; its encoding of single objects is ``FrameEncoder(10,
    split="time", bin_size=10_000, keep="first", values="last", dtype="int8")``, except that short
    recordings end in empty frames, where [1]_ repeats the last. Stacking by number is
    ``split="count"`` with a `bin_size`.

    The compiled kernel reads every event once and is used unless the configuration asks for
    ``backend="reference"``; both give the same frames.

    References
    ----------
    .. [1] H. Zhang et al., "Automotive Object Detection via Learning Sparse Events by Spiking
       Neurons", IEEE Transactions on Cognitive and Developmental Systems, 2024.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import FrameEncoder
    >>> X, y = make_moving_shapes(n_samples=5, sensor_size=(32, 24), random_state=0)
    >>> frames = FrameEncoder(n_bins=4).fit_transform(X)
    >>> frames.shape
    (5, 4, 2, 24, 32)
    >>> bool(frames.sum() == X.n_events)
    True
    """

    _parameter_constraints = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "split": [StrOptions({"count", "time"})],
        "window": [StrOptions({"recording", "fit"}), "array-like"],
        "bin_size": [Interval(Integral, 1, None, closed="left"), None],
        "keep": [StrOptions({"last", "first"})],
        "frames_per_step": [Interval(Integral, 1, None, closed="left")],
        "values": [StrOptions({"counts", "binary", "signed", "sign", "last"})],
        "polarity": [StrOptions({"separate", "merged"})],
        "downsample": [Interval(Integral, 1, None, closed="left")],
        "sensor_size": ["array-like", None],
        "dtype": [str, type, np.dtype],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_bins=10,
        *,
        split="count",
        window="recording",
        bin_size=None,
        keep="last",
        frames_per_step=1,
        values="counts",
        polarity="separate",
        downsample=1,
        sensor_size=None,
        dtype="float32",
        n_jobs=None,
    ):
        self.n_bins = n_bins
        self.split = split
        self.window = window
        self.bin_size = bin_size
        self.keep = keep
        self.frames_per_step = frames_per_step
        self.values = values
        self.polarity = polarity
        self.downsample = downsample
        self.sensor_size = sensor_size
        self.dtype = dtype
        self.n_jobs = n_jobs

    def _plan(self) -> FramePlan:
        """Return what decides the frames."""
        n_frames = self.n_bins * self.frames_per_step
        if self.bin_size is not None and n_frames * self.bin_size > MAX_TIME:
            raise ValueError(
                "The 'bin_size' parameter of FrameEncoder must be at most 2**61 for all bins "
                f"together. Got {self.bin_size!r} for {n_frames} bins instead."
            )
        bins = Bins(
            n=n_frames,
            by_time=self.split == "time",
            window=self.window_,
            size=self.bin_size,
            keep_last=self.keep == "last",
        )
        return FramePlan(
            bins=bins,
            frames_per_step=self.frames_per_step,
            values=self.values,
            n_polarities=2 if self.polarity == "separate" and not self._has_signs() else 1,
            downsample=self.downsample,
            sensor_size=self.sensor_size_,
        )

    def _encode(self, events, plan):
        return encode_recording(events, plan)

    def _encode_fast(self, X, plan, out, lost, limit, n_threads):
        from ._frames_numba import encode_collection

        return encode_collection(X, plan, out, lost, limit, n_threads)

    def _has_signs(self) -> bool:
        """Tell whether values can be negative, and polarities share a channel."""
        return self.values in ("signed", "sign", "last")

    def _dtypes(self) -> tuple[list[str], str]:
        """Return the dtypes that can hold the values."""
        choices = [name for name in LIMITS if not (self._has_signs() and name.startswith("u"))]
        return choices, f" with values={self.values!r}"

    def _capacity(self) -> str:
        """Say how much the bins hold."""
        what = "µs" if self.split == "time" else "events"
        n_frames = self.n_bins * self.frames_per_step
        return f"{n_frames} bins of {self.bin_size} {what} hold no more."

    def __event_claims__(self):
        """Say what the output can be held to."""
        sums = {"counts": {"counts"}, "signed": {"signed_counts"}}
        return sums.get(self.values, set()) | super().__event_claims__()

    def _channel_names(self) -> list[str]:
        """Return a name for each channel: its polarity, after its frame where there are several."""
        n_polarities = self.output_shape_[1] // self.frames_per_step
        polarities = [f"p{polarity}" for polarity in range(n_polarities)]
        if self.frames_per_step == 1:
            return polarities
        return [f"f{frame}_{name}" for frame in range(self.frames_per_step) for name in polarities]
