"""Splits are balanced, disjoint and repeatable; statistics are exact; pictures change as said."""

from __future__ import annotations

import pytest
import torch
from data_examples import some_images

from easearch.data import Images, split
from easearch.data.adapt import adapt
from easearch.data.images import sample, statistics
from easearch.errors import DataError


def numbered(count: int, classes: int) -> Images:
    """Pictures that say in their pixels which one they are."""
    number = torch.arange(count)
    x = torch.stack([number // 256, number % 256], dim=1).to(torch.uint8).view(count, 2, 1, 1)
    return Images(x=x, y=number % classes)


def numbers(images: Images) -> list[int]:
    return [int(a) * 256 + int(b) for a, b in images.x.flatten(1)]


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize(("count", "classes"), [(60, 3), (1000, 10), (101, 7)])
def test_split_is_a_balanced_partition_in_order(fraction, count, classes):
    images = numbered(count, classes)
    rest, part = split(images, fraction, seed=5)
    assert sorted(numbers(rest) + numbers(part)) == list(range(count))
    assert numbers(rest) == sorted(numbers(rest))
    assert numbers(part) == sorted(numbers(part))
    for label in range(classes):
        share = (part.y == label).sum() / (images.y == label).sum()
        assert abs(share - fraction) <= 0.5 / (count // classes) + 1e-6


def test_split_is_a_function_of_its_seed_and_leaves_the_global_generator_alone():
    images, before = numbered(200, 4), torch.get_rng_state()
    first, again, other = (split(images, 0.3, seed=seed)[1] for seed in (1, 1, 2))
    assert numbers(first) == numbers(again) != numbers(other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_split_refuses_what_is_no_fraction(fraction):
    with pytest.raises(DataError, match="fraction in"):
        split(some_images(), fraction, seed=0)


def test_split_refuses_to_empty_a_class():
    with pytest.raises(DataError, match="takes all of the pictures of class 0"):
        split(some_images(3), 0.6, seed=0)


def labelled(*sizes: int) -> Images:
    """So many pictures of each class, numbered, the classes in a shuffled order."""
    images = numbered(sum(sizes), 1)
    y = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return Images(x=images.x, y=y[torch.randperm(len(y), generator=torch.Generator())])


@pytest.mark.parametrize("sizes", [(20, 20, 20), (97, 30, 3), (500, 499, 1)])
def test_a_sample_is_exact_nested_in_order_and_every_class_keeps_its_share(sizes):
    images, before = labelled(*sizes), torch.get_rng_state()
    least = {(20, 20, 20): 3, (97, 30, 3): 22, (500, 499, 1): 1000}[sizes]
    smaller: list[int] = []
    for number in range(least, len(images) + 1):
        taken = numbers(part := sample(images, number))
        assert len(taken) == number
        assert taken == sorted(taken)
        assert set(smaller) <= set(taken)
        for label, size in enumerate(sizes):
            assert abs((part.y == label).sum() - number * size / sum(sizes)) < 1
        smaller = taken
    assert smaller == numbers(images)
    assert torch.equal(before, torch.get_rng_state())


def test_a_sample_of_equal_classes_is_drawn_and_balanced():
    images = numbered(1000, 10)
    part = sample(images, 100)
    assert torch.bincount(part.y).tolist() == [10] * 10
    assert numbers(part) == numbers(sample(images, 100)) != list(range(100))


@pytest.mark.parametrize(("number", "said"), [(2, "3 .one a class. to 130"), (131, "got 131")])
def test_a_sample_refuses_more_than_there_are_and_fewer_than_classes(number, said):
    with pytest.raises(DataError, match=said):
        sample(labelled(97, 30, 3), number)


def test_a_sample_refuses_to_leave_a_class_out():
    with pytest.raises(DataError, match="21 leave out a small class"):
        sample(labelled(97, 30, 3), 21)


def test_statistics_are_those_of_the_pixels():
    images = some_images(channels=3)
    mean, std = statistics(images)
    pixels = images.x.double().transpose(0, 1).flatten(1) / 255
    assert mean == pytest.approx(pixels.mean(1).tolist(), abs=1e-12)
    assert std == pytest.approx(pixels.std(1, correction=0).tolist(), abs=1e-12)


def test_a_constant_channel_can_be_divided_by_its_deviation():
    flat = Images(x=torch.full((4, 1, 2, 2), 9, dtype=torch.uint8), y=torch.zeros(4).long())
    assert statistics(flat)[1] == (1 / 255,)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2).long()),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2).long()),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3).long()),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2)),
    ],
)
def test_images_refuse_other_shapes_and_types(x, y):
    with pytest.raises(DataError, match="expected"):
        Images(x=x, y=y)


@pytest.mark.parametrize("size", [None, 4, 8, 19])
@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("own", [1, 3])
def test_adapt_gives_the_size_and_channels_asked_for(size, channels, own):
    images = some_images(channels=own)
    adapted = adapt(images, size=size, channels=channels)
    assert adapted.x.shape == (60, channels or own, size or 8, size or 8)
    assert torch.equal(adapted.y, images.y)
    assert abs(adapted.x.float().mean() - images.x.float().mean()) < 2


def test_grey_to_colour_and_back_is_the_same_and_crops_keep_the_middle():
    images = some_images()
    there = adapt(images, size=None, channels=3)
    assert torch.equal(adapt(there, size=None, channels=1).x, images.x)
    wide = Images(x=torch.nn.functional.pad(images.x, [3, 3]), y=images.y)
    assert torch.equal(adapt(wide, size=8, channels=None).x, images.x)


@pytest.mark.parametrize(("size", "channels"), [(0, 1), (8, 2)])
def test_adapt_refuses_other_pictures(size, channels):
    with pytest.raises(DataError, match="expected"):
        adapt(some_images(), size=size, channels=channels)
