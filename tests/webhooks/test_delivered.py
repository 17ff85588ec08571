"""What a stream remembers of deliveries: long enough for every retry, and no longer."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from connectors.stream_state import merge_updates
from connectors.webhooks.delivered import DELIVERED, DeliveredIds

FIRST = date(2026, 11, 1)


@given(days=st.lists(st.integers(0, 3), min_size=1, max_size=40), restarts=st.sets(st.integers(0, 40)))
def test_ids_are_known_for_four_days_over_any_restart_and_then_dropped(days: list[int], restarts: set[int]) -> None:
    state: dict[str, object] = {}
    known = DeliveredIds(state)
    received: list[tuple[date, str]] = []
    day = FIRST
    for number, gap in enumerate(days):
        day += timedelta(days=gap)
        delivery_id = f"evt_{number}" * (1 if number % 3 else 40)
        assert delivery_id not in known
        received.append((day, delivery_id))
        merge_updates(state, known.remember([(day, delivery_id)]))
        if number in restarts:
            known = DeliveredIds(state)
        for then, one in received:
            assert (one in known) == (day - then <= timedelta(days=4))
    assert all(len(text) <= 64 for entry in state.values() for text in entry)  # type: ignore[attr-defined]
    assert {entry.split("/")[1] for entry in state} == {
        then.isoformat() for then, _ in received if day - then <= timedelta(days=4)
    }
    assert all(entry.startswith(DELIVERED) for entry in state)


def test_a_days_ids_fill_a_few_entries() -> None:
    state: dict[str, object] = {}
    known = DeliveredIds(state)
    for number in range(300):
        updates = known.remember([(FIRST, f"evt_{number}")])
        assert len(updates) == 1
        merge_updates(state, updates)
        if number % 70 == 0:
            known = DeliveredIds(state)
    assert sorted(len(ids) for ids in state.values()) == [44, 128, 128]  # type: ignore[arg-type]
    assert all(f"evt_{number}" in DeliveredIds(state) for number in range(300))
