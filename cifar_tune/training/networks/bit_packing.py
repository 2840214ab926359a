"""Ternary weights in two bits each, four to a byte, and back bit for bit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cifar_tune.errors import CheckpointError
from cifar_tune.training.networks.ternary import TernaryConvolution

ZERO, POSITIVE, NEGATIVE = 0, 1, 2
CODES, VALUES, SHAPE = ".codes", ".values", ".shape"


def pack(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Returns codes, uint8 of a quarter of the weight's elements rounded up, and values: (2,) [positive, negative].

    Raises:
        CheckpointError: The weight holds more than one positive or negative value, or none that is finite.
    """
    values = torch.stack([weight.max().clamp(min=0), weight.min().clamp(max=0)])
    codes = POSITIVE * (weight > 0).to(torch.uint8) + NEGATIVE * (weight < 0).to(torch.uint8)
    if not torch.equal(_decode(codes, values), weight):
        found = len(set(weight.flatten().tolist()))
        raise CheckpointError(f"cannot pack a weight of {found} distinct values into two bits: allowed are -n, 0 and p")
    quads = nn.functional.pad(codes.flatten(), (0, -codes.numel() % 4)).view(-1, 4)
    return (quads << _shifts(codes)).sum(1, dtype=torch.uint8), values


def unpack(codes: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """Returns the weight that `pack` was given.

    Raises:
        CheckpointError: A code stands for no value, or there are too few or too many.
    """
    each = ((codes.unsqueeze(1) >> _shifts(codes)) & 3).flatten()
    count = shape.numel()
    if len(each) != count + -count % 4 or bool((each > NEGATIVE).any()):
        raise CheckpointError(f"corrupt ternary weight: {len(codes)} bytes are not {count} codes of 0, 1 or 2")
    return _decode(each[:count].view(shape), values)


def pack_state(network: nn.Module) -> dict[str, Tensor]:
    """Returns the state dict with `weight.codes`, `weight.values` and `weight.shape` for each ternary `weight`."""
    state = dict(network.state_dict())
    for name, module in network.named_modules():
        if isinstance(module, TernaryConvolution):
            for own, _ in module.named_parameters():
                del state[f"{name}.{own}"]
            weight = module.ternary_weight().detach()
            codes, values = pack(weight)
            shape = torch.tensor(weight.shape)
            state |= {f"{name}.weight{CODES}": codes, f"{name}.weight{VALUES}": values, f"{name}.weight{SHAPE}": shape}
    return state


def unpack_state(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the state dict of the plain ResNet that computes the same as the packed network.

    Raises:
        CheckpointError: A packed weight is corrupt; names it.
    """
    state = {name: tensor for name, tensor in packed.items() if not name.endswith((CODES, VALUES, SHAPE))}
    for codes_name in (name for name in packed if name.endswith(CODES)):
        name = codes_name.removesuffix(CODES)
        try:
            shape = torch.Size(packed[name + SHAPE].tolist())
            state[name] = unpack(packed[codes_name], packed[name + VALUES], shape)
        except (KeyError, CheckpointError) as error:
            raise CheckpointError(f"{name}: {error}") from error
    return state


def _decode(codes: Tensor, values: Tensor) -> Tensor:
    return torch.cat([values.new_zeros(1), values])[codes.int()]


def _shifts(codes: Tensor) -> Tensor:
    return torch.tensor([0, 2, 4, 6], dtype=torch.uint8, device=codes.device)
