"""`python -m cifar_tune.sweep` on wrong input: one message, status 2, nothing started and nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cifar_tune.__main__ import main as console_script
from cifar_tune.cli.sweep import main

REPOSITORY = Path(__file__).parents[2]

SWEEP = """
name: small
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 3
grid:
  model.activation: [relu, mish]
search:
  optimizer.lr: {float: [0.01, 1.0], log: true}
scheduler: {name: asha, grace_epochs: 1}
trials_per_study: 2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the sweep above in it, and no data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CIFAR_TUNE_DATA", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "small.yaml").write_text(SWEEP)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says on standard error; it says nothing else and writes no results."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert not Path("results").exists()
    return err


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("lr: 0.1}", "learning_rate: 0.1}", "trial.optimizer.learning_rate: unknown key `learning_rate`"),
        ("epochs: 3", "epoch: 3", "unknown key `epoch`; did you mean `epochs`?"),
        ("epochs: 3", "epochs: three", "small.yaml:7:11: trial.epochs: must be a whole number"),
        ("lr: 0.1}", "lr: -1}", "trial.optimizer.lr: must be a number above 0, got -1"),
        ("[0.01, 1.0]", "[-1.0, 1.0]", "search.optimizer.lr"),
        ("[0.01, 1.0]", "[1.0, 0.01]", "search.optimizer.lr"),
        ("  optimizer.lr: {", "  optimizer.rl: {", "search.optimizer.rl"),
        (
            "  optimizer.lr: {float: [0.01, 1.0], log: true}",
            "  model.activation: {choice: [relu, mish]}",
            "stands in `grid.model.activation` already; vary it in one place",
        ),
        (
            "  optimizer.lr: {float: [0.01, 1.0], log: true}",
            "  optimizer: {choice: [{name: sgd, lr: 0.1, nesterof: true}]}",
            "nesterof",
        ),
        ("grace_epochs: 1", "grace_epochs: 4", "must be at most trial.epochs, which is 3, got 4"),
        (
            "epochs: 3",
            "epochs: 3\n  batch_size: 2000",
            "small.yaml:8:15: trial.batch_size: a batch of 2000 images is larger than the training split",
        ),
        (
            "  optimizer.lr: {",
            "  batch_size: {int: [8, 2000]}\n  optimizer.lr: {",
            "small.yaml:11:15: search.batch_size: a batch of 2000 images is larger than the training split",
        ),
        (
            "  model.activation: [relu, mish]",
            "  model: [{name: mininet}, {name: tgn}]",
            "small.yaml:9:28: grid.model.1: model tgn needs a data set with superclasses",
        ),
        ("epochs: 3", "epochs: {", "small.yaml:"),
        (SWEEP, "", "is empty"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_what_is_allowed(
    folder: Path, capsys: pytest.CaptureFixture[str], written: str, instead: str, message: str
) -> None:
    assert written in SWEEP
    (folder / "small.yaml").write_text(SWEEP.replace(written, instead, 1))
    assert message in refused(capsys, "small.yaml")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("added", "message"),
    [
        (
            "constraints: {num_parameters: {max: 10}}",
            "small.yaml:14:14: constraints: the baseline with model.activation",
        ),
        (
            "warm_start: [results/none]",
            "small.yaml:14:14: warm_start.0: results/none: is not a results folder of a sweep",
        ),
        ("constraints: {num_parameters: 5}", "small.yaml:14:31: constraints.num_parameters: must be a mapping"),
    ],
)
def test_what_can_only_be_counted_or_read_is_refused_with_its_line_too(
    folder: Path, capsys: pytest.CaptureFixture[str], added: str, message: str
) -> None:
    (folder / "small.yaml").write_text(f"{SWEEP}{added}\n")
    assert message in refused(capsys, "small.yaml")


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.yaml" in refused(capsys, "nowhere.yaml")


@pytest.mark.usefixtures("folder")
def test_an_override_goes_through_the_same_checks(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "small.yaml", "--set", "trial.optimizer.learning=1")
    assert "--set trial.optimizer.learning=1: trial.optimizer.learning: unknown key" in message


def test_data_that_is_not_there_is_refused_with_the_folder_and_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, "small.yaml", "--set", "trial.dataset={name: cifar10}")
    assert str(folder / "data" / "cifar-10-batches-py") in message
    assert "cifar_tune.datasets prepare cifar10" in message


