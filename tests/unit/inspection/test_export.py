"""An exported folder: whole or not there, honest about itself, and refused where it is not what was written."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML
from scipy.stats import t as student

from cifar_tune.cli.export import export_name, main, provenance_of
from cifar_tune.cli.predict import main as predict
from cifar_tune.errors import CheckpointError, ExportError
from cifar_tune.inspection import NetworkPredictor, Predictor, read_trained
from cifar_tune.inspection.card import Provenance
from cifar_tune.inspection.export import export
from cifar_tune.inspection.imported import info_of
from cifar_tune.layout import CONFIRM_FOLDER
from cifar_tune.results import ResultsStore
from cifar_tune.results.confirmations import OPENED, PLANNED, SCORED, ConfirmationsFile
from cifar_tune.training.checkpoint import TrainedModel
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.datasets.digits import Digits
from cifar_tune.training.epochs import trial_epochs
from cifar_tune.training.trial import TrialConfig

TRIAL = {
    "dataset": {"name": "digits", "train_size": 400, "validation_fraction": 0.25},
    "model": {"name": "resnet18", "width": 4},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "ema": {"decay": 0.9},
    "batch_size": 50,
    "epochs": 1,
}
CIFAR10 = DatasetInfo(tuple("0123456789"), 3, 32, (0.5,) * 3, (0.25,) * 3, 50000)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one trial, confirmed with two seeds; `evaluate` has opened the test split for its best."""
    folder = tmp_path_factory.mktemp("results") / "s"
    ResultsStore.create(folder, sweep_name="s").close()
    trial = TrialConfig.model_validate(TRIAL)
    for _ in trial_epochs(trial, root=folder, device="cpu", checkpoints=folder / "checkpoints" / "t1"):
        pass
    with ResultsStore.create(folder / CONFIRM_FOLDER, sweep_name="s") as store:
        for trial_id, seed, accuracy, checkpoint in (
            ("t1-a", 7, 0.5, "checkpoints/t1-a"),
            ("t1-b", 8, 0.75, "checkpoints/t1-b"),
            ("t1-best", 0, 0.875, "../checkpoints/t1/best"),
        ):
            plan = {"source": "t1", "configuration": "()", "trained_on": "train", "reason": "place 1"}
            store.note(PLANNED, trial_id=trial_id, retrained=trial_id != "t1-best", **plan)
            store.update_trial(trial_id, status="running", seed=seed, checkpoint=checkpoint)
            store.add_epoch(trial_id, 1, validation_accuracy=0.75, epoch_seconds=2.0)
            store.note(OPENED, trial_id=trial_id, opened_at="2026-01-02T03:04:05+00:00", commit="abc")
            store.note(SCORED, trial_id=trial_id, test_accuracy=accuracy, test_loss=0.25)
            store.update_trial(trial_id, status="completed")
        ConfirmationsFile(folder).publish()
    (folder / "environment.json").write_text(json.dumps({"command": "sweep x.yaml", "git": "0123abc"}))
    return folder


