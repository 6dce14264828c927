import numpy as np
import pytest

from skspike.datasets._fetch_arrays import Store, load_arrays
from skspike.datasets._lra_text import convert_listops, convert_retrieval, convert_text


def write(folder, members):
    for name, text in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return {"release": folder, "reviews": folder}


@pytest.fixture
def load(tmp_path):
    """Convert files, and return the arrays of a subset."""

    def load(convert, members, subset):
        convert(write(tmp_path / "files", members), Store(tmp_path / "arrays"))
        return load_arrays(tmp_path / "arrays" / subset)

    return load


def test_listops_loses_its_parentheses(load):
    source = "( ( ( [MAX 2 ) ( ( ( [SM 7 ) 8 ) ] ) ) ] )"
    rows = {"train": f"{source}\t5\r\n", "val": "( ( ( [MIN 1 ) 0 ) ] )\t0\n", "test": ""}
    members = {
        f"listops-1000/basic_{name}.tsv": "Source\tTarget\n" + (row or rows["val"])
        for name, row in rows.items()
    }
    train = load(convert_listops, members, "train")
    tokens = train["vocabulary"][train["data"][0]]
    assert tokens.tolist() == ["[MAX", "2", "[SM", "7", "8", "]", "]", "<eos>"]
    assert train["data"][0].dtype == np.uint8
    assert train["target"].tolist() == [5]
    assert len(train["vocabulary"]) == 18
    valid = load(convert_listops, members, "valid")
    assert valid["target"].tolist() == [0]


def test_text_is_characters_that_come_often_enough(load):
    members = {
        "aclImdb/train/neg/0_2.txt": "ab" * 10,
        "aclImdb/train/pos/1_9.txt": "a" * 5000,
        "aclImdb/train/pos/0_8.txt": "b" * 9 + "c" * 14,
        "aclImdb/test/neg/5_1.txt": "bca",
        "aclImdb/test/pos/5_7.txt": "a",
    }
    train = load(convert_text, members, "train")
    assert train["vocabulary"].tolist() == ["<pad>", "<unk>", "<eos>", "a", "b"]
    assert train["target"].tolist() == [0, 1, 1]
    assert [len(x) for x in train["data"]] == [21, 24, 4096]
    test = load(convert_text, members, "test")
    assert [x.tolist() for x in test["data"]] == [[4, 1, 3, 2], [3, 2]]
    assert test["vocabulary"].tolist() == train["vocabulary"].tolist()
    assert test["target_names"].tolist() == ["neg", "pos"]


def test_retrieval_is_pairs_of_texts_as_they_stand_in_the_table(load):
    rows = {
        "train": "1.0\tP1\tP2\tb'aab'\tb\"a\"\n0.0\tP3\tP4\t" + "a" * 9000 + "\tb\n",
        "eval": "0.0\tP5\tP6\ta\tz\n",
        "test": "1.0\tP5\tP6\tb\ta\n",
    }
    members = {f"tsv_data/new_aan_pairs.{name}.tsv": text for name, text in rows.items()}
    train = load(convert_retrieval, members, "train")
    words = ["".join(train["vocabulary"][x][:-1]) for x in train["data"]]
    assert words == ["b'aab'", 'b"a"', "a" * 3999, "b"]
    assert [len(x) for x in train["data"]] == [7, 5, 4000, 2]
    assert train["target"].tolist() == [1, 0]
    assert train["vocabulary"].tolist() == ["<pad>", "<unk>", "<eos>", "a", "b", '"', "'"]
    valid = load(convert_retrieval, members, "valid")
    assert [x.tolist() for x in valid["data"]] == [[3, 2], [1, 2]]
    assert train["target_names"].tolist() == ["unrelated", "related"]
