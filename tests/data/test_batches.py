"""Batches repeat bit for bit, follow seed and epoch only, and cover every sample once."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from data_examples import some_images

from easearch.data import Augment, Batches
from easearch.data.batches import augmented, generator_of, normalised
from easearch.errors import DataError

KINDS = {
    "plain": {},
    "shuffled": {"shuffle": True},
    "augmented": {"augment": Augment()},
    "all": {"shuffle": True, "augment": Augment(pad=1, flip=False), "limit": 33, "drop_last": True},
}


def batches(count=60, channels=1, batch_size=16, **options) -> Batches:
    mean, std = (0.3,) * channels, (0.2,) * channels
    return Batches(some_images(count, channels=channels), mean, std, batch_size, **options)


def joined(source: Batches) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = list(source)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


def same(first: Batches, second: Batches) -> bool:
    return all(torch.equal(a, b) for a, b in zip(joined(first), joined(second), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_pass_is_the_same_and_draws_nothing_global(kind, channels):
    source, before = batches(channels=channels, **KINDS[kind]), torch.get_rng_state()
    next(iter(source))
    assert same(source, source)
    assert same(source, source.at(0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_batches_are_float32_channels_last_and_as_many_as_promised(kind, channels):
    source = batches(channels=channels, **KINDS[kind])
    pairs = list(source)
    assert len(pairs) == len(source)
    assert sum(len(y) for _, y in pairs) == source.samples
    for x, y in pairs:
        assert x.dtype == torch.float32
        assert x.shape[1:] == (channels, 8, 8)
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert y.dtype == torch.int64


@pytest.mark.parametrize("kind", ["shuffled", "augmented", "all"])
def test_other_seeds_and_epochs_differ(kind):
    source = batches(**KINDS[kind])
    assert not same(source, source.at(1))
    assert not same(source, dataclasses.replace(source, seed=1))
    assert not same(source.at(1), dataclasses.replace(source, seed=1))
    assert same(source.at(3), source.at(7).at(3))


def test_normalises_as_said():
    images = some_images(channels=3)
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    x, y = joined(Batches(images, mean, std, 7))
    shape = (1, 3, 1, 1)
    expected = (images.x.double() / 255 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(
        shape
    )
    assert torch.allclose(x.double(), expected, atol=1e-6)
    assert torch.equal(y, images.y)


def test_normalised_training_data_has_mean_0_and_deviation_1(mini):
    x, _ = joined(Batches(mini.train, mini.mean, mini.std, 1000))
    assert abs(x.double().mean()) < 1e-5
    assert abs(x.double().std() - 1) < 1e-5


def test_shuffling_shows_every_sample_once_and_limit_takes_the_first_of_the_order():
    plain, shuffled = joined(batches()), joined(batches(shuffle=True))
    assert sorted(plain[0].sum((1, 2, 3)).tolist()) == sorted(shuffled[0].sum((1, 2, 3)).tolist())
    assert not torch.equal(plain[0], shuffled[0])
    for options in ({}, {"shuffle": True}):
        whole, part = joined(batches(**options)), joined(batches(limit=37, **options))
        assert torch.equal(whole[0][:37], part[0])
        assert torch.equal(whole[1][:37], part[1])


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, [16, 16, 16, 12]),
        ({"drop_last": True}, [16, 16, 16]),
        ({"limit": 20}, [16, 4]),
        ({"limit": 20, "drop_last": True}, [16]),
        ({"limit": 1000}, [16, 16, 16, 12]),
        ({"batch_size": 100}, [60]),
        ({"count": 0}, []),
    ],
)
def test_sizes(options, sizes):
    assert [len(y) for _, y in batches(**options)] == sizes


def one_by_one(x, options, generator):
    """What `augmented` does, a picture at a time."""
    pad, count, side = options.pad, len(x), x.shape[-1]
    shifts = torch.randint(2 * pad + 1, (2, count, 1), generator=generator).squeeze(2)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    result = []
    for i, picture in enumerate(torch.nn.functional.pad(x, [pad] * 4)):
        top, left = shifts[:, i].tolist()
        cut = picture[:, top : top + side, left : left + side]
        result.append(cut.flip(-1) if options.flip and mirrored[i] else cut)
    return torch.stack(result)


@pytest.mark.parametrize("options", [Augment(), Augment(pad=0), Augment(pad=4, flip=False)])
@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_shifts_and_mirrors(options, channels):
    x = some_images(channels=channels).x
    got = augmented(x, options, generator_of(2, 3))
    assert torch.equal(got, one_by_one(x, options, generator_of(2, 3)))


def test_no_augmentation_leaves_pictures_as_they_are():
    x = some_images(channels=3).x
    assert torch.equal(augmented(x, Augment(pad=0, flip=False), generator_of(0, 0)), x)
    assert normalised(x, (0.0,) * 3, (1.0,) * 3).max() <= 1


def test_the_given_pictures_stay_as_they_were():
    images = some_images()
    before = images.x.clone()
    list(Batches(images, (0.5,), (0.5,), 8, augment=Augment(), shuffle=True))
    assert torch.equal(images.x, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_device_gives_the_same_batches():
    here, there = (batches(device=d, **KINDS["all"]) for d in ("cpu", "cuda"))
    for (x, y), (u, v) in zip(here, there, strict=True):
        assert u.is_cuda
        assert torch.allclose(x, u.cpu(), atol=1e-6)
        assert torch.equal(y, v.cpu())


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"seed": -1}, {"epoch": -1}, {"limit": 0}, {"channels": 3}]
)
def test_refuses_numbers_that_make_no_batches(options):
    with pytest.raises(DataError, match="expected"):
        Batches(
            some_images(),
            (0.5,) * options.pop("channels", 1),
            (0.5,),
            **{"batch_size": 4, **options},
        )


def test_refuses_a_negative_pad():
    with pytest.raises(DataError, match="pad"):
        Augment(pad=-1)
