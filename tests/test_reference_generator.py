"""The reference's generator, initial weights and scaler."""

from __future__ import annotations

import numpy as np

from nbt_embed import reference as ref
from nbt_embed.reference import Settings
from nbt_embed.reference.start import initial_theta, time_constants


def test_generator_matches_the_published_algorithm() -> None:
    generator = ref.Generator(0)
    # splitmix64 from 0 gives 0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4
    assert generator.words == [0x7B1DCDAF, 0xE220A839, 0xA1B965F4, 0x6E789E6A]
    generator.words = [1, 2, 3, 4]
    # first outputs of xoshiro128++ from the state 1, 2, 3, 4
    assert [generator.word() for _ in range(4)] == [641, 1573767, 3222811527, 3517856514]


def test_signs_are_the_bits_of_the_words() -> None:
    signs, words = ref.Generator(5).signs(40), ref.Generator(5)
    bits = f"{words.word():032b}"[::-1] + f"{words.word():032b}"[::-1][:8]
    assert list(signs) == [-1.0 if bit == "1" else 1.0 for bit in bits]


def test_initial_theta_has_the_stated_scale_and_time_constants() -> None:
    config = Settings(4, 1, 64, cell="lstm", recurrent_gain=0.5, input_gain=2.0)
    theta = initial_theta(config, ref.Generator(1))
    assert abs(theta[:, :64].std() * 8 - 0.5) < 0.02
    assert abs(theta[:, 64:68].std() * 2 - 2.0) < 0.1
    forget = ref.sigmoid(theta[64:128, -1])
    np.testing.assert_allclose(1 / (1 - forget), time_constants(config, config.n_hidden))
    np.testing.assert_allclose(ref.sigmoid(theta[:64, -1]), 1 - forget)


def test_scaler_counts_the_first_steps_and_skips_missing_values() -> None:
    rng = np.random.default_rng(4)
    stream = rng.normal(loc=[5.0, -2.0], scale=[3.0, 0.1], size=(60, 2))
    stream[::7, 1] = np.nan
    scaler = ref.Scaler(2, steps=40, rate=0.0)
    for values in stream:
        scaler.count(values)
    seen = [stream[:40, 0], stream[~np.isnan(stream[:, 1]), 1][:40]]
    np.testing.assert_allclose(scaler.mean, [part.mean() for part in seen])
    np.testing.assert_allclose(scaler.variance, [part.var() for part in seen])
    np.testing.assert_allclose(scaler.unscale(scaler.scale(stream[1])), stream[1])


def test_scaler_follows_with_its_rate_and_leaves_a_constant_channel_alone() -> None:
    scaler = ref.Scaler(2, steps=10, rate=0.05)
    for t in range(400):
        scaler.count(np.array([7.0, 3.0 if t < 100 else 8.0]))
    np.testing.assert_allclose(scaler.scale(np.array([9.0, 8.0]))[0], 2.0)
    np.testing.assert_allclose(scaler.mean[1], 8.0, atol=1e-4)
