"""The loop over the bytes of an Event Stream: the specification, and the template of its twin."""

from __future__ import annotations


def decode_bytes(data, t, size, special, overflow, shift, width, height, events, places):
    """Decode whole events; return how many, how many bytes were used, and the time reached.

    A first byte from `special` on is a reset (of a decoder that lost its place) or that many
    overflows. Otherwise it holds the time since the last event above `shift` bits: none (of an
    event with a color), the polarity, or polarity and a flag. With the flag it is half of a
    measurement of brightness, which is no event; off the sensor it is taken for one, so that the
    damage is noticed. Then come x and y, of two bytes each.
    """
    n = 0
    at = 0
    while at < len(data):
        first = int(data[at])
        if first >= special:
            t += (first - special) * overflow
            at += 1
            continue
        if at + size > len(data):
            break
        t += first >> shift
        x = int(data[at + 1]) | int(data[at + 2]) << 8
        y = int(data[at + 3]) | int(data[at + 4]) << 8
        if shift < 2 or first & 1 == 0 or x >= width or y >= height:
            events[n]["t"] = t
            # To int16: what is too large becomes negative, which is off the sensor too.
            events[n]["x"] = (x ^ 0x8000) - 0x8000
            events[n]["y"] = (y ^ 0x8000) - 0x8000
            events[n]["p"] = shift == 0 or (first >> (shift - 1)) & 1 == 1
            places[n] = at
            n += 1
        at += size
    return n, at, t
