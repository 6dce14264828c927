import pytest

from skspike.datasets._torch_permutation import torch_permutation


@pytest.mark.parametrize(
    ("n", "seed"), [(0, 1), (1, 1), (2, 0), (10, 42), (3000, 42), (200_000, 7)]
)
def test_the_permutation_is_that_of_torch(n, seed):
    torch = pytest.importorskip("torch")
    expected = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    assert torch_permutation(n, seed).tolist() == expected.tolist()


def test_it_splits_as_torch_does():
    torch = pytest.importorskip("torch")
    parts = torch.utils.data.random_split(
        range(101), [81, 10, 10], generator=torch.Generator().manual_seed(42)
    )
    order = torch_permutation(101, 42).tolist()
    assert [i for part in parts for i in part.indices] == order
