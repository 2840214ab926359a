"""The model card of an exported model: README.md with the metadata that the Hugging Face hub reads.

Source of the form: huggingface.co/docs/hub/model-cards, and its `model-index` for evaluation results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import cifar_tune
from cifar_tune.inspection.export_format import Written
from cifar_tune.training.checkpoint import TrainedModel
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.datasets.split import training_sizes
from cifar_tune.training.flops import count_parameters
from cifar_tune.training.trial import TrialConfig

HUB_NAMES = {"cifar10": "uoft-cs/cifar10", "cifar100": "uoft-cs/cifar100", "food101": "ethz/food101"}
"""What the hub calls our data sets."""

LICENCE_LINE = "# license: yours to choose, see huggingface.co/docs/hub/repositories-licenses\n"

CLASSES_NAMED = 20
"""In the card; config.json has all."""


@dataclass(frozen=True)
class Confirmed:
    """Test accuracy of the configuration, retrained with fresh seeds. low, high: 95 % interval, None of one seed."""

    trained_on: str
    seeds: int
    accuracy: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Provenance:
    """What is known of a network beside itself. None: not known.

    validation_accuracy: of the network, after `epoch`. test_accuracy: of the network itself.
    confirmed: of its configuration. command, commit: of the sweep.
    """

    sweep: str | None = None
    trial_id: str | None = None
    epoch: int | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    confirmed: tuple[Confirmed, ...] = ()
    command: str | None = None
    commit: str | None = None


def model_card(trained: TrainedModel, name: str, written: Sequence[Written], provenance: Provenance) -> str:
    """Returns the whole text."""
    trial, info = trained.trial, trained.info
    parameters = count_parameters(trial.model, info)
    colour = "RGB" if info.channels == 3 else "grey"
    parts = [
        f"---\n{_yaml(_metadata(trained, name, provenance))}{LICENCE_LINE}---\n",
        f"# {name}\n",
        f"A `{trial.model.name}` of {parameters:,} parameters that tells {info.classes} classes of "
        f"`{trial.dataset.name}` apart, in {colour} images of {info.resolution} x {info.resolution} px. Exported by "
        f"cifar_tune {cifar_tune.__version__}.\n",
        f"## How well it does\n\n{_results(provenance)}\n",
        f"## Use\n\n{_use(written, name)}\n",
        "## Files\n\n" + "\n".join(_files(written)) + "\n",
        "## Images\n\n" + "\n".join(f"{n}. {step}" for n, step in enumerate(preparation_steps(info), start=1)) + "\n",
        f"## Classes\n\n{_classes(info)}\n",
        f"## Training\n\n{_training(trained, provenance)}",
        "## Licence\n\nNot chosen yet: whoever publishes the model states it here and in the metadata above, as far as "
        "the licence of the data allows.\n",
    ]
    return "\n".join(parts)


def preparation_steps(info: DatasetInfo) -> list[str]:
    """Returns in words how a picture becomes what the network takes."""
    size, colour = info.resolution, "RGB" if info.channels == 3 else "grey"
    mean, std = ([round(value, 6) for value in values] for values in (info.mean, info.std))
    return [
        f"Turn it upright as its EXIF orientation says; {colour}, transparency dropped.",
        f"Resize the short side to {size} px, bilinear and antialiased; crop the long side to it at both ends alike.",
        f"Pixels / 255, minus mean {mean}, over std {std}; model.onnx and model.pt2 do this step themselves.",
    ]


def _metadata(trained: TrainedModel, name: str, provenance: Provenance) -> dict[str, Any]:
    trial = trained.trial
    hub_name = HUB_NAMES.get(trial.dataset.name)
    metadata: dict[str, Any] = {
        "library_name": "cifar-tune",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "cifar-tune", trial.model.name, trial.dataset.name],
        "metrics": ["accuracy"],
    }
    if hub_name is not None:
        metadata["datasets"] = [hub_name]
    results = [
        {
            "task": {"type": "image-classification"},
            "dataset": {"name": trial.dataset.name, "type": hub_name or trial.dataset.name, "split": split},
            "metrics": [{"type": "accuracy", "value": round(value, 6), "name": told}],
        }
        for split, value, told in _measured(provenance)
    ]
    if results:
        metadata["model-index"] = [{"name": name, "results": results}]
    return metadata


def _measured(provenance: Provenance) -> Iterator[tuple[str, float, str]]:
    """Yields split, accuracy and what it is of: the test split's where it was opened, else the validation split's."""
    for one in provenance.confirmed:
        yield "test", one.accuracy, f"accuracy, mean of {one.seeds} fresh seeds, trained on {one.trained_on}"
    if provenance.test_accuracy is not None:
        yield "test", provenance.test_accuracy, "accuracy of this network"
    if not provenance.confirmed and provenance.test_accuracy is None and provenance.validation_accuracy is not None:
        yield "validation", provenance.validation_accuracy, "accuracy, not confirmed on test images"


def _results(provenance: Provenance) -> str:
    rows = [
        f"| the configuration, {one.seeds} fresh seed{'s' * (one.seeds > 1)}, trained on {one.trained_on} | test | "
        f"{one.accuracy:.2%}{_interval(one)} |"
        for one in provenance.confirmed
    ]
    if provenance.test_accuracy is not None:
        rows.append(f"| this network | test | {provenance.test_accuracy:.2%} |")
    if provenance.validation_accuracy is not None:
        rows.append(
            f"| this network, after epoch {provenance.epoch} | validation | {provenance.validation_accuracy:.2%} |"
        )
    table = "\n".join(["| of | images | accuracy |", "| --- | --- | --- |", *rows]) if rows else "Nothing was measured."
    if provenance.confirmed or provenance.test_accuracy is not None:
        note = "Every opening of the test split is a row of the sweep's confirmations.parquet."
    else:
        note = (
            "**Not confirmed.** The test split was not opened for this model. A validation accuracy that epochs or "
            "trials were chosen by is too high; `python -m cifar_tune.confirm` gives one that is not."
        )
    return f"{table}\n\n{note}"


def _interval(one: Confirmed) -> str:
    return "" if one.low is None or one.high is None else f", 95 % interval {one.low:.2%} to {one.high:.2%}"


def _use(written: Sequence[Written], name: str) -> str:
    code = f"""```python
from cifar_tune.inspection import Predictor

Predictor.load("{name}").predict("picture.jpg", top_k=5)
```"""
    if any(one.format == "onnx" for one in written):
        code += f"""

