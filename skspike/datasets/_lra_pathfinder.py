"""Convert the images of Pathfinder, of the Long Range Arena."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..exceptions import DownloadError
from ._fetch_arrays import Store, find_member
from ._torch_permutation import torch_permutation

LEVEL = "curv_contour_length_14"  # the hardest of three, which the published results are of
_SPLIT_SEED = 42


def convert_pathfinder(folders: dict[str, Path], store: Store, size: int) -> None:
    """Convert a folder of images, and lists of them and of their classes."""
    open_image = _find_decoder()
    folder = find_member(folders["release"], LEVEL)
    images = _read_lists(folder)
    order = torch_permutation(len(images), _SPLIT_SEED)
    n_held = len(images) // 10
    bounds = [0, len(images) - 2 * n_held, len(images) - n_held, len(images)]
    for k, subset in enumerate(("train", "valid", "test")):
        chosen = [images[i] for i in order[bounds[k] : bounds[k + 1]]]
        data = store.create(subset, "data", (len(chosen), size * size, 1), np.float32)
        for row, (name, _) in zip(data, chosen, strict=True):
            row[:, 0] = _read_image(open_image, folder / name, size)
        store.save(
            subset,
            target=np.array([label for _, label in chosen], np.int64),
            target_names=np.array(["apart", "connected"]),
            filenames=np.array([name for name, _ in chosen]),
        )


def _find_decoder():
    """Return the function of Pillow that opens an image."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            'Reading the images of Pathfinder needs Pillow: pip install "skspike[io]".'
        ) from None
    return Image.open


def _read_lists(folder: Path) -> list[tuple[str, int]]:
    """Return the name and the class of each image: columns 0, 1 and 3 of texts named ``.npy``."""
    images = []
    for path in sorted(folder.glob("metadata/*.npy"), key=lambda path: int(path.stem)):
        for line in path.read_text().splitlines():
            cells = line.split()
            images.append((f"{cells[0]}/{cells[1]}", int(cells[3])))
    return images


def _read_image(open_image, path: Path, size: int) -> np.ndarray:
    """Return the pixels of an image row by row, from 0 to 1."""
    with open_image(path) as image:
        pixels = np.asarray(image.convert("L"))
    if pixels.shape != (size, size):
        raise DownloadError(
            f"{path.name!r} must be an image of {size} × {size} pixels. Got {pixels.shape} instead."
        )
    return pixels.ravel() / np.float32(255)
