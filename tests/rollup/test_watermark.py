"""Laws of the watermark: monotone, the minimum of the streams, sealing whole days."""

from hypothesis import given
from hypothesis import strategies as st

from streams.rollup.watermark import DAY_MICROS, Watermark

RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["one", "two"]),
        st.sampled_from(["live", "backfill", "retired"]),
        st.none() | st.integers(0, 10**15),
    ),
    max_size=40,
)


@given(RECORDS)
def test_it_never_goes_back_and_never_passes_a_stream_that_is_registered(records) -> None:
    watermark = Watermark(3_600_000_000)
    before = None
    for stream, mode, through in records:
        watermark.advance(stream, mode, through)
        if before is not None:
            assert watermark.value is not None
            assert watermark.value >= before
        if watermark.value is not None and watermark.value != before:
            assert all(bound is not None and bound >= watermark.value for bound in watermark.streams.values())
        before = watermark.value


@given(st.integers(0, 10**15), st.integers(0, 10**12))
def test_only_whole_days_that_ended_before_watermark_minus_lateness_are_sealed(value, lateness) -> None:
    watermark = Watermark(lateness, value=value)
    sealed = watermark.sealed_through
    assert sealed is not None
    assert sealed % DAY_MICROS == 0
    assert sealed <= value - lateness < sealed + DAY_MICROS
    assert watermark.is_late(sealed - 1)
    assert not watermark.is_late(sealed)


@given(RECORDS)
def test_a_saved_watermark_restores_to_the_same(records) -> None:
    watermark = Watermark(0)
    for record in records:
        watermark.advance(*record)
    restored = Watermark(0)
    restored.restore(watermark.saved())
    assert restored == watermark
