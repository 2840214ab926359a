"""One step against its formula: accumulation, clipping, SAM, and loss scaling. All on nets that one can follow."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_tune.training.backward import BackwardPass
from cifar_tune.training.batch import Batch
from cifar_tune.training.checkpoint import load_model
from cifar_tune.training.losses import CrossEntropy
from cifar_tune.training.optimizers.sgd import Sgd
from cifar_tune.training.precision import FLOAT32, NAMED, Precision
from cifar_tune.training.state import TrainingState
from cifar_tune.training.steps import frozen_statistics, sam_step, sgd_step
from cifar_tune.training.trial import Clip, Sam

CPU = torch.device("cpu")
FLOAT16 = NAMED["float16"]
LR = 0.1


def plain_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 5))


def normalised_net() -> nn.Module:
    head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 5))
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), head)


def state_of(net: Callable[[], nn.Module] = plain_net, arithmetic: Precision = FLOAT32) -> TrainingState:
    torch.manual_seed(0)
    model = net().train()
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0) if arithmetic.scaled else None
    return TrainingState(CPU, arithmetic, model, Sgd(lr=LR, momentum=0.9).build(model), None, scaler)


def batch_of(count: int = 12, seed: int = 0) -> tuple[Tensor, Batch]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, 6, 6, generator=generator)
    labels = torch.randint(0, 5, (count, 2), generator=generator)
    share = torch.rand(count, 1, generator=generator)
    return images, Batch(images, labels, torch.cat([share, 1 - share], 1), torch.arange(count), 1)


def backward_of(state: TrainingState, accumulation: int = 1) -> BackwardPass:
    return BackwardPass(state, CrossEntropy().build(None, CPU, load_model), accumulation)  # type: ignore[arg-type]


def weights(state: TrainingState) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in state.model.parameters()]


def stepped(
    state: TrainingState, sam: Sam | None = None, clip: Clip | None = None, accumulation: int = 1
) -> TrainingState:
    """Returns the state after two steps, dropout drawn alike for all callers."""
    torch.manual_seed(1)
    for seed in range(2):
        images, batch = batch_of(seed=seed)
        if sam is None:
            sgd_step(state, backward_of(state, accumulation), images, batch, clip)
        else:
            sam_step(state, backward_of(state, accumulation), images, batch, clip, sam)
    return state


def gradients(model: nn.Module) -> list[Tensor]:
    """Returns the gradients of the mean mixed cross-entropy, computed label by label."""
    images, batch = batch_of()
    logits = model(images)
    losses = [F.cross_entropy(logits, batch.labels[:, place], reduction="none") for place in range(2)]
    mean = (torch.stack(losses, 1) * batch.weights).sum(1).mean()
    return list(torch.autograd.grad(mean, list(model.parameters())))


def assert_same(one: TrainingState, other: TrainingState, **tolerance: float) -> None:
    for a, b in zip(weights(one), weights(other), strict=True):
        torch.testing.assert_close(a, b, **(tolerance or {"rtol": 0, "atol": 0}))


@pytest.mark.parametrize("sam", [None, Sam(rho=0.5), Sam(rho=0.5, adaptive=True)], ids=["sgd", "sam", "adaptive"])
@settings(max_examples=6, deadline=None)
@given(accumulation=st.sampled_from([2, 3, 4, 6, 12]))
def test_accumulated_parts_move_the_weights_as_the_whole_batch_does(sam: Sam | None, accumulation: int) -> None:
    whole, parts = stepped(state_of(), sam), stepped(state_of(), sam, accumulation=accumulation)
    assert_same(whole, parts, rtol=1e-4, atol=1e-6)


def test_accumulated_parts_report_loss_and_right_answers_of_the_whole_batch() -> None:
    images, batch = batch_of()
    whole, parts = (backward_of(state_of(), count)(images, batch) for count in (1, 4))
    torch.testing.assert_close(whole.loss, parts.loss)
    torch.testing.assert_close(whole.correct, parts.correct)


def test_right_answers_of_mixed_labels_count_by_weight() -> None:
    state = state_of()
    images, batch = batch_of()
    answers = state.model(images).argmax(1)
    expected = sum(
        float(weight)
        for row in range(12)
        for label, weight in zip(batch.labels[row], batch.weights[row], strict=True)
        if label == answers[row]
    )
    assert float(backward_of(state)(images, batch).correct) == pytest.approx(expected)


@pytest.mark.parametrize("net", [plain_net, normalised_net])
@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_with_rho_zero_is_its_base(net: Callable[[], nn.Module], adaptive: bool) -> None:
    """Bit for bit: same dropout masks in both passes, BatchNorm's statistics moved once, weights put back exactly."""
    base, sam = stepped(state_of(net)), stepped(state_of(net), Sam(rho=0.0, adaptive=adaptive))
    assert_same(base, sam)
    for one, other in zip(base.model.buffers(), sam.model.buffers(), strict=True):
        assert torch.equal(one, other)


