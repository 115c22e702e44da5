import pytest

from rlm_core.lms import LMCallError
from rlm_core.retry import RetryRule

RULE = RetryRule(retries=4, timeouts=1, first=0.5, longest=3.0, patience=60.0)


def again(kind="error", retry_after=None):
    return LMCallError("failed", kind, again=True, retry_after=retry_after)


def test_back_off_doubles_up_to_the_longest_wait():
    waits = [RULE.wait([again()] * count) for count in (1, 2, 3, 4)]
    for wait, expected in zip(waits, (0.5, 1.0, 2.0, 3.0), strict=True):
        assert 0.75 * expected <= wait <= 1.25 * expected


def test_calls_that_failed_at_once_do_not_come_back_at_once():
    assert len({RULE.wait([again()]) for _ in range(20)}) > 1


def test_no_call_is_sent_again_more_often_than_the_rule_says():
    assert RULE.wait([again()] * 5) is None
    assert RetryRule(retries=0).wait([again()]) is None


def test_a_timeout_is_repeated_once():
    assert RULE.wait([again("timeout")]) is not None
    assert RULE.wait([again("timeout"), again()]) is not None
    assert RULE.wait([again("timeout"), again(), again("timeout")]) is None


def test_what_cannot_succeed_is_not_sent_again():
    assert RULE.wait([LMCallError("no such model")]) is None


@pytest.mark.parametrize("asked", [0.0, 7.5, 60.0])
def test_retry_after_goes_before_the_back_off(asked):
    assert RULE.wait([again("rate_limit", asked)]) == asked


def test_a_provider_that_asks_for_more_than_the_patience_is_given_up():
    assert RULE.wait([again("rate_limit", 61.0)]) is None
