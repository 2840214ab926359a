"""Distillation from a real checkpoint, against its formula."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from cifar_tune.errors import CheckpointError, DatasetError
from cifar_tune.training.batch import Batch
from cifar_tune.training.checkpoint import load_model, serialize
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.losses.cross_entropy import CrossEntropy
from cifar_tune.training.losses.distillation import Distillation, distilled
from cifar_tune.training.state import create_state
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig

INFO = DatasetInfo(tuple("abcdefg"), 1, 8, (0.5,), (0.25,), 100)
TRIAL = TrialConfig.model_validate(
    {
        "dataset": {"name": "digits"},
        "model": {"name": "resnet18", "width": 2},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "epochs": 1,
        "seed": 7,
    }
)


@pytest.fixture
def teacher(tmp_path):
    """Returns a trained network's checkpoint folder and the network."""
    state = create_state(TRIAL, INFO, torch.device("cpu"))
    folder = CheckpointFolder(tmp_path / "trial")
    for _ in range(3):  # moves BatchNorm's statistics away from where they begin
        state.model(torch.randn(16, 1, 8, 8))
    folder.save(serialize(state, TRIAL, INFO))
    return folder.last, state.model.eval()


def student():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 7))


def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 1, 8, 8, generator=generator)
    share = torch.rand(5, 1, generator=generator)
    labels = torch.randint(7, (5, 2), generator=generator)
    return images, Batch(images, labels, torch.cat((share, 1 - share), 1), torch.arange(5), 1)


def test_it_is_the_papers_sum_of_two_cross_entropies(teacher):
    folder, network = teacher
    images, given = batch()
    loss = Distillation(teacher=str(folder), temperature=3.0, teacher_share=0.7, label_smoothing=0.1)
    model = student()
    value, logits = loss.build(INFO, "cpu", load_model)(model, images, given)
    hard, _ = CrossEntropy(label_smoothing=0.1).build(INFO, "cpu", load_model)(model, images, given)
    target, own = F.softmax(network(images) / 3, 1), F.softmax(model(images) / 3, 1)
    soft = (target * (target.log() - own.log())).sum(1).mean()
    torch.testing.assert_close(value, 0.3 * hard + 0.7 * 9 * soft)
    torch.testing.assert_close(logits, model(images))


def test_the_teacher_learns_nothing_and_its_statistics_stand_still(teacher):
    folder, _ = teacher
    images, given = batch()
    loss = Distillation(teacher=str(folder), teacher_share=1.0).build(INFO, "cpu", load_model)
    model = student()
    first, _ = loss(model, images, given)
    first.backward()
    again, _ = loss(model, images, given)
    assert torch.equal(first, again)
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_student_that_agrees_with_its_teacher_has_no_loss_and_no_gradient():
    logits = torch.randn(4, 7, requires_grad=True)
    value = distilled(logits, logits.detach(), 4.0)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad.abs().max() < 1e-6


def test_gradients_hardly_depend_on_a_high_temperature():
    """In the limit they are (z - v) / N / K of centred logits; Hinton et al. 2015, eq. 4."""
    taught = torch.randn(4, 7)
    for temperature in (50.0, 500.0):
        logits = torch.randn(4, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
        distilled(logits, taught, temperature).backward()
        difference = (logits - logits.mean(1, keepdim=True)) - (taught - taught.mean(1, keepdim=True))
        torch.testing.assert_close(logits.grad, difference.detach() / 4 / 7, rtol=0, atol=2e-3)


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"loss distillation: .*nothing is not a checkpoint: it has no manifest.json"
    ):
        Distillation(teacher=str(tmp_path / "nothing")).check(INFO)


def test_a_corrupt_manifest_is_named(teacher):
    folder, _ = teacher
    (folder / "manifest.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"loss distillation: .*manifest.json is corrupt"):
        Distillation(teacher=str(folder)).check(INFO)


def test_a_teacher_of_other_classes_or_of_otherwise_normalised_images_is_refused(teacher):
    folder, _ = teacher
    loss = Distillation(teacher=str(folder))
    loss.check(INFO)
    with pytest.raises(
        DatasetError, match=r"was trained on other class_names \(a, b, c, ...\) than the data set's \(x, y\)"
    ):
        loss.check(replace(INFO, class_names=("x", "y")))
    with pytest.raises(DatasetError, match=r"was trained on other mean \(0.5\) than the data set's \(0.4\)"):
        loss.check(replace(INFO, mean=(0.4,)))


def test_a_relative_folder_is_kept_as_an_absolute_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loss = Distillation(teacher="results/x/best")
    assert Path(loss.teacher) == tmp_path / "results/x/best"
    assert Distillation.model_validate_json(loss.model_dump_json()) == loss
