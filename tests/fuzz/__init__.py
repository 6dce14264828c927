"""Damaged files by the ten thousand: readers never crash, hang or lose events silently."""
