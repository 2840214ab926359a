"""MiniNet against its table of stages, computed here with plain functions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cifar_tune.training.networks.mininet import MiniNet

STAGES = [(2, 1), (2, 1), (4, 2), (8, 2), (8, 2), (8, 1)]
"""Channels as multiples of the stem's, and stride, of B1 to B6."""


def network(variant: str = "live", name: str = "silu", width: int = 8) -> MiniNet:
    torch.manual_seed(0)
    return MiniNet(variant, name, 4, width, 0.25, 3, 10)  # type: ignore[arg-type]


def by_the_table(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """The logits of a MiniNet in evaluation with SiLU."""

    def normalised(x: Tensor, name: str) -> Tensor:
        statistics = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, *statistics, state[f"{name}.weight"], state[f"{name}.bias"])

    x = images
    for convolution, norm, padding in (("stem.0", "stem.1", 2), ("stem.3", "stem.4", 1)):
        x = F.relu(normalised(F.conv2d(x, state[f"{convolution}.weight"], padding=padding), norm))
    for index, (_, stride) in enumerate(STAGES):
        block, before = f"stages.{2 * index}", x
        for unit, unit_stride in ((f"{block}.units.0", stride), (f"{block}.units.1", 1)):
            depthwise = state[f"{unit}.0.weight"]
            x = F.conv2d(x, depthwise, stride=unit_stride, padding=1, groups=len(depthwise))
            x = F.silu(normalised(F.conv2d(x, state[f"{unit}.1.weight"]), f"{unit}.2"))
        if before.shape[1] != x.shape[1]:
            skip = normalised(
                F.conv2d(before, state[f"{block}.projection.0.weight"], stride=stride), f"{block}.projection.1"
            )
        else:
            skip = F.avg_pool2d(before, 2) if stride == 2 else before
        x = x + skip
        if index < 5:
            gate = f"stages.{2 * index + 1}"
            means = x.mean((2, 3), keepdim=True)
            squeezed = F.silu(F.conv2d(means, state[f"{gate}.squeeze.weight"], state[f"{gate}.squeeze.bias"]))
            x = x * F.conv2d(squeezed, state[f"{gate}.excite.weight"], state[f"{gate}.excite.bias"]).sigmoid()
    return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


def test_the_network_computes_what_the_table_says() -> None:
    mininet = network()
    images = torch.randn(4, 3, 32, 32)
    for _ in range(3):
        mininet(images)
    mininet.eval()
    torch.testing.assert_close(mininet(images), by_the_table(mininet.state_dict(), images))


def test_maps_shrink_to_an_eighth() -> None:
    mininet = network()
    assert mininet.stages(mininet.stem(torch.randn(1, 3, 32, 32))).shape == (1, 64, 4, 4)


def test_the_published_net_computes_as_the_live_one() -> None:
    live, published = network().eval(), network("published").eval()
    missing, unexpected = published.load_state_dict(live.state_dict(), strict=False)
    assert unexpected == []
    assert {name.split(".projection")[0] for name in missing} == {"stages.2", "stages.8", "stages.10"}
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(live(images), published(images))


def test_idle_projections_of_the_published_net_are_frozen() -> None:
    frozen = {name for name, parameter in network("published").named_parameters() if not parameter.requires_grad}
    assert {name.split(".projection")[0] for name in frozen} == {"stages.2", "stages.8", "stages.10"}


@pytest.mark.parametrize(("width", "factor"), [(1, 16), (3, 8), (32, 1)])
def test_any_width_and_squeeze_factor_fit(width: int, factor: int) -> None:
    mininet = MiniNet("live", "relu", factor, width, 0.0, 1, 10)
    assert mininet(torch.randn(2, 1, 8, 8)).shape == (2, 10)
