from __future__ import annotations

import gzip
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from cifar_tune.analysis import heatmap, hypervolume_history
from cifar_tune.analysis.confirmation_text import confirmation_answer
from cifar_tune.analysis.importance import importance
from cifar_tune.analysis.reports.sections import make_report
from cifar_tune.analysis.sweep_file import read_sweep_file
from cifar_tune.dashboard.app import make_app
from cifar_tune.dashboard.assets import FOLDER, TYPES
from cifar_tune.dashboard.live import LiveSweep
from cifar_tune.dashboard.views import decision_text
from cifar_tune.results import ResultsStore, load
from cifar_tune.results.columns import CONFIRMATION_COLUMNS
from cifar_tune.results.confirmations import confirmation_table

SCRIPT = "<script>alert(1)</script>"
START = datetime(2026, 1, 1, tzinfo=UTC)
KEPT = (
    "trials", "heatmap", "curves", "decisions", "confirmations", "spent", "front", "course", "importance", "findings",
)  # fmt: skip
ANSWERS = ("state", "machines", *KEPT)


def ask(client: TestClient, name: str, **parameters: object) -> dict:
    answer = client.get(f"/api/{name}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def column(trials: dict, name: str) -> list:
    return next(one["values"] for one in trials["columns"] if one["name"] == name)


def test_the_page_and_its_files_come_with_their_types_and_none_names_another_host(client: TestClient) -> None:
    for path, kind in (("/", "text/html"), *((f"/{name}", kind.split(";")[0]) for name, kind in TYPES.items())):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert not re.search(r"(?:src|href|url\(|fetch\()\W*https?:", answer.text)
    assert {path.name for path in FOLDER.iterdir()} == set(TYPES)


def test_plotly_comes_out_of_its_package_compressed_and_once(client: TestClient) -> None:
    answer = client.get("/plotly.js")
    assert answer.text.lstrip().startswith("/**\n* plotly.js v")
    assert int(answer.headers["content-length"]) < 2_000_000 < len(answer.content)
    again = client.get("/plotly.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/x", "/api/x", "/..%2fapp.py", "/static/index.html", "/api/../errors.py"])
