import numpy as np

from skspike.datasets._characters import CharacterNumbers


def test_characters_are_numbered_by_frequency_then_by_code_point():
    numbers = CharacterNumbers(["banana", "bé"], max_length=10)
    assert numbers.vocabulary.tolist() == ["<pad>", "<unk>", "<eos>", "a", "b", "n", "é"]
    assert numbers("né").tolist() == [5, 6, 2]
    assert numbers("bx").tolist() == [4, 1, 2]
    assert numbers("").tolist() == [2]


def test_texts_are_cut_before_they_are_counted():
    numbers = CharacterNumbers(["aab", "cb"], max_length=3, min_count=2)
    assert numbers.vocabulary.tolist() == ["<pad>", "<unk>", "<eos>", "a"]
    assert numbers("aaab").tolist() == [3, 3, 2]
    assert [numbers.length(text) for text in ("", "a", "abcd")] == [1, 2, 3]


def test_the_type_has_room_for_the_vocabulary():
    few = CharacterNumbers(["ab"], 10)
    many = CharacterNumbers(["".join(map(chr, range(1000, 1300)))], 500)
    assert few("ab").dtype == np.uint8
    assert many("\u0513").dtype == np.uint16
    assert many.vocabulary[many("\u0513")].tolist() == ["\u0513", "<eos>"]
