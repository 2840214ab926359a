"""The application: addresses and what each answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cifar_tune.analysis.heatmaps.heatmap import AGGREGATES
from cifar_tune.analysis.reports.overview import Choice
from cifar_tune.dashboard import figures, views
from cifar_tune.dashboard.assets import asset
from cifar_tune.dashboard.findings import findings, picture
from cifar_tune.dashboard.front import covered, front
from cifar_tune.dashboard.heat_grid import heat_grid
from cifar_tune.dashboard.live import LiveSweep, Snapshot
from cifar_tune.dashboard.machine import machines
from cifar_tune.dashboard.payload import Answers, Payload, as_json, respond
from cifar_tune.errors import AnalysisError
from cifar_tune.plotting.theme import LIGHT, Theme

JSON = "application/json"
Question = Callable[[Snapshot, Request], Any]


def make_app(sweep: LiveSweep) -> Starlette:
    """The page of a sweep and its data; every answer is made from the newest snapshot."""
    answers = Answers()
    one_at_a_time = threading.Lock()

    def importances(snapshot: Snapshot, request: Request) -> Any:
        with one_at_a_time:
            return figures.importances(snapshot, _theme(request))

    def told(snapshot: Snapshot, _: Request) -> Any:
        with one_at_a_time:
            return findings(snapshot)

    def drawn(snapshot: Snapshot, request: Request) -> Payload:
        with one_at_a_time:
            return Payload(picture(snapshot, request.query_params.get("name", ""), _theme(request)))

    def trial(snapshot: Snapshot, request: Request) -> Any:
        trial_id = request.query_params.get("id", "")
        return views.trial(snapshot, trial_id, sweep.history(trial_id))

    kept: dict[str, Question] = {
        "trials": lambda snapshot, _: views.trials(snapshot),
        "trial": trial,
        "heatmap": lambda snapshot, request: heat_grid(snapshot, _choice(request)),
        "curves": _curves,
        "decisions": lambda snapshot, _: views.decisions(snapshot),
        "confirmations": lambda snapshot, _: views.confirmations(snapshot),
        "spent": lambda snapshot, _: views.spent(snapshot),
        "front": lambda snapshot, request: front(snapshot, _theme(request)),
        "course": lambda snapshot, request: _course(snapshot, _theme(request)),
        "importance": importances,
        "findings": told,
    }
    changing: dict[str, Question] = {
        "state": lambda snapshot, _: views.state(snapshot),
        "machines": lambda snapshot, _: machines(snapshot),
    }

    def answer(request: Request) -> Response:
        name = request.path_params["name"]
        snapshot = sweep.snapshot()
        try:
            if name in changing:
                return respond(request, as_json(changing[name](snapshot, request)), JSON)
            question = f"{name}?{request.url.query}"
            if name in kept:
                payload = answers.get(snapshot.version, question, lambda: as_json(kept[name](snapshot, request)))
                return respond(request, payload, JSON)
            if name == "picture":
                payload = answers.get(snapshot.version, question, lambda: drawn(snapshot, request))
                return respond(request, payload, "image/png")
        except AnalysisError as error:
            return Response(as_json({"error": str(error)}).content, 422, media_type=JSON)
        return Response(as_json({"error": f"there is no `{name}`"}).content, 404, media_type=JSON)

    return Starlette(routes=[Route("/", asset), Route("/{name}", asset), Route("/api/{name}", answer)])


def _theme(request: Request) -> Theme:
    return figures.THEMES.get(request.query_params.get("theme", ""), LIGHT)


def _course(snapshot: Snapshot, theme: Theme) -> Any:
    """How the search went: of several objectives what their front covered, else the best value so far."""
    return covered(snapshot, theme) if views.several_objectives(snapshot) else figures.best_so_far(snapshot, theme)


def _choice(request: Request) -> Choice:
    """The heat map that an address names.

    Raises:
        AnalysisError: an epoch that is not a number, or no such way to aggregate.
    """
    asked = request.query_params
    at_epoch = asked.get("at_epoch", "")
    if at_epoch and not at_epoch.isdecimal():
        raise AnalysisError(f"at_epoch={at_epoch}: must be a whole number")
    aggregates = {name: name for name in AGGREGATES}
    aggregate = asked.get("aggregate") or "best"
    if aggregate not in aggregates:
        raise AnalysisError(f"`{aggregate}` is not a way to aggregate; there are {', '.join(AGGREGATES)}")
    return Choice(
        x=asked.get("x") or None,
        y=asked.get("y") or None,
        metric=asked.get("metric") or None,
        aggregate=aggregates[aggregate],
        at_epoch=int(at_epoch) if at_epoch else None,
    )


def _curves(snapshot: Snapshot, request: Request) -> Any:
    metric = request.query_params.get("metric") or views.curve_metrics(snapshot)[0]["name"]
    return figures.curves(snapshot, request.query_params.getlist("trial"), metric, _theme(request))
