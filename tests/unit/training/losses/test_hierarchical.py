"""The hierarchical loss against cross-entropies of TGN's own gate and experts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cifar_tune.errors import DatasetError
from cifar_tune.training.batch import Batch
from cifar_tune.training.checkpoint import load_model
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.losses.hierarchical import Hierarchical
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.tgn import Tgn
from cifar_tune.training.networks.tgn import TaxonomicGatedNetwork
from cifar_tune.training.taxonomy import superclasses

EQUAL = (1, 0, 2, 2, 1, 0)
UNEQUAL = (1, 0, 1, 1, 2, 2)


def info_of(coarse_of_fine: tuple[int, ...] | None) -> DatasetInfo:
    return DatasetInfo(tuple("abcdef"), 3, 8, (0.5,) * 3, (0.25,) * 3, 100, coarse_of_fine=coarse_of_fine)


def mixed_batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(5, 3, 8, 8, generator=generator)
    labels = torch.randint(6, (5, 2), generator=generator)
    share = torch.rand(5, 1, generator=generator)
    return Batch(images, labels, torch.cat([share, 1 - share], 1), torch.arange(5), epoch=1)


def by_gate_and_experts(tgn: TaxonomicGatedNetwork, info: DatasetInfo, batch: Batch, loss: Hierarchical) -> Tensor:
    """The loss image by image and label by label, from the logits of the parts."""
    members = superclasses(info, "test")
    features = tgn.trunk(batch.images)
    gate, experts = tgn.gate(features), tgn.experts(features)
    total = torch.zeros(())
    for image, (labels, weights) in enumerate(zip(batch.labels.tolist(), batch.weights, strict=True)):
        for fine, weight in zip(labels, weights, strict=True):
            coarse = next(index for index, classes in enumerate(members) if fine in classes)
            expert = experts[image, coarse, : len(members[coarse])]
            within = torch.tensor(members[coarse].index(fine))
            of_gate = F.cross_entropy(gate[image], torch.tensor(coarse), label_smoothing=loss.label_smoothing)
            of_expert = F.cross_entropy(expert, within, label_smoothing=loss.label_smoothing)
            total = total + weight * ((1 - loss.within_share) * of_gate + loss.within_share * of_expert)
    return total / len(batch.labels)


@pytest.mark.parametrize("coarse_of_fine", [EQUAL, UNEQUAL])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_value_and_gradients_equal_those_of_the_parts(coarse_of_fine: tuple[int, ...], label_smoothing: float) -> None:
    torch.manual_seed(0)
    info, batch = info_of(coarse_of_fine), mixed_batch()
    loss = Hierarchical(label_smoothing=label_smoothing)
    tgn = Tgn(width=2).build(info).eval()
    assert isinstance(tgn, TaxonomicGatedNetwork)

    found, logits = loss.build(info, "cpu", load_model)(tgn, batch.images, batch)
    found.backward()
    gradients = [parameter.grad.clone() for parameter in tgn.parameters()]
    tgn.zero_grad()
    expected = by_gate_and_experts(tgn, info, batch, loss)
    expected.backward()

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients, [parameter.grad for parameter in tgn.parameters()], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(logits, tgn(batch.images))


def test_half_and_half_is_half_the_cross_entropy_of_the_class() -> None:
    """log p(class) = log p(superclass) + log p(class | superclass), for any model."""
    torch.manual_seed(0)
    info, batch = info_of(UNEQUAL), mixed_batch()
    loss = Hierarchical(within_share=0.5)
    resnet = ResNet18(width=2).build(info).eval()
    found, logits = loss.build(info, "cpu", load_model)(resnet, batch.images, batch)
    chosen = logits.log_softmax(1).gather(1, batch.labels)
    torch.testing.assert_close(found, -(chosen * batch.weights).sum(1).mean() / 2)


def test_very_unlikely_superclasses_still_give_finite_gradients() -> None:
    batch = mixed_batch()
    logits = torch.full((5, 6), -200.0)
    logits[:, 1] = 200.0
    logits.requires_grad_()
    loss = Hierarchical(label_smoothing=0.1)
    value, _ = loss.build(info_of(UNEQUAL), "cpu", load_model)(lambda _: logits, batch.images, batch)  # type: ignore[arg-type]
    value.backward()
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_data_set_without_superclasses_is_refused() -> None:
    with pytest.raises(DatasetError, match="loss hierarchical needs a data set with superclasses"):
        Hierarchical().check(info_of(None))
