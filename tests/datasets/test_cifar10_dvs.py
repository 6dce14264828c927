import pytest

from skspike.datasets import _cifar10_dvs as module
from skspike.datasets import fetch_cifar10_dvs
from tests.datasets.server import check_addresses, serving_source, zipped
from tests.io import encoders

pytest.importorskip("lz4")


def test_the_layout_of_the_archive(tmp_path, monkeypatch):
    events = {name: encoders.some_events(seed=i) for i, name in enumerate(["bird", "airplane"])}
    members = {
        f"{name}.zip": zipped({f"{name}/cifar10_{name}_0.aedat4": bytes(encoders.aedat4(e).data)})
        for name, e in events.items()
    }
    with serving_source(module, "_SOURCE", {"all": zipped(members)}, monkeypatch):
        loaded = fetch_cifar10_dvs(data_home=tmp_path, delay=0.0)
        X, y = fetch_cifar10_dvs(data_home=tmp_path, return_X_y=True)
    assert loaded.target_names.tolist() == ["airplane", "bird"]
    assert loaded.target.tolist() == y.tolist() == [0, 1]
    assert [name.rpartition("/")[2] for name in loaded.filenames] == [
        "cifar10_airplane_0.aedat4",
        "cifar10_bird_0.aedat4",
    ]
    assert loaded.data == X
    assert X.sensor_size == (128, 128)
    for recording, name in zip(X, ["airplane", "bird"], strict=True):
        assert recording.tolist() == events[name].tolist()
    assert "CIFAR10" in loaded.DESCR


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_cifar10_dvs is False"):
        fetch_cifar10_dvs(data_home=tmp_path, download_if_missing=False)


def test_the_address_is_one():
    check_addresses(module._SOURCE)
    assert [*module._SOURCE.archives] == ["all"]
