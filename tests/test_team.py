"""How threads meet in a kernel: every interleaving of a model of it, the real functions step by step beside the model,
and real threads that are held up between any two of their reads and writes."""

import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import bpjit
from bpjit.kernels import team
from bpjit.kernels.team import ARRIVED, CLOSED, FIRST, LEARN, NOT_OPEN, NUMBER, PARTS_BITS, PHASE, PLACES, PRESENT, WORD

DATA = {FIRST: 10, NUMBER: 20, LEARN: 1, PHASE: 0}  # what phase k writes there, beside k (LEARN: 1)


def value(place, k):
    return DATA[place] + (k if place != LEARN else 0)


class Broken(AssertionError):
    """A part was done twice, left undone, or with the wrong data."""


# --- The model. A state is (shared places, leader, helpers, parts of this phase that are done). A thread's next step is
# one read or write of a shared place, or one part of the work. ``step`` gives what it does and the state after it.

PLACE_NUMBERS = {place: i for i, place in enumerate((PRESENT, WORD, ARRIVED, PHASE, FIRST, NUMBER, LEARN))}
START = (0, NOT_OPEN, 0, -1, -1, -1, -1)


def put(shared, place, new):
    i = PLACE_NUMBERS[place]
    return (*shared[:i], new, *shared[i + 1 :])


def do(done, part, k, now):
    if k != now or done >> part & 1:
        raise Broken(f"part {part} of phase {k} while phase {now} runs, done {done:b}")
    return done | 1 << part


def lead(state, phases):
    """The leader's next step: (what it does, the state after it), or None at its end."""
    shared, (k, at, parts, word), helpers, done = state
    present, current, arrived = shared[:3]

    def then(shared, leader, done=done):
        return shared, leader, helpers, done

    if at == "open":
        word = 1 << PARTS_BITS
        return ("write", WORD, word), then(put(shared, WORD, word), (0, FIRST, 0, word))
    if k == phases:
        return None if at == "gone" else (("write", WORD, CLOSED), then(put(shared, WORD, CLOSED), (k, "gone", 0, 0)))
    if at in (FIRST, NUMBER, LEARN):
        following = {FIRST: NUMBER, NUMBER: LEARN, LEARN: "present"}[at]
        return ("write", at, value(at, k)), then(put(shared, at, value(at, k)), (k, following, 0, word))
    if at == "present":
        return ("read", PRESENT, present), then(shared, (k, PHASE if present else "part", 1 + present, word))
    if at == PHASE:
        return ("write", PHASE, k), then(put(shared, PHASE, k), (k, ARRIVED, parts, word))
    if at == ARRIVED:
        return ("write", ARRIVED, 0), then(put(shared, ARRIVED, 0), (k, "word", parts, word))
    if at == "word":
        return ("read", WORD, current), then(shared, (k, WORD, parts, current))
    if at == WORD:
        word = ((word >> PARTS_BITS) + 1) << PARTS_BITS | parts
        return ("write", WORD, word), then(put(shared, WORD, word), (k, "part", parts, word))
    if at == "part":
        done = do(done, 0, k, k)
        if parts == 1:
            return ("part", 0, k), then(shared, (k + 1, FIRST, 0, word), 0)
        return ("part", 0, k), then(shared, (k, "gather", parts, word), done)
    assert at == "gather"
    if arrived < parts - 1:
        return ("read", ARRIVED, arrived), state
    if done != (1 << parts) - 1:
        raise Broken(f"phase {k} is left with parts {done:b} of {parts} done")
    return ("read", ARRIVED, arrived), then(shared, (k + 1, FIRST, 0, word), 0)


