"""The tables of AutoAugment, RandAugment and TrivialAugment, against torchvision's, and the draws from them."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torchvision.transforms import v2

from cifar_tune.training.augmentations.autoaugment import CIFAR10, AutoAugment
from cifar_tune.training.augmentations.magnitudes import SIGNED, magnitudes, standard_ranges, wide_ranges
from cifar_tune.training.augmentations.operations import INDEX, operated
from cifar_tune.training.augmentations.randaugment import RandAugment
from cifar_tune.training.augmentations.trivialaugment import TrivialAugment
from cifar_tune.training.batch import Batch

NAMES = {name.replace("_", ""): name for name in INDEX}


def ours(name):
    return NAMES[name.lower()]


def batch(images):
    count = len(images)
    return Batch(images, torch.zeros(count, 1, dtype=torch.int64), torch.ones(count, 1), torch.arange(count), 1)


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("ranges", "theirs", "levels"),
    [
        (standard_ranges(24, 40), v2.RandAugment, 31),
        (standard_ranges(24, 40), v2.AutoAugment, 10),
        (wide_ranges(), v2.TrivialAugmentWide, 31),
    ],
)
def test_every_magnitude_equals_torchvisions_table(ranges, theirs, levels):
    for name, (table, signed) in theirs._AUGMENTATION_SPACE.items():
        assert signed == (ours(name) in SIGNED)
        expected = table(levels, 24, 40)
        if expected is None:
            assert ranges.get(ours(name), (0, 0)) == (0, 0)
            continue
        strengths = torch.arange(levels) / (levels - 1)
        drawn = magnitudes(ranges, torch.full((levels,), INDEX[ours(name)]), strengths, batch(strengths), seeded())
        torch.testing.assert_close(drawn.abs(), expected.float())


def test_randaugment_and_trivialaugment_draw_from_the_same_operations_as_torchvisions():
    assert set(standard_ranges(1, 1)) == {ours(name) for name in v2.RandAugment._AUGMENTATION_SPACE}
    assert set(wide_ranges()) == {ours(name) for name in v2.TrivialAugmentWide._AUGMENTATION_SPACE}


def test_autoaugment_has_the_published_sub_policies():
    theirs = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)._policies
    expected = tuple(tuple((ours(name), p, level or 0) for name, p, level in pair) for pair in theirs)
    assert expected == CIFAR10


def test_signed_magnitudes_go_either_way_evenly():
    count = 10_000
    drawn = magnitudes(
        standard_ranges(32, 32), torch.full((count,), INDEX["rotate"]), 1.0, batch(torch.zeros(count)), seeded()
    )
    assert set(drawn.tolist()) == {30.0, -30.0}
    assert drawn.mean().item() == pytest.approx(0, abs=1)


PICTURE = torch.randint(0, 200, (1, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


def outcome_shares(member, count=14_000):
    """Returns how often each outcome of one picture appears, as a mapping from its bytes."""
    results = member.apply(batch(PICTURE.expand(count, -1, -1, -1).clone()), seeded()).images
    shares = {}
    for key in map(bytes, results.flatten(1).numpy()):
        shares[key] = shares.get(key, 0) + 1 / count
    return shares


def outcomes(name, strength, ranges):
    """Returns the possible outcomes of an operation on the picture."""
    low, high = ranges[name]
    magnitude = low + (high - low) * strength
    magnitude = round(magnitude) if name == "posterize" else magnitude
    signs = (1, -1) if name in SIGNED else (1,)
    return {
        bytes(operated(PICTURE, torch.tensor([INDEX[name]]), torch.tensor([float(sign * magnitude)])).flatten().numpy())
        for sign in signs
    }


def test_randaugment_draws_every_operation_equally_often():
    shares = outcome_shares(RandAugment(operations=1, magnitude=9))
    ranges = standard_ranges(16, 16)
    possible = {name: outcomes(name, 9 / 30, ranges) for name in ranges}
    assert set(shares) == set().union(*possible.values())
    for name, keys in possible.items():
        others = set().union(*(keys for other, keys in possible.items() if other != name))
        own = keys - others
        expected = len(own) / len(keys) / 14
        assert sum(shares[key] for key in own) == pytest.approx(expected, abs=0.01), name


def test_trivialaugment_draws_every_level():
    shares = outcome_shares(TrivialAugment(), count=20_000)
    ranges = wide_ranges()
    rotations = set().union(*(outcomes("rotate", level / 30, ranges) for level in range(1, 31)))
    assert rotations <= set(shares)
    assert sum(shares[key] for key in rotations) == pytest.approx(30 / 31 / 14, abs=0.005)


def test_autoaugment_draws_its_sub_policies_and_applies_their_operations_by_their_probabilities():
    """Counts an outcome that one sub-policy alone can bring about: a translation down by its full range, twice."""
    shares = outcome_shares(AutoAugment(), count=20_000)
    ranges = standard_ranges(16, 16)
    once = int(ranges["translate_y"][1])
    expected = {}
    for sign in (1, -1):
        twice = operated(PICTURE, torch.tensor([INDEX["translate_y"]]), torch.tensor([sign * 2.0 * once]))
        expected[bytes(twice.flatten().numpy())] = 1 / 25 * 0.9 * 0.7 / 4
    for key, share in expected.items():
        assert shares[key] == pytest.approx(share, abs=0.002)


def test_two_operations_follow_one_another():
    one, two = (len(outcome_shares(RandAugment(operations=n), count=3000)) for n in (1, 2))
    assert one < 24 < two


def test_uniform_draws_pass_a_test_of_uniformity():
    shares = outcome_shares(RandAugment(operations=1, magnitude=0))
    ranges = standard_ranges(16, 16)
    (identity,) = outcomes("identity", 0, ranges)
    unchanged = [name for name in ranges if outcomes(name, 0, ranges) == {identity}]
    count = round(shares[identity] * 14_000)
    assert stats.binomtest(count, 14_000, len(unchanged) / 14).pvalue > 0.001


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"magnitude": 31}, "less than 31"), ({"magnitude": -1}, "equal to 0"), ({"operations": 0}, "equal to 1")],
)
def test_levels_out_of_range_are_refused(options, expected):
    with pytest.raises(ValidationError, match=expected):
        RandAugment(**options)
