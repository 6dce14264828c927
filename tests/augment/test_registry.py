from __future__ import annotations

import pytest

import skspike.augment
from skspike.augment import list_augmentations, make_augmentation


@pytest.mark.parametrize("name", list_augmentations())
def test_every_name_makes_an_augmentation_with_its_defaults(name):
    augmentation = make_augmentation(name)
    assert type(augmentation).__name__.lower() == name
    assert augmentation == type(augmentation)()
    augmentation.check((4, 2, 9, 8))


def test_every_class_without_a_list_of_others_has_a_name():
    classes = {n.lower() for n, v in vars(skspike.augment).items() if isinstance(v, type)}
    assert set(list_augmentations()) == classes - {"compose", "oneof"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "flop",
            r"^No augmentation is called 'flop' \(did you mean 'flip'\?\); there are cutmix, ",
        ),
        ("CutMix", r"'CutMix' \(did you mean 'cutmix'\?\)"),
        ("qqq", r"^No augmentation is called 'qqq'; there are cutmix, .*, timejitter\.$"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(name, message):
    with pytest.raises(ValueError, match=message):
        make_augmentation(name)
