"""`inspect` on a small network: pictures and a page, and messages for what cannot be shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_tune.cli.inspect import main
from cifar_tune.inspection import NetworkPredictor
from cifar_tune.inspection.export import export
from cifar_tune.inspection.pictures import MOST_GIVEN, given_pictures
from cifar_tune.training.checkpoint import read_checkpoint


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "a picture with a rather long name of its own.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 20), dtype=np.uint8)).save(file)
    return file


def test_it_writes_a_page_with_every_picture(
    checkpoints: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "page"
    words = [str(checkpoints), str(picture), "--output", str(output), "--device", "cpu", "--layer", "layer1.0.conv1"]
    assert main(words) == 0
    names = {"gradcam.png", "filters-layer1.0.conv1.png", "filtered-layer1.0.conv1.png", "features-1.png"}
    assert {file.name for file in output.glob("*.png")} == names
    page = (output / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 8
    assert "https://" not in page
    assert str(output / "index.html") in capsys.readouterr().out


def test_of_an_exported_file_the_page_is_in_the_models_folder(checkpoints: Path, picture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    export(read_checkpoint(checkpoints / "best"), folder)
    assert main([str(folder / "model.safetensors"), str(picture), "--device", "cpu", "--show", "filters"]) == 0
    assert (folder / "inspection" / "model" / "index.html").is_file()


@pytest.mark.slow
def test_of_many_pictures_the_bad_are_reported_and_the_rest_looked_at(
    checkpoints: Path,
    picture: Path,
    odd_pictures: dict[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "page"
    words = [str(checkpoints), *map(str, odd_pictures), str(picture), "--output", str(output), "--device", "cpu"]
    assert main([*words, "--show", "features"]) == 2
    assert [file.name for file in output.glob("*.png")] == ["features-1.png"]
    lines = capsys.readouterr().err.splitlines()
    for line, (file, message) in zip(lines, odd_pictures.items(), strict=True):
        assert line.startswith(f"{file} {message}")

    assert main([str(checkpoints), *map(str, odd_pictures), "--output", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("cannot be read as an image") == 3
    assert not (tmp_path / "none").exists()


def test_of_more_pictures_than_a_page_bears_the_first_are_looked_at(checkpoints: Path) -> None:
    network = NetworkPredictor.load(checkpoints / "best", "cpu")
    given = [("none", b""), *((f"{place}", np.full((8, 8), place, np.uint8)) for place in range(40)), ("late", b"")]
    pictures, refused = given_pictures(network, given)
    assert pictures.labels == tuple(f"{place}" for place in range(MOST_GIVEN))
    assert pictures.pixels.shape == (MOST_GIVEN, 1, 8, 8)
    assert len(refused) == 1


@pytest.mark.slow
def test_the_landscape_is_that_of_the_trials_own_training_images(
    checkpoints: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(checkpoints), "--output", str(tmp_path), "--device", "cpu", "--data", str(tmp_path)]
    assert main([*words, "--show", "landscape", "--points", "3", "--images", "32", "--span", "0.5"]) == 0
    assert {file.name for file in tmp_path.glob("*.png")} == {"landscape-line.png", "landscape-plane.png"}
    assert "Loss landscape: 474 passes over 32 training images at most, " in capsys.readouterr().out
    page = (tmp_path / "index.html").read_text()
    assert "32 training images" in page
    assert "BatchNorm&#x27;s statistics stay those" in page


@pytest.mark.slow
def test_without_a_picture_validation_images_of_classes_far_apart_are_looked_at(
    checkpoints: Path, tmp_path: Path
) -> None:
    words = [str(checkpoints), "--output", str(tmp_path), "--device", "cpu", "--data", str(tmp_path)]
    assert main([*words, "--show", "features"]) == 0
    assert len(list(tmp_path.glob("features-*.png"))) == 4
    assert "Feature maps of 9" in (tmp_path / "index.html").read_text()


def test_the_command_says_what_is_wrong(
    checkpoints: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    known, image = str(checkpoints), str(picture)
    for words, message in (
        ([known, image, "--layer", "layer9"], "there is no layer `layer9` (did you mean `layer"),
        ([known, image, "--layer", "layer9"], "the layers are conv1, bn1, layer1, layer1.0"),
        ([known, image, "--layer", "bn1", "--show", "filters"], "layer `bn1` is not a convolution"),
        ([known, image, "--layer", "fc", "--show", "features"], "layer `fc` gives no maps, but (10,) numbers an image"),
        ([known, image, "--layer", "fc", "--show", "gradcam"], "layer `fc` gives no map to look at; those that do are"),
        ([known, str(broken)], "broken.png cannot be read as an image"),
        ([known, str(tmp_path / "empty")], "empty has no picture in it"),
        ([str(tmp_path)], "is not a checkpoint"),
    ):
        assert main([*words, "--device", "cpu", "--output", str(tmp_path / "page")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--points", "4"], "argument --points: must be odd"),
        (["--span", "0"], "argument --span: must be a number above 0"),
        (["--show", "dreams"], "invalid choice"),
    ],
)
def test_numbers_out_of_range_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["somewhere", *words])
    assert message in capsys.readouterr().err


def test_the_layers_can_be_listed(checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(checkpoints), "--layers", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert "layer1.0.conv1" in told
    assert "Convolution" in told
