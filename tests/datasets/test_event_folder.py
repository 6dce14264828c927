import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skspike import EventCollection, FrameEncoder
from skspike._events import EVENT_DTYPE
from skspike.datasets import load_event_folder, make_moving_shapes
from skspike.encoders import ToTabular
from skspike.exceptions import EventFormatError, EventLossWarning
from skspike.io import write_events


@pytest.fixture(scope="module")
def X():
    return make_moving_shapes(n_samples=6, sensor_size=(16, 12), random_state=0)[0]


@pytest.fixture
def root(tmp_path, X):
    """Six recordings of two classes, by three people, in files of two formats."""
    places = [
        "wave/ann/b.npz",
        "wave/ann/a.csv",
        "clap/bob/1.npz",
        "wave/cy/c.npz",
        "clap/ann/10.npz",
        "clap/ann/2.csv",
    ]
    for i, place in enumerate(places):
        put(X[[i]], tmp_path / place)
    return tmp_path


def put(X, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_events(X, path)


def table(root, text):
    (root / "labels.csv").write_text(text, encoding="utf-8")
    return root / "labels.csv"


ORDER = [4, 5, 2, 1, 0, 3]  # of the fixture's recordings, sorted by path
FILES = [
    "clap/ann/10.npz",
    "clap/ann/2.csv",
    "clap/bob/1.npz",
    "wave/ann/a.csv",
    "wave/ann/b.npz",
    "wave/cy/c.npz",
]


# Classes by folder -------------------------------------------------------------------------------


def test_sub_folders_are_classes_and_paths_give_the_order(root, X):
    loaded = load_event_folder(root)
    assert loaded.data == X[ORDER]
    assert loaded.target.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.target_names.tolist() == ["clap", "wave"]
    assert loaded.filenames.tolist() == FILES
    assert loaded.groups is None
    assert "6 recordings of 2 classes" in loaded.DESCR
    data, target = load_event_folder(str(root), return_X_y=True)
    assert data == loaded.data
    assert target.tolist() == loaded.target.tolist()


def test_groups_are_folders_or_what_a_function_says(root):
    by_folder = load_event_folder(root, groups="folder").groups
    assert by_folder.tolist() == ["ann", "ann", "bob", "ann", "ann", "cy"]
    lengths = load_event_folder(root, groups=lambda path: len(path.stem)).groups
    assert lengths.tolist() == [2, 1, 1, 1, 1, 1]
    assert isinstance(load_event_folder(root, groups=lambda path: path).groups[0], Path)


def test_what_is_hidden_or_beside_the_classes_is_left_alone(root, X):
    for name in (".DS_Store", "README.md", "wave/.hidden", ".git/config"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("no events")
    assert load_event_folder(root).data == X[ORDER]


def test_every_other_file_must_be_a_recording(root):
    (root / "wave" / "notes.md").write_text("no events")
    with pytest.raises(EventFormatError, match=r"wave/notes.md' is of no known event format"):
        load_event_folder(root)
    with pytest.raises(EventFormatError, match=r"wave/notes.md' is of no known event format"):
        load_event_folder(root, errors="salvage")


def test_folders_that_cannot_be_searched_raise(root):
    (root / "wave" / "again").symlink_to(root / "wave", target_is_directory=True)
    with pytest.raises(OSError, match="again"):
        load_event_folder(root)


def test_folders_may_be_linked(root, X):
    (root / "wave").rename(root / ".wave")
    (root / "wave").symlink_to(root / ".wave", target_is_directory=True)
    assert load_event_folder(root).data == X[ORDER]


def test_a_loaded_folder_goes_through_a_grouped_cross_validation(root):
    loaded = load_event_folder(root, groups="folder")
    model = make_pipeline(FrameEncoder(n_bins=1), ToTabular(), KNeighborsClassifier(1))
    cv = GroupKFold(3)
    scores = cross_val_score(model, loaded.data, loaded.target, groups=loaded.groups, cv=cv)
    assert len(scores) == 3


# Classes by table --------------------------------------------------------------------------------


def test_a_table_names_files_labels_and_groups(root, X):
    labels = table(root, 'path,label,group\n"wave/ann/b.npz",up,7\n clap/bob/1.npz , down,12\n')
    loaded = load_event_folder(root, labels=labels)
    assert loaded.data == X[[0, 2]]
    assert loaded.target.tolist() == ["up", "down"]
    assert loaded.target_names.tolist() == ["down", "up"]
    assert loaded.groups.tolist() == [7, 12]
    assert loaded.filenames.tolist() == ["wave/ann/b.npz", "clap/bob/1.npz"]
    by_folder = load_event_folder(root, labels=str(labels), groups="folder").groups
    assert by_folder.tolist() == ["wave/ann", "clap/bob"]


@pytest.mark.parametrize(
    ("labels", "target"),
    [(["1", "-3"], [1, -3]), (["1", "03"], ["1", "03"]), (["1", "2.5"], ["1", "2.5"])],
)
def test_labels_that_are_whole_numbers_become_ints(root, labels, target):
    text = f"label,path\n{labels[0]},wave/ann/b.npz\n{labels[1]},wave/cy/c.npz\n"
    loaded = load_event_folder(root, labels=table(root, text))
    assert loaded.target.tolist() == target
    assert loaded.target_names.tolist() == [str(label) for label in sorted(target)]
    assert loaded.groups is None


def test_tables_of_spreadsheets_are_read(root, X):
    text = "\ufeffpath,label,comment\r\nwave/ann/b.npz,é,good\r\n\r\n"
    loaded = load_event_folder(root, labels=table(root, text))
    assert loaded.target.tolist() == ["é"]
    assert loaded.data == X[[0]]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", ValueError, r"must have the columns path and label, .* Got \[\] instead"),
        ("a.npz,1\n", ValueError, r"must have the columns .* Got \['a.npz', '1'\] instead"),
        ("path,label\n", ValueError, "must name a file. Got none"),
        ("path,label\nwave/cy/c.npz,\n", ValueError, "Line 2 of .* Got none for label instead"),
        ("path,label\nwave/cy/c.npz\n", ValueError, "Line 2 of .* Got none for label instead"),
        ("path,label\nwave/cy/c.npz,1,2\n", ValueError, "Line 2 of .* Got 1 more instead"),
        ("path,label\nwave/cy/d.npz,1\n", FileNotFoundError, "Line 2 .*/d.npz', which is none"),
        ('path,label\n"a"b,1\n', ValueError, "must be a CSV file in UTF-8. Got: "),
    ],
)
def test_tables_that_cannot_be_used_raise(root, text, error, message):
    with pytest.raises(error, match=message):
        load_event_folder(root, labels=table(root, text))


