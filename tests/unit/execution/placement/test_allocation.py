"""Who goes where: the pure packing, and that nothing starves."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_tune.execution.placement.allocation import WHOLE, FreeResources, ResourceShare, all_free, allocate, lacking

CORE = WHOLE


def share(parts: float, cores: int = 1) -> ResourceShare:
    return ResourceShare(round(parts * WHOLE), cores * CORE)


def places(rooms: list[FreeResources], *waiting: dict[str, ResourceShare]) -> dict[str, str]:
    grants, _ = allocate(rooms, [(str(number), wants) for number, wants in enumerate(waiting)])
    return {grant.trial: grant.node_id for grant in grants}


def test_an_h100_holds_ten_where_a_4060_holds_one() -> None:
    rooms = [all_free("4060", 1, 16), all_free("h100", 1, 16)]
    wants = {"4060": share(1.0), "h100": share(0.1)}
    placed = places(rooms, *[wants] * 20)
    assert list(placed.values()).count("4060") == 1
    assert list(placed.values()).count("h100") == 10
    assert len(placed) == 11


def test_a_trial_that_fits_only_the_large_card_finds_it_free_of_small_ones() -> None:
    rooms = [all_free("4060", 1, 16), all_free("h100", 1, 16)]
    small, large = {"4060": share(0.5), "h100": share(0.05)}, {"h100": share(1.0)}
    assert places(rooms, small, small, large) == {"0": "4060", "1": "4060", "2": "h100"}


def test_trials_waiting_for_one_kind_run_on_another() -> None:
    rooms = [FreeResources("4060", (0,), 8 * CORE), all_free("h100", 1, 8)]
    assert places(rooms, {"4060": share(1.0), "h100": share(0.1)}) == {"0": "h100"}


def test_of_alike_nodes_the_emptiest_is_taken() -> None:
    rooms = [FreeResources("a", (WHOLE // 2,), 8 * CORE), all_free("b", 1, 8)]
    assert places(rooms, {"a": share(0.25), "b": share(0.25)}) == {"0": "b"}


def test_on_one_node_the_fullest_card_that_has_room_is_taken_as_ray_does() -> None:
    room = FreeResources("a", (WHOLE, WHOLE // 2, WHOLE // 4), 8 * CORE)
    assert room.best(share(0.3)) == (1,)
    assert room.minus(share(0.3), (1,)).cards == (WHOLE, WHOLE // 5, WHOLE // 4)


def test_a_trial_of_several_cards_takes_them_all_of_one_node() -> None:
    pair = ResourceShare(WHOLE, 2 * CORE, 2)
    room = FreeResources("a", (WHOLE, WHOLE // 2, WHOLE, WHOLE), 8 * CORE)
    assert room.best(pair) == (0, 2)
    assert room.minus(pair, (0, 2)).cards == (0, WHOLE // 2, 0, WHOLE)
    assert (room.times(pair), all_free("b", 5, 8).times(pair), all_free("b", 1, 8).times(pair)) == (1, 2, 0)
    assert places([all_free("a", 1, 8), all_free("b", 1, 8)], {"a": pair, "b": pair}) == {}
    assert places([room, all_free("b", 2, 8)], *[{"a": pair, "b": pair}] * 3) == {"0": "a", "1": "b"}


def test_what_several_cards_lack_is_added_up_over_the_emptiest() -> None:
    pair = ResourceShare(WHOLE, 2 * CORE, 2)
    assert lacking(FreeResources("a", (WHOLE // 4, WHOLE, WHOLE // 2), 8 * CORE), pair) == WHOLE // 2
    assert lacking(FreeResources("a", (WHOLE,), CORE), pair) == WHOLE + CORE


def test_cores_limit_too() -> None:
    assert places([all_free("a", 1, 2)], *[{"a": share(0.1)}] * 5) == {"0": "a", "1": "a"}
    assert places([all_free("a", 0, 2)], *[{"a": ResourceShare(0, CORE)}] * 5) == {"0": "a", "1": "a"}


def test_a_large_trial_that_waits_closes_its_node_to_those_behind_it() -> None:
    rooms = [FreeResources("a", (WHOLE // 2,), 8 * CORE)]
    assert places(rooms, {"a": share(0.75)}, {"a": share(0.25)}) == {}
    assert places(rooms, {"a": share(0.25)}, {"a": share(0.75)}) == {"0": "a"}


def test_other_nodes_stay_open_while_one_drains() -> None:
    rooms = [FreeResources("a", (WHOLE // 2,), 8 * CORE), FreeResources("b", (WHOLE // 2,), 8 * CORE)]
    waiting = {"a": share(0.75)}, {"a": share(0.25), "b": share(0.25)}
    assert places(rooms, *waiting) == {"1": "b"}


SHARES = st.sampled_from([0.05, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_nothing_starves_and_no_card_is_ever_overfull(data: st.DataObject) -> None:
    """Small trials keep coming, running ones end in any order, and the large one that waits first gets its place."""
    nodes = {f"n{number}": data.draw(st.integers(1, 3)) for number in range(data.draw(st.integers(1, 3)))}
    rooms = {name: all_free(name, cards, 100) for name, cards in nodes.items()}
    running: list[tuple[str, tuple[int, ...], ResourceShare]] = []
    large = ResourceShare(WHOLE, CORE, data.draw(st.integers(1, min(nodes.values()))))
    waiting: list[tuple[str, dict[str, ResourceShare]]] = []

    def start() -> set[str]:
        grants, _ = allocate(list(rooms.values()), waiting)
        for grant in grants:
            numbers = rooms[grant.node_id].best(grant.piece)
            rooms[grant.node_id] = rooms[grant.node_id].minus(grant.piece, numbers)
            running.append((grant.node_id, numbers, grant.piece))
        started = {grant.trial for grant in grants}
        waiting[:] = [(trial, wants) for trial, wants in waiting if trial not in started]
        assert all(0 <= parts <= WHOLE for room in rooms.values() for parts in room.cards)
        return started

    waiting += [(f"early{number}", dict.fromkeys(nodes, share(data.draw(SHARES)))) for number in range(12)]
    start()
    waiting[:] = [("large", dict.fromkeys(nodes, large))]
    if "large" in start():
        return
    nearest = min(lacking(room, large) for room in rooms.values())
    for late in range(len(running) + 1):
        name, numbers, piece = running.pop(data.draw(st.integers(0, len(running) - 1)))
        rooms[name] = rooms[name].minus(ResourceShare(-piece.card, -piece.cores), numbers)
        waiting.append((f"late{late}", dict.fromkeys(nodes, share(data.draw(SHARES)))))
        if "large" in start():
            return
        now = min(lacking(room, large) for room in rooms.values())
        assert now <= nearest
        nearest = now
    for name, numbers, piece in running:
        rooms[name] = rooms[name].minus(ResourceShare(-piece.card, -piece.cores), numbers)
    assert "large" in start()