def help_out(state, i):
    """The next step of helper i, as ``lead``."""
    shared, leader, helpers, done = state
    at, word, part, parts = helpers[i]
    present, current, arrived = shared[:3]

    def then(helper, shared=shared, done=done):
        return shared, leader, (*helpers[:i], helper, *helpers[i + 1 :]), done

    if at == "new":
        helper = (at, 0, 0, 0) if current == NOT_OPEN else ("join", current, 0, 0)
        return ("read", WORD, current), then(helper)
    if at == "join":
        helper = ("gone" if word == CLOSED else "wait", word, present + 1, 0)
        return ("add", PRESENT, present), then(helper, put(shared, PRESENT, present + 1))
    if at == "wait":
        parts = current & team.PARTS_OF_WORD
        if current == CLOSED:
            helper = ("gone", 0, 0, 0)
        elif current != word and part < parts:
            helper = (PHASE, current, part, parts)
        else:
            helper = ("wait", current, part, 0)
        return ("read", WORD, current), then(helper)
    if at in (PHASE, FIRST, NUMBER, LEARN):
        found, k = shared[PLACE_NUMBERS[at]], leader[0]
        if found != value(at, k):
            raise Broken(f"a helper reads {found} where phase {k} has {value(at, k)}")
        following = {PHASE: FIRST, FIRST: NUMBER, NUMBER: LEARN, LEARN: "part"}[at]
        return ("read", at, found), then((following, word, part, parts))
    if at == "part":
        return ("part", part, shared[3]), then(("arrive", word, part, 0), done=do(done, part, shared[3], leader[0]))
    if at == "arrive":
        return ("add", ARRIVED, arrived), then(("wait", word, part, 0), put(shared, ARRIVED, arrived + 1))
    return None


def beginning(helpers):
    return START, (0, "open", 0, 0), (("new", 0, 0, 0),) * helpers, 0


def every_state(helpers, phases, help_out=help_out):
    """All states that can be reached, and how many of them are ends; helpers in any order are the same."""
    first = beginning(helpers)
    seen, left, ends = {first}, [first], 0
    while left:
        state = left.pop()
        steps = [lead(state, phases), *(help_out(state, i) for i in range(helpers))]
        after = {(a, b, tuple(sorted(c, key=str)), d) for a, b, c, d in (step[1] for step in steps if step)}
        ends += all(step is None for step in steps)
        # Nobody waits for what never comes: unless all have ended, some step leads on.
        assert after - {state} or all(step is None for step in steps), state
        left += after - seen
        seen |= after
    return len(seen), ends


@pytest.mark.parametrize(("helpers", "phases"), [(1, 4), (2, 4), (3, 4), pytest.param(4, 4, marks=pytest.mark.slow)])
def test_no_interleaving_does_a_part_twice_or_leaves_one_out(helpers, phases):
    states, ends = every_state(helpers, phases)
    assert states > 100
    assert ends >= 1


def test_the_model_finds_a_word_that_is_read_in_two():
    """What was wrong once: the generation read first, and then in how many parts."""

    def apart(state, i):
        (_, current, *_), leader, helpers, done = state
        at, word, part, _ = helpers[i]
        if at == "wait" and current not in (CLOSED, word):
            changed = "parts", current, part, 0
        elif at == "parts" and part < current & team.PARTS_OF_WORD:
            changed = PHASE, word, part, current & team.PARTS_OF_WORD
        elif at == "parts":
            changed = "wait", word, part, 0
        else:
            return help_out(state, i)
        return ("read", WORD, current), (state[0], leader, (*helpers[:i], changed, *helpers[i + 1 :]), done)

    every_state(1, 3, apart)
    with pytest.raises(Broken):
        every_state(2, 3, apart)


# --- The functions of ``team`` as they are, one step at a time, each held against the model.


class Lockstep:
    """Threads that take one step when they are told to."""

    def __init__(self, count):
        self.places = np.zeros(PLACES, np.int64)
        self.turns = [threading.Semaphore(0) for _ in range(count)]
        self.taken = threading.Semaphore(0)
        self.last, self.over = None, [False] * count
        self.me = threading.local()

    def step(self, kind, place, act):
        self.turns[self.me.number].acquire()
        self.last = kind, place, act()
        self.taken.release()
        return self.last[2]

    def read(self, places, place):
        return self.step("read", place, lambda: int(places[place]))

    def write(self, places, place, new):
        self.step("write", place, lambda: places.__setitem__(place, new) or int(new))

    def add(self, places, place, more):
        def act():
            before = int(places[place])
            places[place] += more
            return before

        return self.step("add", place, act)

    def start(self, number, work):
        def run():
            self.me.number = number
            work()
            self.turns[number].acquire()
            self.over[number] = True
            self.taken.release()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def let(self, number):
        """One step of a thread; returns what it did, or None at its end."""
        self.last = None
        self.turns[number].release()
        assert self.taken.acquire(timeout=20)
        return self.last


