"""`python -m cifar_tune.datasets`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_tune.cli import datasets
from cifar_tune.training.datasets.folder import Folder


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CIFAR_TUNE_CACHE", raising=False)
    monkeypatch.setenv("CIFAR_TUNE_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for level, name in ((0, "cat"), (100, "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(np.full((9, 9, 3), level + number, np.uint8)).save(
                tmp_path / "pets" / name / f"{number}.png"
            )
    return tmp_path / "pets"


def test_the_table_says_what_is_there_and_what_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert datasets.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    (digits,) = (line for line in lines if line.startswith("digits "))
    (cifar10,) = (line for line in lines if line.startswith("cifar10 "))
    (folder,) = (line for line in lines if line.startswith("folder "))
    assert digits.split() == ["digits", "10", "1,437", "in", "scikit-learn", "ready"]
    assert cifar10.split() == ["cifar10", "cifar-10-batches-py", "not", "there"]
    assert "needs path" in folder


def test_the_table_names_what_is_not_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"short")
    assert datasets.main([]) == 0
    out = capsys.readouterr().out
    assert "not whole" in out
    assert f"{tmp_path}/cifar-10-batches-py lacks data_batch_2, data_batch_3, data_batch_4 and 1 more" in out


def test_prepare_decodes_and_the_table_shows_it(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert datasets.main(["prepare", "folder", "--set", "path=pets", "--set", "resolution=8"]) == 0
    train = Folder(path="pets").info(pets.parent).train_images
    assert capsys.readouterr().out == f"folder is ready: {train} training images of 2 classes\n"
    assert datasets.main(["--data", str(pets.parent)]) == 0
    assert "needs path, decoded at 8 px" in capsys.readouterr().out


@pytest.mark.usefixtures("pets")
def test_prepare_takes_the_data_set_of_a_sweep_file(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "dataset: {name: folder, path: pets, resolution: 12}\n"
        "model: {name: resnet18}\noptimizer: {name: sgd, lr: 0.1}\nepochs: 1\n"
    )
    assert datasets.main(["prepare", str(tmp_path / "x.yaml"), "--set", "resolution=10"]) == 0
    made = (path.name.split("-")[1:3] for path in (tmp_path / ".cache/cifar_tune/decoded").glob("*.npy"))
    assert sorted(made) == [["test", "10px"], ["train", "10px"]]


def test_prepare_names_every_broken_picture_and_what_was_left_out(
    pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", "folder", "--set", "path=pets", "--set", "resolution=8"]
    (pets / "cat" / "a.heic").write_bytes(b"x")
    assert datasets.main(command) == 0
    assert "1 files were left out: 1 .heic" in capsys.readouterr().out
    broken = [pets / name / f"{number}.png" for name in ("cat", "dog") for number in range(0, 10, 2)]
    for path in broken:
        path.write_bytes(f"rotten {path}".encode())
    assert datasets.main(command) == 2
    told = capsys.readouterr().err
    assert all(str(path) in told for path in broken)


def test_prepare_finds_pictures_beside_the_yaml_file(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = pets.parent / "x.yaml"
    file.write_text(
        "dataset: {name: folder, path: pets, resolution: 12}\n"
        "model: {name: resnet18}\noptimizer: {name: sgd, lr: 0.1}\nepochs: 1\n"
    )
    assert datasets.main(["prepare", str(file), "--data", str(pets)]) == 0
    file.write_text(file.read_text().replace("pets", "dogs"))
    assert datasets.main(["prepare", str(file), "--data", str(pets)]) == 2
    assert f"neither {pets.parent}/dogs nor {pets}/dogs is a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "cifar11"], "unknown dataset `cifar11`; did you mean `cifar10`?"),
        (["prepare", "cifar10", "--set", "reslution=64"], "unknown key `reslution`; did you mean `resolution`?"),
        (["prepare", "cifar10", "--set", "resolution=5"], "dataset.resolution: "),
        (["prepare", "folder"], "dataset.path: missing"),
        (["prepare", "folder", "--set", "path=nowhere"], "nowhere is not there"),
        (["prepare", "no_such_file.yaml"], "no_such_file.yaml: there is no such file"),
    ],
)
def test_wrong_input_gets_a_message_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert datasets.main(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_prepare_without_a_name_lists_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        datasets.main(["prepare"])
    assert ended.value.code == 2
    assert (
        "prepare needs a data set (digits, cifar10, cifar100, food101, folder, huggingface)" in capsys.readouterr().err
    )


@pytest.mark.slow
def test_the_command_leaves_torch_alone(pets: Path) -> None:
    code = (
        "import sys; from cifar_tune.cli.datasets import main; "
        "main(['prepare', 'folder', '--set', 'path=pets', '--set', 'resolution=8']); main([])\n"
        "print('torch' in sys.modules)"
    )
    environment = {**os.environ, "CIFAR_TUNE_DATA": str(pets.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.realdata
def test_prepare_finds_the_real_sets_ready(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert datasets.main(["prepare", "cifar100", "--data", str(real_data)]) == 0
    assert capsys.readouterr().out == "cifar100 is ready: 50,000 training images of 100 classes\n"