def test_what_is_not_there_is_404(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("name", ["state", *KEPT])
def test_an_answer_that_has_not_changed_is_not_sent_again(client: TestClient, name: str) -> None:
    answer = client.get(f"/api/{name}")
    again = client.get(f"/api/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"/api/{name}", headers={"if-none-match": '"other"'}).content == answer.content


def test_answers_are_compressed_for_those_who_take_it(client: TestClient) -> None:
    plain = client.get("/api/trials", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with client.stream("GET", "/api/trials", headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(answer.iter_raw())) == plain.content


def test_the_state_says_how_the_sweep_stands(client: TestClient, folder: Path) -> None:
    state = ask(client, "state")
    assert state["counts"] == {"completed": 4, "stopped": 1, "failed": 1}
    assert (state["name"], state["trials"], state["epochs"], state["running"]) == ("s", 6, 18, False)
    assert state["question"] == [f"Question: is {SCRIPT} written as it is?"]
    assert state["answer"].startswith("The best completed trial, t3, reached validation accuracy 70.0 %")
    assert (state["metric"]["name"], state["notice"]) == ("validation_accuracy", None)
    assert state["folder"] == str(folder)


def test_trials_come_column_by_column_the_best_first(client: TestClient) -> None:
    trials = ask(client, "trials")
    assert column(trials, "trial_id") == ["t3", "t2", "t1", "t0", "t4", f"t5{SCRIPT}"]
    assert column(trials, "rank") == [1, 2, 3, 4, None, None]
    assert column(trials, "validation_accuracy") == [0.7, 0.6, 0.5, 0.4, 0.6, None]
    forms = {one["name"]: one["form"] for one in trials["columns"]}
    assert forms["validation_accuracy"] == "fraction"
    assert (forms["train_seconds"], forms["started_at"], forms["trial.optimizer.lr"]) == ("seconds", "time", "number")


def test_the_heat_map_is_that_of_the_analysis_and_its_cells_hold_their_trials(client: TestClient, folder: Path) -> None:
    grid = ask(client, "heatmap", x="optimizer.lr", y="model.activation", aggregate="mean", at_epoch=2)["grid"]
    trials, epochs, _ = load(folder)
    expected = heatmap(trials, "optimizer.lr", "model.activation", epochs=epochs, aggregate="mean", at_epoch=2)
    assert [row["label"] for row in grid["rows"]] == list(expected.y.labels) == ["mish", "relu"]
    assert grid["x"]["labels"] == list(expected.x.labels)
    for row, line in enumerate(grid["rows"]):
        for place, cell in enumerate(line["cells"]):
            assert cell["value"] == f"{100 * expected.value.iloc[row, place]:.1f}"
    assert grid["rows"][0]["cells"][0]["trials"] == ["t2", "t4"]
    assert grid["rows"][0]["cells"][0]["note"].startswith("n=2 ±")
    assert re.fullmatch("#[0-9a-f]{6}", grid["rows"][0]["cells"][0]["fill"])


def test_without_a_choice_the_heat_map_is_that_of_the_report(client: TestClient) -> None:
    answer = ask(client, "heatmap")
    assert (answer["grid"]["x"]["name"], answer["grid"]["y"]["name"]) == ("optimizer.lr", "model.activation")
    assert answer["choices"]["parameters"] == ["model.activation", "optimizer.lr"]
    assert "validation_loss" in [one["name"] for one in answer["choices"]["metrics"]]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("heatmap?x=lrr", "no parameter `lrr`; did you mean `optimizer.lr`?"),
        ("heatmap?metric=accuracy", "`accuracy` is not a metric; did you mean `validation_accuracy`?"),
        ("heatmap?at_epoch=-1", "at_epoch=-1: must be a whole number"),
        ("heatmap?at_epoch=9", "no trial can be compared at epoch 9; trials reached epochs 1 to 4"),
        ("heatmap?aggregate=max", "`max` is not a way to aggregate; there are best, mean, median"),
        ("curves?trial=t1&metric=x", "`x` is not a metric"),
        ("trial?id=t9", "no trial `t9`; there are t0 to"),
    ],
)
def test_a_question_that_the_tables_cannot_answer_is_told(client: TestClient, address: str, message: str) -> None:
    answer = client.get(f"/api/{address}")
    assert answer.status_code == 422
    assert message in answer.json()["error"]


def test_curves_have_the_epochs_of_their_trials_and_a_mark_where_one_was_stopped(client: TestClient) -> None:
    figure = client.get("/api/curves?trial=t0&trial=t4&theme=dark").json()
    first, second = figure["data"]
    assert (first["x"], first["y"]) == ([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4])
    assert (second["x"], second["marker"]["size"], second["marker"]["symbol"]) == ([1, 2], [0, 8], "x-thin")
    assert second["text"][-1] == "stopped: place 5 of 5"
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [2]
    assert figure["layout"]["paper_bgcolor"] != client.get("/api/curves?trial=t0").json()["layout"]["paper_bgcolor"]


def test_plotly_is_given_no_name_that_it_could_take_for_html(store: ResultsStore) -> None:
    store.update_trial(SCRIPT, status="completed", status_reason=SCRIPT)
    store.add_epoch(SCRIPT, 1, validation_accuracy=0.5)
    figure = TestClient(make_app(LiveSweep(store.folder))).get("/api/curves", params={"trial": SCRIPT}).json()
    assert figure["data"][0]["name"] == "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert figure["data"][0]["text"] == ["completed: &lt;script&gt;alert(1)&lt;/script&gt;"]


def test_the_page_sets_texts_never_html() -> None:
    code = (FOLDER / "dashboard.js").read_text()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert way not in code


def test_a_trial_tells_its_log_in_order(client: TestClient) -> None:
    trial = ask(client, "trial", id="t4")
    assert trial["log"] == [
        "started",
        "epoch 1, validation accuracy 50.0 %, 2.0 s",
        "epoch 2, validation accuracy 60.0 %, 2.0 s, rung 2: rank 1 of 5, cutoff 25.0: stop",
        "stopped: place 5 of 5",
    ]
    assert {"title": "optimizer.lr", "value": 0.01, "form": "number"} in trial["configuration"]
    failed = ask(client, "trial", id=f"t5{SCRIPT}")
    assert (failed["status"], failed["error"], failed["log"]) == (
        "failed",
        f"ValueError: {SCRIPT}",
        ["started", "failed"],
    )


def test_decisions_count_the_rungs_and_name_the_latest_first(client: TestClient) -> None:
    decisions = ask(client, "decisions")
    assert decisions["rungs"]["rows"] == [["2", "5", "1", "4", "80 %"]]
    assert [one["trial_id"] for one in decisions["latest"]] == ["t4", "t3", "t2", "t1", "t0"]
    assert decisions["latest"][0] == {
        "trial_id": "t4",
        "value": "60.0",
        "text": "rung 2: rank 1 of 5, cutoff 25.0: stop",
    }


def test_cost_failures_and_course_are_those_of_the_analysis(client: TestClient) -> None:
    spent = ask(client, "spent")
    assert spent["cost"]["rows"][0][:5] == ["completed", "H100", "4", "16", "32.0"]
    assert spent["failures"]["rows"] == [["failed", f"ValueError: {SCRIPT}", "1", f"t5{SCRIPT}"]]
    own, best = ask(client, "course")["data"]
    assert own["y"] == best["y"] == [0.4, 0.5, 0.6, 0.7]
    assert best["x"][0] == "2026-01-01T00:01:00+00:00"


def test_confirmations_are_told_as_in_a_report_and_answer_first(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "s"
    shutil.copytree(folder, copy)
    row = dict.fromkeys(column.name for column in CONFIRMATION_COLUMNS) | {"sweep": "s", "status": "completed"}
    row |= {"trial_id": "t3", "configuration": "c", "trained_on": "train", "test_accuracy": 0.6, "openings": 1}
    rows = [row | {"seed": seed, "validation_accuracy": 0.6 + seed / 100} for seed in (1, 2, 3)]
    pq.write_table(confirmation_table("s", rows), copy / "confirmations.parquet")
    sweep = LiveSweep(copy)
    client = TestClient(make_app(sweep))
    confirmed, curse = ask(client, "confirmations")
    assert confirmed["title"].startswith("Confirmed with fresh seeds, trained on ")
    assert confirmed["table"]["rows"][0][1:3] == ["t3", "3"]
    assert curse["title"] == "Winner's curse"
    expected = confirmation_answer(load(copy).confirmations, load(copy).trials, read_sweep_file(copy))
    assert ask(client, "state")["answer"] == expected


def test_importance_says_why_it_is_not_to_be_relied_on(client: TestClient, folder: Path) -> None:
    answer = ask(client, "importance")
    assert answer["caution"] == importance(*load(folder)[:2]).caution
    assert answer["data"] == []


@pytest.mark.parametrize("metric", ["train_seconds", "validation_loss", "best_validation_accuracy", "nonsense"])
def test_a_sweep_that_seeks_another_metric_has_every_answer(folder: Path, tmp_path: Path, metric: str) -> None:
    copy = tmp_path / "s"
    shutil.copytree(folder, copy)
    (copy / "sweep.yaml").write_text(f"name: s\nobjective: [{{metric: {metric}}}, {{metric: validation_accuracy}}]\n")
    client = TestClient(make_app(LiveSweep(copy)))
    for name in ANSWERS:
        ask(client, name)
    assert ask(client, "trial", id="t4")["log"][-1] == "stopped: place 5 of 5"
    assert column(ask(client, "trials"), "validation_accuracy")


def test_a_sweep_without_trials_has_every_answer(store: ResultsStore) -> None:
    client = TestClient(make_app(LiveSweep(store.folder)))
    for name in ANSWERS:
        if name != "importance":
            ask(client, name)
    assert ask(client, "state")["answer"] == "No trial has been started yet."
    assert ask(client, "heatmap")["grid"] is None
    assert ask(client, "trials")["rows"] == 0


def test_a_loss_that_is_not_finite_is_missing_in_json(store: ResultsStore) -> None:
    store.update_trial("t0", status="running")
    store.add_epoch("t0", 1, train_loss=float("inf"), validation_loss=float("inf"))
    client = TestClient(make_app(LiveSweep(store.folder)))
    assert client.get("/api/curves?trial=t0&metric=validation_loss").json()["data"][0]["y"] == [None]
    cell = client.get("/api/heatmap?x=status&metric=validation_loss").json()["grid"]["rows"][0]["cells"][0]
    assert cell["value"] == "inf"
    json.loads(client.get("/api/trials").content, parse_constant=lambda text: pytest.fail(text))


def test_a_decision_by_several_objectives_names_the_front() -> None:
    row = {"rung": 2, "rung_rank": 3, "rung_size": 9, "rung_cutoff": None, "rung_front": 2, "decision": "stop"}
    assert decision_text(row, "validation_accuracy") == "rung 2: rank 3 of 9, front 2: stop"
    alone = row | {"rung_front": None, "rung_cutoff": 0.5}
    assert decision_text(alone, "validation_accuracy") == "rung 2: rank 3 of 9, cutoff 50.0: stop"


@pytest.fixture
def of_several_objectives(tmp_path: Path) -> TestClient:
    """Accuracy against parameters and latency: three trials on the front, one beaten, one stopped."""
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        objectives = "[{metric: num_parameters}, {metric: validation_accuracy}, {metric: latency_seconds}]"
        (tmp_path / "s" / "sweep.yaml").write_text(f"name: s\nobjective: {objectives}\n")
        for place, accuracy in enumerate((0.5, 0.9, 0.7, 0.6, 0.4)):
            values = {"num_parameters": 10 ** (place + 2), "configuration": {"width": place}}
            store.update_trial(f"t{place}", status="stopped" if place == 4 else "completed", **values)
            store.update_trial(f"t{place}", started_at=START, ended_at=START + timedelta(minutes=place + 1))
            store.add_epoch(f"t{place}", 1, validation_accuracy=accuracy, latency_seconds=0.1 if place == 2 else 0.2)
    return TestClient(make_app(LiveSweep(tmp_path / "s")))


def test_of_several_objectives_the_page_answers_with_the_front(of_several_objectives: TestClient) -> None:
    answer = ask(of_several_objectives, "state")["answer"]
    assert answer.startswith("3 of 4 completed trials are on the Pareto front: from t0")
    trials = ask(of_several_objectives, "trials")
    assert [one["title"] for one in trials["columns"]][:6] == [
        "front", "trial", "status", "parameters", "accuracy", "latency (s)",
    ]  # fmt: skip
    assert column(trials, "trial_id") == ["t0", "t1", "t2", "t3", "t4"]
    assert column(trials, "rank") == [1, 2, 3, None, None]


def test_the_front_is_drawn_against_each_cost_and_a_point_names_its_trial(of_several_objectives: TestClient) -> None:
    front = ask(of_several_objectives, "front")
    assert front["told"].startswith("None of the 4 completed trials is better in one of num parameters, validation")
    assert [one["name"] for one in front["plots"]] == [
        "validation accuracy against num parameters",
        "validation accuracy against latency seconds",
    ]
    stopped, dominated, edge, ahead = front["plots"][0]["figure"]["data"]
    assert (stopped["customdata"], dominated["customdata"]) == (["t4"], ["t3"])
    assert (ahead["customdata"], ahead["x"], ahead["y"]) == (["t0", "t1", "t2"], [100, 1000, 10000], [0.5, 0.9, 0.7])
    assert (edge["x"], edge["y"], edge["line"]["shape"]) == ([100, 1000], [0.5, 0.9], "hv")
    assert ahead["text"][1] == "t1<br>completed, epoch 1: validation accuracy 90.0 %<br>width=1"
    assert [one["figure"]["layout"]["xaxis"].get("type") for one in front["plots"]] == ["log", None]
    course = ask(of_several_objectives, "course")
    assert course["data"][0]["y"] == hypervolumes(of_several_objectives)
    assert course["told"].startswith("Hypervolume: the share that the front dominates")


def hypervolumes(client: TestClient) -> list[float]:
    folder = Path(ask(client, "state")["folder"])
    return hypervolume_history(load(folder).trials, read_sweep_file(folder).objectives)["hypervolume"].tolist()


def test_of_one_objective_there_is_no_front(client: TestClient) -> None:
    assert ask(client, "front") is None


def test_what_a_report_finds_further_is_told_and_drawn_when_asked_for(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        for place in range(6):
            configuration = {"optimizer.lr": 0.1 * (place // 2 + 1), "seed": place % 2, SCRIPT: place % 3}
            store.update_trial(f"t{place}", status="completed", seed=place % 2, configuration=configuration)
            store.update_trial(f"t{place}", baseline=place == 0)
            store.add_epoch(f"t{place}", 1, validation_accuracy=0.5 + place / 10)
    folder = tmp_path / "s"
    client = TestClient(make_app(LiveSweep(folder)))
    further = ask(client, "findings")
    reported = {section.title: section for section in make_report(folder, *load(folder)).sections}
    assert [one["title"] for one in further] == ["Changes of the baseline", "One parameter at a time"]
    for one in further:
        assert (one["figure"], tuple(one["text"])) == (reported[one["title"]].name, reported[one["title"]].text)
    assert further[0]["table"]["heads"][:2] == ["trial", "change"]
    light, dark = (
        client.get("/api/picture", params={"name": "slices_validation_accuracy", "theme": theme})
        for theme in ("light", "dark")
    )
    assert light.headers["content-type"] == "image/png"
    assert light.content.startswith(b"\x89PNG")
    assert light.content != dark.content
    missing = client.get("/api/picture?name=x")
    assert missing.status_code == 422
    assert missing.json()["error"].startswith("there is no figure `x`; there are ablation_validation_accuracy, slices")
