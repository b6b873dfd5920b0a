"""Medians, ratios within rounds, and judgements."""

from benchmarks.figures import Measured, Spread, judge, of_rounds, percentiles, ratios


def rounds(*rates: float) -> list[Measured]:
    return [Measured(rate=rate) if rate else Measured(failed="it broke") for rate in rates]


def test_percentiles_are_in_milliseconds() -> None:
    found = percentiles([n / 1000 for n in range(1, 101)])
    assert found == {"p50": 51.0, "p99": 100.0, "max": 100.0, "count": 100}
    assert percentiles([]) == {}


def test_a_ratio_is_taken_within_each_round_not_of_the_medians() -> None:
    """A machine that is slow in one round is slow for both."""
    assert ratios(rounds(10, 100, 30), rounds(10, 50, 10)) == Spread(2.0, 1.0, 3.0)


def test_rounds_in_which_either_failed_are_left_out() -> None:
    assert ratios(rounds(10, 0, 30), rounds(10, 50, 0)) == Spread(1.0, 1.0, 1.0)
    assert ratios(rounds(0), rounds(0)) is None
    assert ratios(rounds(10, 20), rounds(5)) == Spread(2.0, 2.0, 2.0)


def test_the_noise_is_how_far_rounds_lie_apart_to_their_median() -> None:
    found = of_rounds(rounds(90, 100, 0, 120), "rate")
    assert found is not None
    assert found.relative == 0.3


def test_a_line_holds_when_its_median_does() -> None:
    assert judge("a", Spread(1.0, 0.5, 2.0), at_least=1.0).outcome == "PASS"
    assert judge("a", Spread(0.99, 0.5, 2.0), at_least=1.0).outcome == "FAIL"
    assert judge("a", Spread(5.0, 1.0, 9.0), at_most=5.0).outcome == "PASS"
    assert judge("a", Spread(5.1, 1.0, 9.0), at_most=5.0).outcome == "FAIL"


def test_what_was_not_measured_is_skipped_with_the_reason() -> None:
    skipped = judge("a", None, at_least=2.0, unit=" times", goal="3 times", missing="no Java here")
    assert (skipped.outcome, skipped.measured, skipped.bound) == (
        "SKIP",
        "no Java here",
        "at least 2 times (goal 3 times)",
    )
