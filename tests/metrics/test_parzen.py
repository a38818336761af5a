"""Parzen log-likelihood: the check value, a plain formula, the choice of sigma."""

from __future__ import annotations

import math

import numpy as np
import pytest
from measuring import error, measured

from ganvas.metrics import parzen
from ganvas.metrics.parzen import ParzenLogLikelihood, log_likelihoods


def likelihood(metric, samples, held_out, test):
    return measured(metric, test, samples, held_out=held_out)


def plain_log_likelihood(samples, x, sigma):
    """log of the mean density at one image, with the exponentials as they stand."""
    exponents = -np.square(x - samples).sum(axis=1) / (2 * sigma**2)
    largest = exponents.max()
    mean = np.mean(np.exp(exponents - largest))
    return largest + math.log(mean) - len(x) * math.log(sigma * math.sqrt(2 * math.pi))


def test_one_sample_on_the_image_gives_541_351(rng):
    image = rng.random((1, 784))
    values = log_likelihoods(image, image, np.array([0.2]))
    assert values.shape == (1, 1)
    assert values[0, 0] == pytest.approx(-784 * math.log(0.2 * math.sqrt(2 * math.pi)), rel=1e-12)
    assert math.floor(1000 * values[0, 0]) == 541_351


def test_equals_the_plain_formula_in_blocks_of_any_size(rng, monkeypatch):
    samples, images = rng.random((90, 30)), rng.random((40, 30))
    sigmas = np.array([0.05, 0.3, 1.0])
    expected = [[plain_log_likelihood(samples, x, sigma) for x in images] for sigma in sigmas]
    for size in (32 << 20, 8 * 90 * 7, 1):
        monkeypatch.setattr(parzen, "BLOCK_BYTES", size)
        np.testing.assert_allclose(log_likelihoods(samples, images, sigmas), expected, rtol=1e-10)


def test_a_single_gaussian_is_found(rng):
    """Samples at one point, images at a spread of 0.129 around it: sigma near that spread."""
    samples = np.full((50, 64), 0.5)
    images = np.clip(0.5 + 0.129 * rng.standard_normal((400, 64)), 0, 1)
    found = likelihood(ParzenLogLikelihood(num_held_out=200), samples, images[:200], images[200:])
    sigma = found.values["sigma"]
    assert sigma == pytest.approx(10 ** (-1 + 1 / 9))
    values = log_likelihoods(samples, images[200:], np.array([sigma]))[0]
    assert found.values["log_likelihood"] == pytest.approx(values.mean())
    assert error(found, "log_likelihood") == pytest.approx(values.std(ddof=1) / math.sqrt(200))


def test_only_the_first_held_out_images_choose(rng):
    samples, test = rng.random((50, 16)), rng.random((30, 16))
    held_out = np.concatenate([np.tile(samples, (2, 1)), rng.random((900, 16))])
    metric = ParzenLogLikelihood(num_held_out=100)
    assert likelihood(metric, samples, held_out, test).values["sigma"] == 0.1
    assert likelihood(metric, samples, held_out[::-1], test).values["sigma"] > 0.1


def test_uint8_and_floats_agree(rng):
    images = rng.integers(0, 256, (3, 60, 1, 4, 4), dtype=np.uint8)
    metric = ParzenLogLikelihood(num_held_out=60)
    assert likelihood(metric, *images) == likelihood(metric, *(images / 255.0))
