import numpy as np
import pytest

from skspike import EventCollection
from skspike.datasets._cache import join_caches, open_cache, scratch_folder, write_cache
from tests.io.encoders import some_events


def collection(*seeds):
    return EventCollection([some_events(n=5, seed=k) for k in seeds], sensor_size=(34, 30))


def test_parts_come_back_one_after_the_other(tmp_path):
    labels = {"target": np.array([1, 0, 1]), "target_names": np.array(["a", "b"])}
    write_cache(tmp_path / "x", [collection(0, 1), collection(2)], labels)
    data, found = open_cache(tmp_path / "x")
    assert data == collection(0, 1, 2)
    assert {name: column.tolist() for name, column in found.items()} == {
        "target": [1, 0, 1],
        "target_names": ["a", "b"],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_joined_classes_keep_their_order_if_they_are_the_same_and_else_are_sorted(tmp_path):
    names = {"x": ["b", "a"], "y": ["b", "a"], "z": ["a", "c", "b"]}
    for k, (folder, classes) in enumerate(names.items()):
        labels = {"target": np.arange(len(classes)), "target_names": np.array(classes)}
        write_cache(tmp_path / folder, [collection(*range(k, k + len(classes)))], labels)
    join_caches([tmp_path / "x", tmp_path / "y"], tmp_path / "xy")
    data, labels = open_cache(tmp_path / "xy")
    assert data == collection(0, 1, 1, 2)
    assert labels["target"].tolist() == [0, 1, 0, 1]
    assert labels["target_names"].tolist() == ["b", "a"]
    join_caches([tmp_path / "x", tmp_path / "z"], tmp_path / "xz")
    labels = open_cache(tmp_path / "xz")[1]
    assert labels["target_names"][labels["target"]].tolist() == ["b", "a", "a", "c", "b"]
    assert labels["target_names"].tolist() == ["a", "b", "c"]


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    class Failing(list):
        def __iter__(self):
            raise KeyError

    with pytest.raises(KeyError):
        write_cache(tmp_path / "x", Failing([collection(0)]), {})
    assert [*tmp_path.iterdir()] == []


def test_a_scratch_folder_is_empty_and_does_not_stay(tmp_path):
    (tmp_path / ".x" / "left").mkdir(parents=True)
    with scratch_folder(tmp_path / "x") as scratch:
        assert [*scratch.iterdir()] == []
        (scratch / "y").mkdir()
    assert [*tmp_path.iterdir()] == []