@pytest.mark.parametrize("seed", range(40))
def test_the_functions_do_what_the_model_does(seed, monkeypatch):
    choose, helpers, phases = random.Random(seed), 1 + seed % 3, 3
    lock = Lockstep(helpers + 1)
    for name in ("read", "write", "add"):
        monkeypatch.setattr(team, name, getattr(lock, name))
    monkeypatch.setattr(team, "give_way", lambda: None)
    monkeypatch.setattr(team, "PATIENCE", 2)  # helpers give up and come again

    def follow(turn, part, word):
        """As the kernels do."""
        turn, parts, word = team.begin_phase(lock.places, turn, part, word)
        if part < parts:
            phase, t, n, learn = turn
            assert (t, n, learn) == (10 + phase, 20 + phase, True)
            lock.step("part", part, lambda: phase)
        team.end_phase(lock.places, part, parts)
        return word

    def leading():
        team.open_team(lock.places)
        for k in range(phases):
            follow(team.Turn(k, 10 + k, 20 + k, True), team.LEADER, CLOSED)
        team.close_team(lock.places)

    def helping():
        part, word = team.join(lock.places)
        while part == team.NOT_YET:
            part, word = team.join(lock.places)
        while word != CLOSED:
            word = follow(None, part, word)

    threads = [lock.start(number, helping if number else leading) for number in range(helpers + 1)]
    state = beginning(helpers)
    favoured = choose.randrange(helpers + 1)
    while not all(lock.over):
        number = favoured if choose.random() < 0.4 else choose.randrange(helpers + 1)
        if lock.over[number]:
            favoured = choose.choice([i for i in range(helpers + 1) if not lock.over[i]])
            continue
        did = lock.let(number)
        expected = lead(state, phases) if number == 0 else help_out(state, number - 1)
        if did is None:
            assert expected is None
            continue
        kind, place, what = did
        assert (kind, place, what) == expected[0]
        state = expected[1]
        if choose.random() < 0.1:
            favoured = choose.randrange(helpers + 1)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


# --- Real threads, in a copy of the package whose atomic reads and writes wait first, now and then.

STALL = """
def _place(context: Any, builder: Any, array: Any, value: Any, index: Any) -> Any:
    number = ir.IntType(32)
    draw = cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, []), "rand")
    sleep = cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, [number]), "usleep")
    drawn = builder.call(draw, [])
    rarely = builder.icmp_unsigned("==", builder.and_(drawn, number(15)), number(0))
    with builder.if_then(rarely):
        builder.call(sleep, [builder.and_(builder.lshr(drawn, number(8)), number(63))])
"""
STALLED = """
import sys, numpy as np, bpjit
from bpjit.training import session
assert bpjit.__file__.startswith(sys.argv[1])
session.CALL_SECONDS = 0.003
rng = np.random.default_rng(0)
X, Y = rng.random((64, 2)), rng.random((64, 1))
net = bpjit.Network.random((2, 3, 1))
settings = {"stop": 60} if sys.argv[2] == "lm" else {"updates": 32, "stop": 150, "eta": 0.01}
def go(threads):
    return bpjit.train(net, X, Y, threads=threads, rule=sys.argv[2], **settings).network
one = go(1)
print(sum(go(threads) != one for threads in (2, 3, 4, 5) for _ in range(int(sys.argv[3]))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["sgd", "adam", "lm"])
def test_threads_held_up_at_any_place_give_the_same_bits(tmp_path, rule):
    package = tmp_path / "bpjit"
    shutil.copytree(Path(bpjit.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    file = package / "kernels" / "team.py"
    head = STALL[: STALL.index(":\n") + 2].lstrip()
    text = file.read_text()
    assert head in text
    file.write_text(text.replace(head, STALL.lstrip()))
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", STALLED, str(tmp_path), rule, "25"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.stdout.strip() == "0", done.stderr