Without cifar_tune, by ONNX Runtime (`images`: any number of prepared images, uint8, channels first):

```python
import onnxruntime

session = onnxruntime.InferenceSession("{name}/model.onnx")
[logits] = session.run(None, {{"images": images}})
```"""
    return code


def _files(written: Sequence[Written]) -> Iterator[str]:
    yield "| file | bytes | checked |"
    yield "| --- | --- | --- |"
    for one in written:
        difference = "" if one.difference is None else f"logits within {one.difference:.1g} of the network's"
        checked = f"{difference}, {one.images} real images" if difference else "read back bit for bit"
        yield f"| {one.file} | {one.bytes:,} | {checked} |"
    yield "| config.json | | classes, preparation of images, provenance, checksums |"
    yield "| trial.json | | the configuration |"


def _classes(info: DatasetInfo) -> str:
    named = ", ".join(info.class_names[:CLASSES_NAMED])
    rest = info.classes - CLASSES_NAMED
    return f"{named}, and {rest} more in config.json." if rest > 0 else f"{named}."


def _training(trained: TrainedModel, provenance: Provenance) -> str:
    trial, facts = trained.trial, []
    if provenance.sweep is not None:
        facts.append(f"- sweep `{provenance.sweep}`, trial `{provenance.trial_id}`")
    if provenance.command is not None:
        facts.append(f"- command: `{provenance.command}`")
    if provenance.commit is not None:
        facts.append(f"- commit: `{provenance.commit}`")
    if provenance.epoch is None and trial.initial_weights is not None:
        facts.append(
            f"- weights: `{Path(trial.initial_weights).name}`, taken over as they were; not trained further here"
        )
    else:
        images, held_out = training_sizes(trained.info, trial.dataset)
        facts += [
            f"- data: `{trial.dataset.name}`, {images:,} images to train on and {held_out:,} to validate on, "
            f"of {trained.info.train_images:,} training images",
            f"- again: `python -m cifar_tune.train`, given this folder{_initial_weights(trial)}",
        ]
    configuration = trial.model_dump(mode="json", exclude_defaults=True)
    for part in ("dataset", "model", "optimizer", "schedule", "loss"):
        if part in configuration:
            configuration[part] = {"name": getattr(trial, part).name} | configuration[part]
    return "\n".join(facts) + f"\n\n```yaml\n{_yaml(configuration)}```\n"


def _initial_weights(trial: TrialConfig) -> str:
    if trial.initial_weights is None:
        return ""
    return f", and by `--set initial_weights=PATH` the weights that it began from: `{Path(trial.initial_weights).name}`"


def _yaml(value: Mapping[str, Any]) -> str:
    writer, stream = YAML(typ="rt"), StringIO()
    writer.default_flow_style = False
    writer.width = 120
    writer.dump(dict(value), stream)
    return stream.getvalue()
