from rlm_core import throttle
from rlm_core.throttle import Throttle


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def volley(limiter, count):
    places = [limiter.start() for _ in range(count)]
    assert None not in places
    return places


def test_nothing_is_limited_before_the_first_refusal():
    limiter = Throttle()
    for place in volley(limiter, 500):
        limiter.succeeded(place)
    assert limiter.limit is None


def test_one_volley_of_refusals_halves_the_limit_once():
    limiter = Throttle()
    for place in volley(limiter, 16):
        limiter.throttled(place)
    assert limiter.limit == 8
    for place in volley(limiter, 8):
        limiter.throttled(place)
    assert limiter.limit == 4


def test_no_place_above_the_limit():
    limiter = Throttle()
    for place in volley(limiter, 4):
        limiter.throttled(place)
    first, _second = volley(limiter, 2)
    assert limiter.start() is None
    limiter.failed(first)
    assert limiter.start() is not None


def test_answers_to_calls_sent_before_a_cut_do_not_raise_the_limit():
    limiter = Throttle()
    places = volley(limiter, 16)
    limiter.throttled(places[0])
    for place in places[1:]:
        limiter.succeeded(place)
    assert limiter.limit == 8


def test_a_round_of_answers_raises_the_limit_by_about_one():
    limiter = Throttle()
    for place in volley(limiter, 16):
        limiter.throttled(place)
    for place in volley(limiter, 8):
        limiter.succeeded(place)
    assert limiter.limit == 8
    for place in volley(limiter, 8):
        limiter.succeeded(place)
    assert limiter.limit == 9


def test_the_limit_recovers_until_it_is_lifted():
    limiter = Throttle()
    for place in volley(limiter, 16):
        limiter.throttled(place)
    answers = 0
    while limiter.limit is not None:
        limiter.succeeded(limiter.start())
        answers += 1
    assert 80 < answers < 120  # 8 + 9 + ... + 15 = 92


def test_one_call_at_a_time_is_always_allowed():
    limiter = Throttle()
    for _ in range(10):
        limiter.throttled(limiter.start())
    assert limiter.start() is not None


def test_a_provider_that_asks_for_a_pause_gets_no_call_before_its_end():
    clock = Clock()
    limiter = Throttle(clock)
    limiter.throttled(limiter.start(), pause=30)
    assert limiter.start() is None
    assert limiter.delay() == 1  # it may open earlier for nobody, but the wait stays one that can be given up
    clock.now += 29.9
    assert limiter.start() is None
    assert 0 < limiter.delay() <= 0.11
    clock.now += 0.2
    assert limiter.start() is not None


def test_the_lms_of_a_provider_share_one_throttle():
    assert throttle.of("https://one.example/v1") is throttle.of("https://one.example/v1")
    assert throttle.of("https://one.example/v1") is not throttle.of("https://two.example/v1")
