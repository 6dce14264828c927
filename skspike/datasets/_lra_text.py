"""Convert the tasks of the Long Range Arena that are made of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from ._characters import CharacterNumbers
from ._fetch_arrays import Store, find_member
from ._listops import VOCABULARY

_RETRIEVAL = {"train": "train", "valid": "eval", "test": "test"}
_LISTOPS = {"train": "train", "valid": "val", "test": "test"}
_TEXT_LENGTH, _TEXT_COUNT = 4096, 15  # characters of a review; how often one must come to count
_RETRIEVAL_LENGTH = 4000  # characters of a paper
_WITHOUT_PARENTHESES = str.maketrans("", "", "()")


def convert_listops(folders: dict[str, Path], store: Store) -> None:
    """Convert tables of expressions and values, with a line of titles."""
    numbers = {token: np.uint8(i) for i, token in enumerate(VOCABULARY)}
    for subset, name in _LISTOPS.items():
        path = find_member(folders["release"], f"basic_{name}.tsv")
        sequences, values = [], []
        for source, value in islice(_read_table(path), 1, None):
            sequences.append(np.array([numbers[token] for token in _split_listops(source)]))
            values.append(int(value))
        store.save(
            subset,
            data=np.concatenate(sequences),
            offsets=np.cumsum([0, *map(len, sequences)]),
            target=np.array(values),
            target_names=np.arange(10).astype(str),
            vocabulary=np.array(VOCABULARY),
        )


def _split_listops(source: str) -> list[str]:
    """Return the tokens of an expression, whose parentheses only repeat its brackets."""
    return [*source.translate(_WITHOUT_PARENTHESES).split(), "<eos>"]


def _read_table(path: Path) -> Iterator[list[str]]:
    """Yield the cells of each line."""
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\r\n").split("\t")


def convert_text(folders: dict[str, Path], store: Store) -> None:
    """Convert folders of reviews, one for each opinion."""
    classes = ("neg", "pos")
    folder = find_member(folders["reviews"], "train/neg").parents[1]
    numbers = None
    for subset in ("train", "test"):
        paths = [p for name in classes for p in sorted((folder / subset / name).glob("*.txt"))]
        read = partial(_read_reviews, paths)
        numbers = numbers or CharacterNumbers(read(), _TEXT_LENGTH, _TEXT_COUNT)
        _write_texts(store, subset, read, numbers)
        target = np.array([classes.index(path.parent.name) for path in paths])
        store.save(subset, target=target, target_names=np.array(classes))


def _read_reviews(paths: list[Path]) -> Iterator[str]:
    """Yield the contents of files."""
    for path in paths:
        yield path.read_text(encoding="utf-8")


def convert_retrieval(folders: dict[str, Path], store: Store) -> None:
    """Convert tables of pairs of papers: a label, two names and two texts."""
    numbers = None
    for subset, name in _RETRIEVAL.items():
        path = find_member(folders["release"], f"new_aan_pairs.{name}.tsv")
        read = partial(_read_papers, path)
        numbers = numbers or CharacterNumbers(read(), _RETRIEVAL_LENGTH)
        _write_texts(store, subset, read, numbers)
        target = np.array([int(float(row[0])) for row in _read_table(path)])
        store.save(subset, target=target, target_names=np.array(["unrelated", "related"]))


def _read_papers(path: Path) -> Iterator[str]:
    """Yield the two texts of each pair."""
    for _, _, _, first, second in _read_table(path):
        yield first
        yield second


def _write_texts(
    store: Store, subset: str, read: Callable[[], Iterable[str]], numbers: CharacterNumbers
) -> None:
    """Write texts as numbers of characters, one at a time: all may not fit in memory."""
    offsets = np.cumsum([0, *map(numbers.length, read())])
    data = store.create(subset, "data", (int(offsets[-1]),), numbers.dtype)
    for i, text in enumerate(read()):
        data[offsets[i] : offsets[i + 1]] = numbers(text)
    store.save(subset, offsets=offsets, vocabulary=numbers.vocabulary)