def test_tables_of_another_encoding_raise(root):
    (root / "labels.csv").write_bytes("path,label\nwave/cy/c.npz,é\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"must be a CSV file in UTF-8. Got: 'utf-8' codec"):
        load_event_folder(root, labels=root / "labels.csv")
    with pytest.raises(FileNotFoundError, match=r"none.csv"):
        load_event_folder(root, labels=root / "none.csv")


# Files -------------------------------------------------------------------------------------------


def test_the_sensor_size_is_stated_or_given(root):
    assert load_event_folder(root).data.sensor_size == (16, 12)
    assert load_event_folder(root, sensor_size=(20, 20)).data.sensor_size == (20, 20)
    with pytest.raises(EventFormatError, match=r"clap/ann/10.npz' is damaged"):
        load_event_folder(root, sensor_size=(4, 4))


def test_damaged_files_are_named_or_salvaged(root):
    content = bytes([10, 30, 0x80, 0x02, 0x8E, 16, 26, 0x00, 0x06, 0xB2])
    (root / "wave" / "d.bin").write_bytes(content[:-2])  # N-MNIST: five bytes an event
    with pytest.raises(EventFormatError, match=r"wave/d.bin' is damaged at byte 5"):
        load_event_folder(root, sensor_size=(34, 34))
    with pytest.warns(EventLossWarning, match=r"d.bin"):
        loaded = load_event_folder(root, sensor_size=(34, 34), errors="salvage")
    assert loaded.filenames[-1] == "wave/d.bin"
    assert loaded.data[6]["t"].tolist() == [654]


def test_a_format_can_be_named(tmp_path):
    (tmp_path / "five").mkdir()
    (tmp_path / "five" / "recording").write_bytes(bytes([10, 30, 0x80, 0x02, 0x8E]))
    with pytest.raises(EventFormatError, match=r"five/recording' is of no known event format"):
        load_event_folder(tmp_path)
    assert load_event_folder(tmp_path, format="nmnist").data[0]["t"].tolist() == [654]


def test_files_hold_one_recording_each(root, X):
    put(X[:2], root / "wave" / "two.npz")
    with pytest.raises(ValueError, match=r"two.npz' of load_event_folder must hold one .* Got 2"):
        load_event_folder(root)


def test_empty_recordings_stay(root):
    empty = EventCollection([np.empty(0, EVENT_DTYPE)], sensor_size=(16, 12))
    put(empty, root / "wave" / "zero.npz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_event_folder(root).data.lengths[-1] == 0


# Wrong use ---------------------------------------------------------------------------------------


def test_nothing_to_load_raises(tmp_path):
    (tmp_path / "lonely.npz").write_text("beside the classes")
    (tmp_path / "class").mkdir()
    with pytest.raises(ValueError, match="must hold a sub-folder of recordings for each class, or"):
        load_event_folder(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"root": "/nowhere/at/all"}, FileNotFoundError, "'root' .* must be a folder. Got '/nowh"),
        ({"errors": "ignore"}, ValueError, "'errors' parameter of load_event_folder must be one"),
        ({"groups": "file"}, ValueError, "'groups' parameter of load_event_folder must be one of"),
        ({"format": "gif"}, ValueError, "'format' parameter of .* must be one of"),
        ({"sensor_size": (0, 5)}, ValueError, "'sensor_size' parameter of .* must be an int in"),
    ],
)
def test_wrong_parameters_raise(root, parameters, error, message):
    with pytest.raises(error, match=message):
        load_event_folder(**{"root": root, **parameters})
