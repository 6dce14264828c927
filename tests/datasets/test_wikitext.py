import re

import numpy as np
import pytest

from skspike.datasets import _wikitext as module
from skspike.datasets import fetch_wikitext
from tests.datasets.server import serving_arrays, zipped

TEXTS = {
    "train": " \n = A title = \n the cat <unk> the café \n",
    "valid": " the dog \n \n",
    "test": " = cat =\n",
}


def archive(version):
    """The layout of WikiText: a folder with a file for each subset, words between spaces."""
    return zipped({f"wikitext-{version}/wiki.{s}.tokens": t.encode() for s, t in TEXTS.items()})


@pytest.mark.parametrize("version", ["2", "103"])
def test_words_are_numbered_by_frequency_and_lines_end(version, tmp_path, monkeypatch):
    with serving_arrays(module, "_SOURCES", {"tokens": archive(version)}, monkeypatch, version):
        text = fetch_wikitext(version=version, data_home=tmp_path, delay=0.0)
    words = ["<eos>", "=", "the", "A", "title", "cat", "<unk>", "café"]
    assert text.vocabulary.tolist() == words
    assert text.train.tolist() == [0, 1, 3, 4, 1, 0, 2, 5, 6, 2, 7, 0]
    assert text.vocabulary[text.valid].tolist() == ["the", "<unk>", "<eos>", "<eos>"]
    assert text.vocabulary[text.test].tolist() == ["=", "cat", "=", "<eos>"]
    assert text.train.dtype == np.int32
    assert f"WikiText-{version}" in text.DESCR


def test_unknown_versions_raise():
    with pytest.raises(ValueError, match=r"'version' parameter of fetch_wikitext must be one of"):
        fetch_wikitext(version="3")


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_wikitext is False"):
        fetch_wikitext(data_home=tmp_path, download_if_missing=False)


def test_the_addresses_can_be_told_apart():
    remotes = [source.archives["tokens"] for source in module._SOURCES.values()]
    for column in zip(*[(r.name, r.url, r.checksum) for r in remotes], strict=True):
        assert len({*column}) == 2
    assert all(re.fullmatch(r"md5:[0-9a-f]{32}", r.checksum) for r in remotes)
