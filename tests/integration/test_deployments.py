"""What `docker/` holds is valid, fits this package, and its commands run: without containers, on hosts made here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest

from cifar_tune.cli.sweep import command_line
from tests.integration.deployments import DOCKER, documents
from tests.integration.hosts import REPOSITORY, played

GITHUB = Path(__file__).parents[2] / ".github"
FORMS = GITHUB / "ISSUE_TEMPLATE"
PROGRAMS = Path(sys.executable).parent


def linted(*words: str) -> str:
    """What a linter complains of."""
    done = subprocess.run([str(PROGRAMS / words[0]), *words[1:]], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("hadolint", str(DOCKER / "Dockerfile")),
        ("shellcheck", str(DOCKER / "sweep.sbatch")),
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DOCKER / "compose.yaml")),
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, GITHUB.glob("workflows/*.yml"))),
        ("check-jsonschema", "--builtin-schema", "vendor.github-issue-forms", *map(str, FORMS.glob("*.yml"))),
    ],
    ids=["Dockerfile", "Slurm", "compose", "workflows", "forms"],
)
@pytest.mark.slow
def test_the_linter_of_its_kind_has_no_complaint(words: tuple[str, ...]) -> None:
    assert linted(*words) == ""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_cluster_file_passes_rays_own_validation() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    (cluster,) = documents("cluster.yaml")
    prepared = prepare_config(cluster)
    assert validate_config(prepared) is None, "it raises where something is wrong"
    assert prepared["cluster_name"] == cluster["cluster_name"]


def test_the_images_are_built_from_what_is_here_pinned_and_not_as_root() -> None:
    lines = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    stages = {words[3]: words[1] for line in lines if (words := line.split())[:1] == ["FROM"]}
    assert {"cpu", "cuda"} <= set(stages)
    for line in lines:
        words = line.split()
        if words[:1] == ["COPY"] and not line.startswith("COPY --from"):
            for source in words[1:-1]:
                assert source.startswith("--") or (REPOSITORY / source).exists(), line
                allowed = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
                assert source.startswith("--") or f"!{source}" in allowed
        if "pip install" in line:
            assert " -c constraints.txt " in line
    assert "USER 1000" in lines


def test_every_place_names_the_pinned_ray_and_one_image() -> None:
    pins = (REPOSITORY / "constraints.txt").read_text()
    volume, job = documents("rayjob.yaml")
    (cluster,) = documents("cluster.yaml")
    assert f"\nray=={job['spec']['rayClusterSpec']['rayVersion']}\n" in pins
    groups = [job["spec"]["rayClusterSpec"]["headGroupSpec"], *job["spec"]["rayClusterSpec"]["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == cluster["docker"]["image"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        claims = [one.get("persistentVolumeClaim", {}).get("claimName") for one in pod["volumes"]]
        assert volume["metadata"]["name"] in claims
        assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    assert volume["spec"]["accessModes"] == ["ReadWriteMany"]
    assert "nvidia.com/gpu" in groups[1]["template"]["spec"]["containers"][0]["resources"]["limits"]


def commands() -> list[str]:
    """Every sweep command that stands in these files, comments included."""
    told = [path.read_text() for path in sorted(DOCKER.iterdir())]
    return [found for text in told for found in re.findall(r"cifar-tune sweep (sweeps/[^\n'\"]*)", text)]


@pytest.mark.parametrize("words", commands())
def test_every_sweep_command_names_a_sweep_file_that_is_there(words: str) -> None:
    options: Namespace = command_line().parse_args(shlex.split(words))
    assert (REPOSITORY / options.file).is_file()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of compose, KubeRay, the launcher and Slurm have run one after the other."""
    return played("tests.integration.deployments", tmp_path_factory.mktemp("deployments"), seconds=900)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("results", ["results/quickstart", "shared/results/cifar10_to_94", "results/slurm"])
def test_the_sweeps_of_compose_kuberay_and_slurm_run_to_their_end(folder: Path, results: str) -> None:
    trials = pd.read_parquet(folder / "work" / results / "trials.parquet")
    assert len(trials) == 2
    assert set(trials.status) == {"completed"}
    assert set(trials.node) <= {"head", "worker1", "worker2"}


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_the_start_commands_of_the_launcher_make_one_cluster(folder: Path) -> None:
    assert (folder / "launcher.json").read_text() == "2"
