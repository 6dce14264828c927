import io
import tarfile

import numpy as np
import pytest

from skspike.datasets import _lra as module
from skspike.datasets import fetch_lra
from tests.datasets.server import serving_arrays

LISTOPS = "( ( ( [MAX 2 ) 5 ) ] )"


def packed(members):
    """A compressed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            file.addfile(member, io.BytesIO(text if isinstance(text, bytes) else text.encode()))
    return buffer.getvalue()


def release(**others):
    """The layout of the release: a folder in a folder, with one for each task."""
    members = {
        f"basic_{s}.tsv": f"Source\tTarget\n{LISTOPS}\t5\n" for s in ("train", "val", "test")
    }
    members = {f"listops-1000/{name}": text for name, text in members.items()}
    for subset in ("train", "eval", "test"):
        members[f"tsv_data/new_aan_pairs.{subset}.tsv"] = "1.0\ta\tb\txy\tx\n0.0\ta\tc\tx\ty\n"
    return packed({f"lra_release/lra_release/{k}": v for k, v in (members | others).items()})


def test_tasks_share_an_archive_that_stays(tmp_path, monkeypatch):
    with serving_arrays(
        module, "_SOURCES", {"release": release()}, monkeypatch, "listops"
    ) as served:
        listops = fetch_lra(subset="valid", data_home=tmp_path, delay=0.0)
        X, y = fetch_lra(task="retrieval", data_home=tmp_path, return_X_y=True)
    assert listops.vocabulary[listops.data[0]].tolist() == ["[MAX", "2", "5", "]", "<eos>"]
    assert listops.target.tolist() == [5]
    assert "Long Range Arena" in listops.DESCR
    assert X.shape == (2, 2)
    assert [x.tolist() for x in X.ravel()] == [[3, 4, 2], [3, 2], [3, 2], [4, 2]]
    assert y.tolist() == [1, 0]
    assert len(served["release"].asked) == 1
    assert (tmp_path / "lra" / "lra_release.gz").exists()
    every = fetch_lra(task="retrieval", subset="all", data_home=tmp_path)
    assert every.data.shape == (6, 2)


def test_text_has_its_own_archive_and_nothing_to_validate(tmp_path, monkeypatch):
    members = {
        f"aclImdb/{s}/{c}/0_1.txt": "a" * 20 for s in ("train", "test") for c in ("neg", "pos")
    }
    members["aclImdb/train/unsup/0_0.txt"] = "b" * 99
    with serving_arrays(module, "_SOURCES", {"reviews": packed(members)}, monkeypatch, "text"):
        train = fetch_lra(task="text", data_home=tmp_path, delay=0.0)
    assert train.vocabulary.tolist() == ["<pad>", "<unk>", "<eos>", "a"]
    assert [len(x) for x in train.data] == [21, 21]
    assert not (tmp_path / "lra" / "aclImdb_v1.tar.gz").exists()
    with pytest.raises(ValueError, match=r"'subset' parameter of fetch_lra must be one of"):
        fetch_lra(task="text", subset="valid", data_home=tmp_path)


def test_pathfinder_unpacks_only_the_hardest_images_of_its_size(tmp_path, monkeypatch):
    Image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 32), 51, np.uint8)).save(buffer, "PNG")
    level = "pathfinder32/curv_contour_length_14"
    others = {f"{level}/imgs/0/sample_{i}.png": buffer.getvalue() for i in range(10)}
    others[f"{level}/metadata/0.npy"] = "".join(f"imgs/0 sample_{i}.png 0 1\n" for i in range(10))
    others["pathfinder64/curv_contour_length_14/imgs/0/sample_0.png"] = b"?"
    others["pathfinder32/curv_baseline/imgs/0/sample_0.png"] = b"?"
    content = {"release": release(**others)}
    with serving_arrays(module, "_SOURCES", content, monkeypatch, "pathfinder32"):
        train = fetch_lra(task="pathfinder32", data_home=tmp_path, delay=0.0)
    assert train.data.shape == (8, 1024, 1)
    np.testing.assert_allclose(train.data, 0.2, rtol=1e-6)
    assert train.target.tolist() == [1] * 8
    assert "pathfinder" not in train.DESCR
    assert "Pathfinder of 32 × 32 pixels" in train.DESCR
    source = module._SOURCES["pathfinder32"]
    wanted = [name for name in others if source.wanted(f"lra_release/{name}")]
    assert len(wanted) == 11


def test_every_task_has_its_part_and_address():
    sources = module._SOURCES.values()
    assert len({source.part for source in sources}) == len(module._SOURCES)
    for source in sources:
        (remote,) = source.archives.values()
        assert remote.url.startswith("https://")
        assert (remote.checksum is None) == source.keep


def test_wrong_parameters_raise(tmp_path):
    with pytest.raises(ValueError, match=r"'task' parameter of fetch_lra must be one of"):
        fetch_lra(task="image")
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_lra is False"):
        fetch_lra(data_home=tmp_path, download_if_missing=False)