@pytest.fixture(scope="module")
def exported(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "digits"
    assert main([str(sweep / "t1"), "--output", str(folder)]) == 0
    return folder


def test_an_exported_model_says_what_its_checkpoint_says(sweep: Path, exported: Path) -> None:
    """Of a trial with a moving average, that is the average, which validation scored."""
    pixels = Digits().load(Path(), "train").pixels[:20]
    expected = Predictor.load(sweep / "checkpoints" / "t1" / "best", "cpu").probabilities(pixels)
    assert torch.equal(Predictor.load(exported, "cpu").probabilities(pixels), expected)
    assert torch.equal(Predictor.load(exported / "model.safetensors", "cpu").probabilities(pixels), expected)


def test_what_was_exported_can_be_exported_again_with_all_that_is_known_of_it(exported: Path, tmp_path: Path) -> None:
    assert main([str(exported), "--output", str(tmp_path / "digits")]) == 0
    for name in ("README.md", "config.json", "trial.json", "model.safetensors"):
        assert (tmp_path / "digits" / name).read_bytes() == (exported / name).read_bytes()


def test_a_folder_in_the_way_is_an_error_that_says_so(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").write_text("mine")
    assert main([str(exported), "--output", str(tmp_path)]) == 2
    assert f"{tmp_path} is there already; name another with --output, or move it away" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


def damaged_weights(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def one_class_fewer(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["dataset"]["class_names"].pop()
    (folder / "config.json").write_text(json.dumps(config))


def other_format(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"format": 9}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_weights, "model.safetensors is corrupt: its checksum is not that of config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda folder: (folder / "trial.json").unlink(), "trial.json is missing: .* is not a whole exported model"),
        (lambda folder: (folder / "config.json").write_text("{}"), "is not the config.json of an exported model"),
        (one_class_fewer, r"names 9 classes and a resnet18, and its weights .*: .* size mismatch for fc\.weight"),
        (other_format, "is in export format 9; this version of cifar_tune reads 1"),
        (lambda folder: (folder / "model.onnx").write_text(""), "holds no model.onnx; it holds model.safetensors"),
    ],
)
def test_a_folder_that_is_not_what_was_written_is_refused(
    exported: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in exported.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        Predictor.load(folder / "model.onnx" if (folder / "model.onnx").exists() else folder)


def test_what_is_asked_in_vain_is_said_before_any_work(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in (
        (["--opset", "18"], "--opset is of format onnx, which is not asked for: add --format onnx"),
        (["--format", "onnx", "--opset", "17"], "ONNX opset 17 is not supported; allowed are 18 to 25"),
        (["--format", "onnx", "--check-on", str(tmp_path / "none.png")], "none.png is not there; name a picture"),
        (["--format", "ternary"], "format ternary is for ternary networks"),
    ):
        assert main([str(exported), "--output", str(tmp_path / "new"), *words]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_ternary_resnet18_takes_a_sixteenth_on_the_disk(tmp_path: Path) -> None:
    trial = TrialConfig.model_validate(TRIAL | {"dataset": {"name": "cifar10"}, "model": {"name": "ternary_resnet18"}})
    network = trial.model.build(CIFAR10)
    one = TrainedModel(tmp_path, trial, CIFAR10, network.state_dict())
    written = export(one, tmp_path / "x", ["ternary"])
    parameters = 2788 * 1024
    statistics = sum(buffer.numel() * buffer.element_size() for buffer in network.buffers())
    header = int.from_bytes((tmp_path / "x" / "model.ternary.safetensors").read_bytes()[:8], "little")
    assert written[0].bytes == pytest.approx(parameters + statistics + header, abs=2048)
    assert written[0].bytes < 2.9 * 1024**2 < 4 * 11_173_962 / 14


def test_the_card_has_the_confirmed_numbers_with_their_interval(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    reach = float(student.ppf(0.975, 1)) * math.sqrt(0.03125 / 2)
    low, high = max(0.625 - reach, 0), min(0.625 + reach, 1)
    row = (
        f"| the configuration, 2 fresh seeds, trained on train | test | 62.50%, 95 % interval {low:.2%} to {high:.2%} |"
    )
    assert row in card
    assert "| this network | test | 87.50% |" in card
    assert "Not confirmed" not in card
    assert "- command: `sweep x.yaml`\n- commit: `0123abc`" in card
    assert "300 images to train on and 100 to validate on, of 1,437 training images" in card


def test_the_card_of_a_model_that_is_not_confirmed_says_so(exported: Path, tmp_path: Path) -> None:
    known = Provenance(epoch=1, validation_accuracy=0.5)
    export(read_trained(exported), tmp_path / "x", provenance=known)
    card = (tmp_path / "x" / "README.md").read_text()
    assert "| this network, after epoch 1 | validation | 50.00% |" in card
    assert "**Not confirmed.** The test split was not opened for this model." in card


def test_the_hub_reads_the_cards_metadata(exported: Path) -> None:
    from huggingface_hub import ModelCard

    data = ModelCard.load(exported / "README.md").data
    assert data.pipeline_tag == "image-classification"
    assert data.license is None
    assert data.model_name == "digits"
    found = [(result.dataset_split, result.metric_value) for result in data.eval_results]
    assert found == [("test", 0.625), ("test", 0.875)]
    metadata = (exported / "README.md").read_text().split("---\n")[1]
    assert YAML(typ="safe").load(metadata)["tags"] == ["image-classification", "cifar-tune", "resnet18", "digits"]


@pytest.mark.parametrize(("epoch", "accuracy"), [("last", 0.75), ("best", None)])
def test_a_retraining_brings_the_test_score_of_its_last_epoch(sweep: Path, epoch: str, accuracy: float | None) -> None:
    folder = sweep / CONFIRM_FOLDER / "checkpoints" / "t1-b" / epoch
    found = provenance_of(read_trained(sweep / "checkpoints" / "t1" / "best"), folder)
    assert (found.trial_id, found.test_accuracy) == ("t1", accuracy)
    assert [one.seeds for one in found.confirmed] == [2]


@pytest.mark.parametrize(
    ("checkpoint", "name"),
    [
        ("results/x/checkpoints/t0004/best", "x_t0004"),
        ("results/trials/small/last", "small"),
        ("somewhere/else", "else"),
    ],
)
def test_an_export_is_named_after_its_trial(checkpoint: str, name: str) -> None:
    assert export_name(Path(checkpoint)) == name


@pytest.mark.slow
def test_the_command_writes_onnx_that_names_its_classes_and_checks_it(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    words = ["--output", str(tmp_path / "x"), "--format", "onnx", "--opset", "18"]
    assert main([str(sweep / "t1"), *words]) == 0
    assert "of the network's on 64 images" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(tmp_path / "x" / "model.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["class_names"]) == list("0123456789")
    assert session.get_inputs()[0].shape == ["batch", 1, 8, 8]
    one_class_fewer(tmp_path / "x")
    with pytest.raises(CheckpointError, match="the program tells 10 classes apart, and its folder names 9"):
        Predictor.load(tmp_path / "x").predict(np.zeros((8, 8), np.uint8))
    with pytest.raises(CheckpointError, match=r"holds a program only .* here weights are needed"):
        NetworkPredictor.load(tmp_path / "x")


def test_a_program_that_can_carry_code_is_not_read_unless_asked(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    for name in ("config.json", "trial.json"):
        (folder / name).write_bytes((exported / name).read_bytes())
    with zipfile.ZipFile(folder / "model.pt2", "w") as archive:
        archive.writestr("x/version", "0")
    config = json.loads((folder / "config.json").read_text())
    digest = hashlib.sha256((folder / "model.pt2").read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(config | {"files": {"model.pt2": {"sha256": digest}}}))
    for path in (folder, folder / "model.pt2"):
        with pytest.raises(CheckpointError, match=r"can run code of whoever made it.*--allow-code.*allow_code=True"):
            Predictor.load(path)
    assert predict([str(folder), str(folder)]) == 2
    with pytest.raises(RuntimeError):
        Predictor.load(folder, allow_code=True)


@pytest.mark.slow
def test_a_program_that_does_not_compute_the_same_leaves_nothing_behind(exported: Path, tmp_path: Path) -> None:
    """Not a number is equal to nothing."""
    one = read_trained(exported)
    broken = {name: tensor * torch.nan for name, tensor in one.weights.items() if tensor.is_floating_point()}
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(ExportError, match=r"model\.pt2 is not the network: its logits differ by up to nan on 2 images"):
        export(
            TrainedModel(one.folder, one.trial, one.info, {**one.weights, **broken}),
            tmp_path / "x",
            ["torch_export"],
            images=images,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def trial_file(tmp_path: Path) -> Path:
    file = tmp_path / "theirs.yaml"
    file.write_text(json.dumps(TRIAL))
    return file


def test_weights_of_others_become_a_model_to_predict_with(
    exported: Path, trial_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", f"initial_weights={exported}", "--output", str(tmp_path / "x")]
    assert main([str(trial_file), *words]) == 0
    assert f"initial weights from {exported / 'model.safetensors'}: " in capsys.readouterr().out
    pixels = Digits().load(Path(), "train").pixels[:5]
    expected = Predictor.load(exported, "cpu").probabilities(pixels)
    assert torch.equal(Predictor.load(tmp_path / "x", "cpu").probabilities(pixels), expected)
    card = (tmp_path / "x" / "README.md").read_text()
    assert "- weights: `digits`, taken over as they were; not trained further here" in card
    assert "Nothing was measured." in card


def test_classes_may_be_named_in_a_file_where_the_data_set_is_not_here(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\n\ndog\nbird\n")
    trial = TrialConfig.model_validate(TRIAL | {"dataset": {"name": "folder", "path": "nowhere", "resolution": 32}})
    info = info_of(trial, tmp_path, tmp_path / "names.txt")
    assert (info.class_names, info.resolution, info.mean) == (("cat", "dog", "bird"), 32, (0.485, 0.456, 0.406))


def test_a_trial_without_weights_for_all_of_its_network_is_refused(
    exported: Path, trial_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join("abcde"))
    given = ["--set", f"initial_weights={exported}"]
    for words, message in (
        ([str(trial_file)], "is a trial without weights: --set initial_weights=FILE names them"),
        (
            [str(trial_file), *given, "--classes", str(names)],
            "does not fill the network, whose fc.weight, fc.bias",
        ),
        ([str(trial_file), *given, "--classes", str(tmp_path / "none")], "none cannot be read"),
        ([str(exported), *given], "--set and --classes are for a trial's file (.yaml, .yml), not for"),
    ):
        assert main([*words, "--output", str(tmp_path / "x")]) == 2
        assert message in capsys.readouterr().err


def test_predict_takes_the_folder_the_file_and_a_picture_on_stdin(
    exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.BytesIO()
    Image.fromarray(Digits().load(Path(), "train").pixels[0, 0]).save(stream, "PNG")
    said = []
    for path in (exported, exported / "model.safetensors"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stream.getvalue())))
        assert predict([str(path), "-", "--format", "csv", "--top", "1"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    expected = Predictor.load(exported).predict(stream.getvalue(), top_k=1)[0]
    assert said[0].splitlines()[1] == f"-,1,{expected.name},{expected.probability:.6f}"
