import builtins

import numpy as np
import pytest

from skspike.datasets._fetch_arrays import Store, load_arrays
from skspike.datasets._lra_pathfinder import convert_pathfinder
from skspike.exceptions import DownloadError

SIZE, N = 4, 23


def image_of(i):
    return np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE) + 10 * i


@pytest.fixture
def folder(tmp_path):
    """The layout of Pathfinder: images, and lists of up to ten of them."""
    Image = pytest.importorskip("PIL.Image")
    level = tmp_path / "files" / "pathfinder4" / "curv_contour_length_14"
    for i in range(N):
        path = level / "imgs" / str(i // 10) / f"sample_{i % 10}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image_of(i)).save(path)
        lists = level / "metadata" / f"{10 - i // 10}.npy"  # the last images are listed first
        lists.parent.mkdir(exist_ok=True)
        with open(lists, "a") as file:
            file.write(f"imgs/{i // 10} sample_{i % 10}.png 0 {i % 2} 1.5 0.0\n")
    return tmp_path / "files"


def test_images_are_split_as_torch_does(folder, tmp_path):
    torch = pytest.importorskip("torch")
    convert_pathfinder({"release": folder}, Store(tmp_path / "arrays"), SIZE)
    listed = [*range(20, 23), *range(10, 20), *range(10)]
    order = torch.randperm(N, generator=torch.Generator().manual_seed(42)).tolist()
    expected = [listed[i] for i in order]
    for subset, rows in (
        ("train", expected[:19]),
        ("valid", expected[19:21]),
        ("test", expected[21:]),
    ):
        loaded = load_arrays(tmp_path / "arrays" / subset)
        assert loaded["target"].tolist() == [i % 2 for i in rows]
        assert loaded["filenames"].tolist() == [f"imgs/{i // 10}/sample_{i % 10}.png" for i in rows]
        pixels = np.stack([image_of(i) for i in rows]).reshape(-1, SIZE * SIZE, 1)
        np.testing.assert_allclose(loaded["data"], pixels / 255, rtol=1e-6)
        assert loaded["data"].dtype == np.float32
    assert loaded["target_names"].tolist() == ["apart", "connected"]


def test_images_of_another_size_raise(folder, tmp_path):
    with pytest.raises(DownloadError, match=r"must be an image of 5 × 5 pixels. Got \(4, 4\)"):
        convert_pathfinder({"release": folder}, Store(tmp_path / "arrays"), 5)


def test_without_pillow_it_says_what_to_install(tmp_path, monkeypatch):
    def without(name, *args, **kwargs):
        if name == "PIL":
            raise ImportError(name)
        return imports(name, *args, **kwargs)

    imports = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"needs Pillow: pip install \"skspike\[io\]\""):
        convert_pathfinder({"release": tmp_path}, Store(tmp_path), SIZE)