def test_a_corrupt_file_of_a_data_set_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batches = folder / "elsewhere" / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    for name in ("batches.meta", "test_batch", *(f"data_batch_{number}" for number in range(1, 6))):
        (batches / name).write_bytes(b"not what was published")
    message = refused(capsys, "small.yaml", "--set", "trial.dataset={name: cifar10}", "--data", "elsewhere")
    assert "cifar-10-batches-py/data_batch_1 is corrupt" in message


@pytest.mark.usefixtures("folder")
def test_a_gpu_that_is_not_there_is_refused_with_what_there_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    message = refused(capsys, "small.yaml", "--set", "resources.gpus=1")
    assert "--set resources.gpus=1: resources.gpus: 1 asked for, and there is no GPU; there is" in message


def test_what_machine_and_data_do_not_suit_is_said_at_once_in_file_order(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    sweep = SWEEP.replace("epochs: 3", "epochs: 3\n  batch_size: 2000")
    (folder / "small.yaml").write_text(f"{sweep}resources: {{gpus: 1}}\n")
    places = [line.partition(": ")[0] for line in refused(capsys, "small.yaml").splitlines()]
    assert places == ["small.yaml:8:15", "small.yaml:15:19"]


def test_results_that_are_there_are_never_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "old").mkdir()
    (folder / "old" / "trials.parquet").write_bytes(b"precious")
    message = refused(capsys, "small.yaml", "--results", "old")
    for word in ("old: is there already", "--resume", "--extend", "--fresh", "--results"):
        assert word in message
    assert (folder / "old" / "trials.parquet").read_bytes() == b"precious"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "--address 127.0.0.1:1: no Ray cluster answers there"),
        ("ray://127.0.0.1", "must be auto, HOST:PORT as `ray start` prints it, or ray://HOST:PORT"),
        ("ray://127.0.0.1:1", "no Ray cluster answers there"),
        ("nonsense", "must be auto, HOST:PORT"),
    ],
)
def test_a_cluster_that_is_not_there_is_refused_at_once(
    capsys: pytest.CaptureFixture[str], address: str, message: str
) -> None:
    assert message in refused(capsys, "small.yaml", "--address", address)


@pytest.mark.usefixtures("folder")
def test_there_is_nothing_to_resume_before_a_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no sweep to resume" in refused(capsys, "small.yaml", "--resume")


@pytest.mark.usefixtures("folder")
def test_resume_and_fresh_contradict_each_other() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["small.yaml", "--resume", "--fresh"])
    assert caught.value.code == 2


def test_help_names_every_option_and_where_results_go(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for word in (
        "--set",
        "--plan",
        "--resume",
        "--extend",
        "--fresh",
        "--results",
        "--data",
        "--address",
        "exit status",
    ):
        assert word in text


def test_wrong_input_is_found_without_torch_or_ray(folder: Path) -> None:
    code = (
        "import sys; from cifar_tune.cli.sweep import main;"
        "status = main([sys.argv[1], '--set', 'trial.batch_size=9999']);"
        "print(status, sorted({'torch', 'ray', 'optuna', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, folder / "small.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout == "2 []\n"
    assert "a batch of 9999 images" in done.stderr


def test_the_console_script_offers_the_same_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert console_script([]) == 0
    assert "sweep      run the trials of a sweep file" in capsys.readouterr().out
    assert console_script(["sweep", str(folder / "nowhere.yaml")]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err
    assert console_script(["swep"]) == 2
    assert "no command `swep`; did you mean `sweep`?" in capsys.readouterr().err


def test_a_plan_starts_nothing_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["small.yaml", "--plan"]) == 0
    assert "small: 4 trials" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == ["small.yaml"]


@pytest.mark.parametrize(
    ("option", "address", "said"),
    [
        ("--data", "s3://bucket/x", "must be a folder, got 's3://bucket/x'; a bucket can be mounted"),
        ("--results", "s3://bucket", "s3://bucket: must be s3://BUCKET/FOLDER or gs://BUCKET/FOLDER"),
        ("--results", "https://host/x", "https://host/x: must be s3://BUCKET/FOLDER or gs://BUCKET/FOLDER"),
    ],
)
def test_an_address_that_cannot_be_one_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], option: str, address: str, said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["small.yaml", option, address])
    assert f"argument {option}: {said}" in capsys.readouterr().err
    assert {path.name for path in folder.iterdir()} == {"small.yaml"}
