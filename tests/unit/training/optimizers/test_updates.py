"""The updates that torch lacks, against their papers and against torch where it has a part of them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.tgn import Tgn
from cifar_tune.training.optimizers.adamw import AdamW
from cifar_tune.training.optimizers.lion import Lion
from cifar_tune.training.optimizers.muon import Muon
from cifar_tune.training.optimizers.sgd import Sgd
from cifar_tune.training.updates.muon import orthogonalised


def gradients(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_lion_equals_the_papers_algorithm():
    model = torch.nn.Linear(5, 3)
    optimizer = Lion(lr=0.01, weight_decay=0.1, beta1=0.9, beta2=0.99).build(model)
    weight, average = model.weight.detach().numpy().astype(np.float64), np.zeros((3, 5))
    for seed in range(10):
        gradients(model, seed)
        gradient = model.weight.grad.numpy().astype(np.float64)
        weight = weight - 0.01 * (np.sign(0.9 * average + 0.1 * gradient) + 0.1 * weight)
        average = 0.99 * average + 0.01 * gradient
        optimizer.step()
    np.testing.assert_allclose(model.weight.detach().numpy(), weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_muon_brings_every_singular_value_near_one_and_keeps_the_vectors(shape):
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalised(matrix[None], 5)[0]
    in_its_basis = left.T @ result @ right.T
    kept = values > 0.05 * values.norm()  # the iteration has little time to raise the smallest ones
    assert in_its_basis.diagonal()[kept].min() > 0.65
    assert in_its_basis.diagonal().max() < 1.25
    assert (in_its_basis - in_its_basis.diagonal().diag()).abs().max() < 1e-3


def test_muon_leaves_a_zero_matrix_zero():
    assert torch.equal(orthogonalised(torch.zeros(1, 3, 4), 5), torch.zeros(1, 3, 4))


@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_equals_torchs_muon_on_linear_layers(nesterov):
    model = torch.nn.Sequential(
        torch.nn.Linear(12, 20, bias=False), torch.nn.Linear(20, 20, bias=False), torch.nn.Linear(20, 3, bias=False)
    )
    start, twin = copy.deepcopy(model), copy.deepcopy(model)
    ours = Muon(lr=0.1, momentum=0.8, nesterov=nesterov, weight_decay=0.01).build(model, ("2.",))
    theirs = torch.optim.Muon(
        [twin[0].weight, twin[1].weight], lr=0.1, momentum=0.8, nesterov=nesterov, weight_decay=0.01
    )
    for seed in range(3):
        for each in (model, twin):
            gradients(each, seed)
        ours.step()
        theirs.step()
    for layer in range(2):
        moved = (twin[layer].weight - start[layer].weight).norm()
        # torch computes in bfloat16, which keeps 8 bits
        assert (model[layer].weight - twin[layer].weight).norm() < 0.02 * moved


def test_muon_flattens_convolutions_to_matrices():
    convolution = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, bias=False), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    linear = torch.nn.Sequential(torch.nn.Linear(27, 8, bias=False), torch.nn.Linear(8, 2))
    linear[0].weight.data.copy_(convolution[0].weight.flatten(1))
    convolution = convolution.to(memory_format=torch.channels_last)
    for model in (convolution, linear):
        optimizer = Muon(lr=0.1, weight_decay=0.01).build(model)
        for seed in range(3):
            shape, layer = model[0].weight.shape, model[0]
            layer.weight.grad = torch.randn(8, 27, generator=torch.Generator().manual_seed(seed)).view(shape)
            optimizer.step()
    torch.testing.assert_close(convolution[0].weight.flatten(1), linear[0].weight)


def test_muon_moves_the_hidden_layers_of_the_taxonomic_gated_network_and_not_its_output_layers():
    """Of its 20 x 4 weights the gate's last layer is an output; the experts' hidden layer is by far the largest."""
    coarse = tuple(index % 20 for index in range(100))
    info = DatasetInfo(tuple(map(str, range(100))), 3, 32, (0.5,) * 3, (0.25,) * 3, 1000, coarse_of_fine=coarse)
    schema = Tgn(width=1)
    model = schema.build(info)
    groups = Muon(lr=0.1).build(model, schema.output_layers).param_groups
    orthogonal = {id(p) for group in groups if "orthogonal" in group for p in group["params"]}
    heads = {name for name, p in model.named_parameters() if not name.startswith("trunk.") and id(p) in orthogonal}
    assert heads == {"gate.0.weight", "experts.hidden.weight"}


@pytest.mark.parametrize(("outputs", "inputs"), [(12, 3), (5, 5), (3, 12)])
def test_muons_factor_grows_with_the_root_of_outputs_over_inputs_and_never_falls_below_one(outputs, inputs):
    """The update has orthonormal rows or columns, up to the iteration's 0.7 to 1.2 times."""
    model = torch.nn.Sequential(torch.nn.Linear(inputs, outputs))
    before = model[0].weight.detach().clone()
    optimizer = Muon(lr=0.1).build(model)
    gradients(model, 0)
    optimizer.step()
    singular = torch.linalg.svdvals(before - model[0].weight) / (0.1 * max(1.0, outputs / inputs) ** 0.5)
    assert (singular > 0.6).all()
    assert (singular < 1.3).all()


@pytest.mark.parametrize("rest", [AdamW(lr=0.01, weight_decay=0.1), Sgd(lr=0.01, momentum=0.8, weight_decay=0.1)])
def test_muon_updates_all_that_is_no_hidden_matrix_by_the_other_rule(rest):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.Conv2d(8, 8, 3, groups=8),
        torch.nn.BatchNorm2d(8),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 4),
    )
    twin = copy.deepcopy(model)
    ours = Muon(lr=0.1, rest=rest).build(model, ("4.",))
    theirs = rest.build(twin)
    for seed in range(4):
        for each, optimizer in ((model, ours), (twin, theirs)):
            gradients(each, seed)
            optimizer.step()
    for (name, mine), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(mine, other) == (name != "0.weight"), name


def test_parameters_without_a_gradient_are_left_alone():
    for schema in (Lion(lr=0.1), Muon(lr=0.1)):
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
        before = copy.deepcopy(model.state_dict())
        optimizer = schema.build(model)
        model[1].weight.grad = torch.ones_like(model[1].weight)
        optimizer.step()
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == {"1.weight"}
