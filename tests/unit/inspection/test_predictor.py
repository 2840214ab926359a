"""A checkpoint names what is in pictures, as its own validation would."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cifar_tune.cli.arguments import best_trial
from cifar_tune.cli.predict import main
from cifar_tune.errors import CheckpointError, DatasetError
from cifar_tune.inspection import NetworkPredictor, Predictor, read_trained
from cifar_tune.results import ResultsStore
from cifar_tune.training.datasets.digits import Digits


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """(N, 8, 8) pixels and (N,) labels."""
    images = Digits().load(Path(), "train")
    return images.pixels[:200, 0], images.labels[:200]


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_it_reads_what_it_has_learnt(checkpoints: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, labels = digits
    found = Predictor.load(checkpoints / "best").predict_batch(list(pixels), top_k=1, batch_size=64)
    right = [int(likeliest.name) == label for [likeliest], label in zip(found, labels, strict=True)]
    assert np.mean(right) > 0.8


def test_probabilities_sum_to_one_and_fall(checkpoints: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    classes = Predictor.load(checkpoints / "best").predict(digits[0][0], top_k=99)
    assert len(classes) == 10
    assert sum(one.probability for one in classes) == pytest.approx(1, abs=1e-5)
    assert [one.probability for one in classes] == sorted((one.probability for one in classes), reverse=True)


def test_array_image_bytes_and_file_of_the_same_pixels_give_the_same(
    checkpoints: Path, digits: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    predictor, pixels = Predictor.load(checkpoints / "best"), digits[0][3]
    file = tmp_path / "three.png"
    file.write_bytes(png(pixels))
    colour = np.repeat(pixels[:, :, None], 3, axis=2)
    forms = [pixels, colour, Image.fromarray(pixels), png(pixels), file, str(file)]
    assert len({tuple(predictor.predict(form)) for form in forms}) == 1


def test_it_says_what_the_network_says_of_normalised_pixels(
    checkpoints: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    predictor, pixels = Predictor.load(checkpoints / "best"), digits[0][:5]
    images = (torch.from_numpy(pixels[:, None]).float() / 255 - predictor.info.mean[0]) / predictor.info.std[0]
    network = read_trained(checkpoints / "best").model(torch.device("cpu"))
    with torch.inference_mode():
        expected = network(images).softmax(1)
    torch.testing.assert_close(predictor.probabilities(pixels[:, None]), expected, atol=1e-5, rtol=1e-4)


def test_an_image_given_is_left_as_it_was(checkpoints: Path) -> None:
    image = Image.new("P", (20, 30))
    Predictor.load(checkpoints / "best").predict(image)
    assert image.mode == "P"
    assert image.size == (20, 30)


@pytest.mark.parametrize(
    "array", [np.zeros((8, 8), dtype=np.float32), np.zeros((3, 8, 8), dtype=np.uint8), np.zeros(8, dtype=np.uint8)]
)
def test_an_array_of_another_kind_is_refused(checkpoints: Path, array: np.ndarray) -> None:
    with pytest.raises(DatasetError, match=r"picture 2: an array must be \(H, W, 3\) RGB or \(H, W\) grey of uint8"):
        Predictor.load(checkpoints / "best").predict_batch([np.zeros((8, 8), dtype=np.uint8), array])


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        Predictor.load(tmp_path)


def test_a_trial_stands_for_its_best_checkpoint_and_a_sweep_for_its_best_trial(
    checkpoints: Path, digits: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        for trial_id, accuracy in (("t0001", 0.5), ("t0002", 0.75)):
            store.update_trial(trial_id, status="completed", study="all", configuration={"epochs": 2})
            store.add_epoch(trial_id, 1, validation_accuracy=accuracy)
    shutil.copytree(checkpoints, tmp_path / "s" / "checkpoints" / "t0002")
    expected = Predictor.load(checkpoints / "best", "cpu").predict(digits[0][0])
    for path in (checkpoints, tmp_path / "s" / "t0002", best_trial(tmp_path / "s")):
        assert Predictor.load(path, "cpu").predict(digits[0][0]) == expected
        assert NetworkPredictor.load(path, "cpu").predict(digits[0][0]) == expected


def test_a_file_in_a_checkpoint_is_no_checkpoint(checkpoints: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a whole checkpoint"):
        Predictor.load(checkpoints / "best" / "model.safetensors")


def test_the_command_writes_the_same_as_csv_json_and_table(
    checkpoints: Path, digits: tuple[np.ndarray, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for place, name in enumerate(("a.png", "deep/b.png", "deep/er/c.png")):
        (tmp_path / name).write_bytes(png(digits[0][place]))
    (tmp_path / "deep" / "notes.txt").write_text("no picture")
    words = [str(checkpoints), str(tmp_path / "a.png"), str(tmp_path / "deep"), "--top", "2", "--format"]
    assert main([*words, "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [Path(row["picture"]).name for row in rows[::2]] == ["a.png", "b.png", "c.png"]
    assert main([*words, "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    flat = [(picture["picture"], one["class"]) for picture in found for one in picture["classes"]]
    assert flat == [(row["picture"], row["class"]) for row in rows]
    assert main([*words, "table"]) == 0
    assert "probability" in capsys.readouterr().out


def test_the_command_says_what_is_missing(
    checkpoints: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    picture = tmp_path / "x.png"
    picture.write_bytes(png(np.zeros((8, 8), dtype=np.uint8)))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    for words, message in (
        ([str(checkpoints), str(tmp_path / "none.png")], "none.png is not there; name a picture, or a folder of them"),
        ([str(checkpoints), str(tmp_path / "empty")], "empty has no picture in it (*.jpg"),
        (
            [str(checkpoints), "https://example.org/cat.jpg"],
            "https://example.org/cat.jpg is not fetched; `curl -s https://example.org/cat.jpg | ...` with - for IMAGE",
        ),
        ([str(checkpoints), str(broken)], "broken.png cannot be read as an image"),
        ([str(tmp_path), str(picture)], "is not a checkpoint, a trial with one or an exported model"),
        ([str(tmp_path), str(picture), "--best"], "is no"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err


def test_of_many_pictures_the_bad_are_reported_and_the_rest_done(
    checkpoints: Path,
    digits: tuple[np.ndarray, np.ndarray],
    odd_pictures: dict[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = tmp_path / "good.png"
    good.write_bytes(png(digits[0][0]))
    assert main([str(checkpoints), *map(str, [*odd_pictures, good]), "--format", "csv", "--top", "1"]) == 2
    out, err = capsys.readouterr()
    assert [row["picture"] for row in csv.DictReader(io.StringIO(out))] == [str(good)]
    for line, (file, message) in zip(err.splitlines(), odd_pictures.items(), strict=True):
        assert line.startswith(f"{file} {message}")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_any_mode_of_eight_bits_is_read(checkpoints: Path, digits: tuple[np.ndarray, np.ndarray], mode: str) -> None:
    image = Image.fromarray(digits[0][1]).convert("RGB").convert(mode)
    assert Predictor.load(checkpoints / "best").predict(image, top_k=1)


def test_an_opened_image_of_sixteen_bits_is_refused(checkpoints: Path) -> None:
    with pytest.raises(DatasetError, match=r"picture 1 has more than 8 bits a channel"):
        Predictor.load(checkpoints / "best").predict(Image.new("I;16", (8, 8)))


def test_each_picture_is_answered_in_order_and_few_are_open_at_a_time(
    checkpoints: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    opened = []

    def pictures() -> Iterator[np.ndarray | bytes]:
        for place in range(7):
            opened.append(place)
            yield b"none" if place == 4 else digits[0][place]

    predictor = Predictor.load(checkpoints / "best")
    answers = predictor.predict_each(pictures(), top_k=1, batch_size=2)
    assert next(answers) == predictor.predict(digits[0][0], top_k=1)
    assert opened == [0, 1]
    kinds = [isinstance(answer, DatasetError) for answer in answers]
    assert kinds == [False, False, False, True, False, False]
