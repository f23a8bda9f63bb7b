"""Splits by star, and batches that do not depend on how they are made."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.recipes import get_recipe
from apnet_fast.train.augment import Augmentation
from apnet_fast.train.batches import Batches, split_by_star
from apnet_fast.train.cache import SpectrumCache


def test_no_star_is_on_both_sides() -> None:
    stars = [f"star {number % 400}" for number in range(1200)]
    split = split_by_star(stars, 0.2, seed=1)
    training, validation = ({stars[row] for row in rows} for rows in (split.training, split.validation))
    assert not training & validation
    assert len(training | validation) == 400
    assert len(validation) / 400 == pytest.approx(0.2, abs=0.06)
    assert sorted([*split.training, *split.validation]) == list(range(1200))
    other = split_by_star(stars, 0.2, seed=2)
    assert not np.array_equal(other.validation, split.validation)
    # Where a star stands does not depend on the others.
    few = split_by_star(stars[:100], 0.2, seed=1)
    assert np.array_equal(few.validation, split.validation[split.validation < 100])


def batches(workers: int, seed: int = 0) -> Batches:
    rng = np.random.default_rng(0)
    n = 22
    cache = SpectrumCache(
        spectra=(1000 + 50 * rng.standard_normal((n, 2, 512))).astype(np.float32),
        ids=[f"id {number}" for number in range(n)],
        stars=[f"star {number}" for number in range(n)],
        labels=np.zeros((n, 3)),
        photometry=np.zeros((n, 7), dtype=np.float32),
        snr=np.full(n, 20.0),
    )
    targets = torch.arange(n)[:, None].expand(n, 3).float()
    return Batches(
        cache,
        split_by_star(cache.stars, 0.2, 0),
        targets,
        recipe=get_recipe("dr19", "v3"),
        augmentation=Augmentation(),
        batch_size=4,
        seed=seed,
        workers=workers,
    )


def test_batches_do_not_depend_on_workers_and_continue_anywhere() -> None:
    whole = list(batches(1).training(3))
    assert len(whole) == batches(1).steps
    for got, expected in zip([*batches(3).training(3)][2:], whole[2:], strict=True):
        assert torch.equal(got[0][0], expected[0][0])
        assert torch.equal(got[1], expected[1])
    later = list(batches(2).training(3, first=2))
    assert len(later) == len(whole) - 2
    assert torch.equal(later[0][0][0], whole[2][0][0])


def test_epochs_and_seeds_differ() -> None:
    first = next(iter(batches(1).training(0)))
    assert not torch.equal(next(iter(batches(1).training(1)))[0][0], first[0][0])
    assert not torch.equal(next(iter(batches(1, seed=1).training(0)))[0][0], first[0][0])


def test_an_epoch_shows_each_spectrum_at_most_once() -> None:
    seen = torch.cat([targets[:, 0] for _, targets in batches(2).training(0)]).tolist()
    assert len(set(seen)) == len(seen)
    held_back = torch.cat([targets[:, 0] for _, targets in batches(2).validation()]).tolist()
    assert not set(seen) & set(held_back)


def test_photometry_comes_as_the_second_input_where_the_recipe_wants_it() -> None:
    (inputs, _) = next(iter(batches(1).training(0)))
    assert len(inputs) == 1
    of_v2 = batches(1)
    with_photometry = Batches(
        of_v2._cache,
        of_v2._split,
        of_v2._targets,
        recipe=get_recipe(None, "v2"),
        augmentation=Augmentation(),
        batch_size=4,
        seed=0,
        workers=1,
    )
    (inputs, _) = next(iter(with_photometry.training(0)))
    assert [values.shape for values in inputs] == [(4, 1, 512), (4, 7)]
    assert torch.isfinite(inputs[1]).all()