def test_sam_descends_along_the_gradient_at_the_perturbed_weights() -> None:
    state, rho = state_of(), 0.3
    model = deepcopy(state.model)
    steepest = gradients(model)
    norm = torch.cat([gradient.flatten() for gradient in steepest]).norm()
    uphill = deepcopy(model)
    with torch.no_grad():
        for parameter, gradient in zip(uphill.parameters(), steepest, strict=True):
            parameter += rho * gradient / norm
    images, batch = batch_of()
    sam_step(state, backward_of(state), images, batch, None, Sam(rho=rho))
    # The first step of Nesterov's momentum 0.9 goes 1.9 gradients far.
    for found, start, gradient in zip(weights(state), model.parameters(), gradients(uphill), strict=True):
        torch.testing.assert_close(found, start - 1.9 * LR * gradient, rtol=1e-4, atol=1e-6)


def test_adaptive_sam_perturbs_in_proportion_to_the_weights() -> None:
    state, rho = state_of(), 0.3
    model = deepcopy(state.model)
    steepest = [
        gradient * parameter.abs() for gradient, parameter in zip(gradients(model), model.parameters(), strict=True)
    ]
    norm = torch.cat([gradient.flatten() for gradient in steepest]).norm()
    uphill = deepcopy(model)
    with torch.no_grad():
        for parameter, gradient in zip(uphill.parameters(), steepest, strict=True):
            parameter += rho * parameter.abs() * gradient / norm
    images, batch = batch_of()
    sam_step(state, backward_of(state), images, batch, None, Sam(rho=rho, adaptive=True))
    for found, start, gradient in zip(weights(state), model.parameters(), gradients(uphill), strict=True):
        torch.testing.assert_close(found, start - 1.9 * LR * gradient, rtol=1e-4, atol=1e-6)


def test_sam_moves_the_running_statistics_once_and_by_the_unperturbed_weights() -> None:
    state, reference = state_of(normalised_net), state_of(normalised_net).model
    images, batch = batch_of()
    reference(images)
    sam_step(state, backward_of(state), images, batch, None, Sam(rho=5.0))
    for one, other in zip(state.model.buffers(), reference.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_frozen_statistics_still_normalise_by_the_batch() -> None:
    model = nn.BatchNorm2d(3).train()
    images, _ = batch_of()
    expected = model(images)
    before = [buffer.clone() for buffer in model.buffers()]
    with frozen_statistics(model):
        assert torch.equal(model(images), expected)
    assert all(torch.equal(one, other) for one, other in zip(model.buffers(), before, strict=True))
    model(images)
    assert model.num_batches_tracked == 2


def test_the_outcome_of_sam_is_that_of_the_unperturbed_weights() -> None:
    state = state_of()
    images, batch = batch_of()
    expected = backward_of(state_of())(images, batch)
    outcome = sam_step(state, backward_of(state), images, batch, None, Sam(rho=2.0))
    assert torch.equal(outcome.loss, expected.loss)


@pytest.mark.parametrize("limit", [1e-3, 1e3])
@pytest.mark.parametrize("arithmetic", [FLOAT32, FLOAT16], ids=["float32", "float16"])
def test_gradients_are_clipped_by_their_total_norm(limit: float, arithmetic: Precision) -> None:
    state = state_of(arithmetic=arithmetic)
    model = deepcopy(state.model)
    raw = gradients(model)
    norm = torch.cat([gradient.flatten() for gradient in raw]).norm().item()
    images, batch = batch_of()
    sgd_step(state, backward_of(state), images, batch, Clip(norm=limit))
    tolerance = {"rtol": 1e-4, "atol": 1e-6} if arithmetic is FLOAT32 else {"rtol": 1e-2, "atol": 1e-3}
    for found, start, gradient in zip(weights(state), model.parameters(), raw, strict=True):
        torch.testing.assert_close(found, start - 1.9 * LR * gradient * min(1, limit / norm), **tolerance)


def test_gradients_are_clipped_by_value() -> None:
    state = state_of()
    model = deepcopy(state.model)
    images, batch = batch_of()
    sgd_step(state, backward_of(state), images, batch, Clip(value=0.01))
    for found, start, gradient in zip(weights(state), model.parameters(), gradients(model), strict=True):
        torch.testing.assert_close(found, start - 1.9 * LR * gradient.clamp(-0.01, 0.01), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sam", [None, Sam(rho=0.1), Sam(rho=0.1, adaptive=True)], ids=["sgd", "sam", "adaptive"])
@pytest.mark.parametrize("clip", [None, Clip(norm=0.5)], ids=["free", "clipped"])
@pytest.mark.parametrize("accumulation", [1, 3])
def test_scaled_float16_moves_the_weights_as_float32_does(
    sam: Sam | None, clip: Clip | None, accumulation: int
) -> None:
    exact = stepped(state_of(), sam, clip, accumulation)
    scaled = stepped(state_of(arithmetic=FLOAT16), sam, clip, accumulation)
    assert_same(exact, scaled, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("sam", [None, Sam(rho=0.1)], ids=["sgd", "sam"])
@pytest.mark.parametrize("clip", [None, Clip(norm=0.5)], ids=["free", "clipped"])
def test_a_gradient_that_overflows_float16_is_skipped_and_the_next_is_not(sam: Sam | None, clip: Clip | None) -> None:
    """Also when it is the first, before the optimizer has averages."""
    state = state_of(arithmetic=FLOAT16)
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = weights(state)
    stepped(state, sam, clip)
    assert all(torch.equal(one, other) for one, other in zip(weights(state), before, strict=True))
    assert state.scaler.get_scale() == 2.0**38
    state.scaler.update(256.0)
    expected = stepped(state_of(arithmetic=FLOAT16), sam, clip)
    assert_same(stepped(state, sam, clip), expected)
