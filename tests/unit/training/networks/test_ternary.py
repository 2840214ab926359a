"""Ternary convolutions against the equations of their papers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cifar_tune.training.networks.ternary import (
    CONVOLUTIONS,
    TernaryConvolution,
    TtqConvolution,
    TwnConvolution,
)


def made(method: type[TernaryConvolution]) -> TernaryConvolution:
    torch.manual_seed(0)
    return method(4, 6, 3, padding=1)


def gradient_by(convolution: TernaryConvolution, images: Tensor) -> Tensor:
    """The gradient of the summed squares of the output by the ternary weight itself."""
    weight = convolution.ternary_weight().detach().requires_grad_()
    F.conv2d(images, weight, padding=1).square().sum().backward()
    assert weight.grad is not None
    return weight.grad


def test_twn_on_numbers_worked_out_by_hand() -> None:
    convolution = TwnConvolution(1, 1, 2)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([[[[1.0, -2.0], [0.5, -0.5]]]]))
    # mean 1.0, threshold 0.7, kept 1.0 and 2.0, scale 1.5
    assert convolution.ternary_weight().flatten().tolist() == [1.5, -1.5, 0.0, 0.0]


def test_twns_scale_is_the_best_for_its_signs() -> None:
    """Eq. 5 of the paper: the least squares fit of scale * signs to the latent weights."""
    convolution = made(TwnConvolution)
    ternary = convolution.ternary_weight()
    signs, latent = ternary.sign().flatten(), convolution.weight.flatten()
    torch.testing.assert_close(ternary.max(), signs @ latent / (signs @ signs))


def test_twns_gradient_passes_straight_through() -> None:
    convolution, images = made(TwnConvolution), torch.randn(2, 4, 5, 5)
    convolution(images).square().sum().backward()
    torch.testing.assert_close(convolution.weight.grad, gradient_by(convolution, images))


def test_ttqs_scales_receive_the_mean_gradient_of_their_weights() -> None:
    convolution, images = made(TtqConvolution), torch.randn(2, 4, 5, 5)
    assert isinstance(convolution, TtqConvolution)
    with torch.no_grad():
        convolution.positive_scale.fill_(0.3)
        convolution.negative_scale.fill_(0.2)
    gradient = gradient_by(convolution, images)
    latent = convolution.weight.detach()
    threshold = 0.05 * latent.abs().max()
    positive, negative = latent > threshold, latent < -threshold
    convolution(images).square().sum().backward()
    torch.testing.assert_close(convolution.positive_scale.grad, gradient[positive].sum() / latent.numel())
    torch.testing.assert_close(convolution.negative_scale.grad, -gradient[negative].sum() / latent.numel())
    torch.testing.assert_close(convolution.weight.grad, gradient)


def test_ttqs_weights_keep_their_signs_whatever_the_scales() -> None:
    convolution = made(TtqConvolution)
    assert isinstance(convolution, TtqConvolution)
    before = convolution.ternary_weight().sign()
    with torch.no_grad():
        convolution.positive_scale.fill_(-0.3)
        convolution.negative_scale.fill_(-0.2)
    after = convolution.ternary_weight()
    assert torch.equal(after.sign(), before)
    assert sorted(after.unique().tolist()) == pytest.approx([-0.2, 0.0, 0.3])


@pytest.mark.parametrize("method", CONVOLUTIONS)
def test_weights_take_three_values_and_zero_has_no_sign(method: str) -> None:
    weight = made(CONVOLUTIONS[method]).ternary_weight().detach()  # type: ignore[index]
    values = weight.unique()
    assert len(values) == 3
    assert values[1] == 0
    assert not weight[weight == 0].signbit().any()
    if method == "twn":
        assert values[0] == -values[2]


@pytest.mark.parametrize("method", CONVOLUTIONS)
def test_weights_that_are_all_zero_stay_zero(method: str) -> None:
    convolution = made(CONVOLUTIONS[method])  # type: ignore[index]
    with torch.no_grad():
        convolution.weight.zero_()
    assert not convolution.ternary_weight().any()
