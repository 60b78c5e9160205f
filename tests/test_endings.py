"""Whatever is raised at whatever moment, everything that was started ends, and what is left can be used."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import bpjit
from bpjit.learners import learner_bank
from bpjit.training.crew import Access, Share, ask_for_help
from cases import AfterAWhile

posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX signals")


def bpjit_threads():
    return [thread for thread in threading.enumerate() if thread.name == "bpjit"]


def wait_for_the_end(seconds=2.0):
    """All threads of ours end by themselves."""
    end = time.monotonic() + seconds
    while bpjit_threads():
        assert time.monotonic() < end, bpjit_threads()
        time.sleep(0.01)


class Cut(Exception):
    """What a signal handler may raise."""


# --- Threads.


def test_helpers_are_used_again_and_end_when_idle():
    wait_for_the_end()
    used = []
    for _ in range(20):
        presence, done = threading.Lock(), threading.Barrier(4, timeout=10)

        def job(done=done):
            used.append(threading.get_ident())
            done.wait()
            return True

        with presence:
            ask_for_help(presence, [job] * 3)
            done.wait()
    assert len(used) == 60
    assert len(set(used)) == 3
    wait_for_the_end()


def test_a_helper_leaves_when_its_leader_is_gone():
    presence, calls = threading.Lock(), []

    def in_vain():
        calls.append(1)
        time.sleep(0.001)
        return False

    with presence:
        ask_for_help(presence, [in_vain] * 2)
        time.sleep(0.05)
    time.sleep(0.05)
    counted = len(calls)
    assert counted > 2
    wait_for_the_end()
    assert len(calls) <= counted + 2


def refuse_threads(monkeypatch, after):
    """The system starts no more threads than these."""
    start, started = threading.Thread.start, []

    def refusing(self):
        if len(started) >= after:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refusing)


DATA = np.random.default_rng(0)
X, Y = DATA.random((512, 20)), DATA.random((512, 1))


@pytest.mark.parametrize("after", [0, 1])
def test_where_no_thread_can_be_started(monkeypatch, after):
    net = bpjit.Network.random((20, 8, 1))
    expected = bpjit.train(net, X, Y, updates=128, threads=1, stop=5).network
    nets = bpjit.Networks.random((20, 8, 1), 200)
    of_many = bpjit.train_many(nets, X[:50], Y[:50], stop=2, threads=1).networks
    wait_for_the_end()
    refuse_threads(monkeypatch, after)
    assert bpjit.train(net, X, Y, updates=128, threads=4, stop=5).network == expected
    with pytest.raises(RuntimeError, match=r"^threads: .* got 4: can't start new thread"):
        bpjit.train_many(nets, X[:50], Y[:50], stop=bpjit.TimeLimit(1000), threads=4)
    assert bpjit.train_many(nets, X[:50], Y[:50], stop=2).networks == of_many
    wait_for_the_end()


def test_share_raises_what_a_job_raises_and_ends_the_others():
    share, ended = Share(), []

    def long():
        while not share.over:
            time.sleep(0.001)
        ended.append(1)

    def failing():
        time.sleep(0.02)
        raise Cut

    with pytest.raises(Cut):
        share.run([long, long, failing, long, long], 4, must=True)
    assert len(ended) == 3
    share, done = Share(), []
    share.run([lambda: done.append(threading.current_thread())] * 5, 1, must=True)
    assert set(done) == {threading.current_thread()}
    share.run([lambda: done.append(1)] * 50, 7, must=False, look=lambda: None)
    assert len(done) == 55


def test_what_is_raised_while_waiting_ends_all_threads():
    share, ended = Share(), []

    def long():
        while not share.over:
            time.sleep(0.001)
        ended.append(1)

    def look():
        raise Cut

    with pytest.raises(Cut):
        share.run([long] * 3, 3, must=True, look=look)
    assert len(ended) == 3


def test_access():
    access, entered, leave = Access("thing"), threading.Event(), threading.Event()

    def slow():
        entered.set()
        leave.wait(10)
        return 1

    for held, allowed, refused in (
        (access.read, [access.read], [access.change]),
        (access.change, [], [access.read, access.change]),
    ):
        entered.clear(), leave.clear()
        thread = threading.Thread(target=held, args=(slow,))
        thread.start()
        assert entered.wait(10)
        for use in allowed:
            assert use(lambda: 2) == 2
        for use in refused:
            with pytest.raises(RuntimeError, match="^thing: another thread is using it"):
                use(lambda: 2)
        leave.set()
        thread.join()
        assert access.read(lambda: 3) == access.change(lambda: 3) == 3
    for use in (access.read, access.change):
        with pytest.raises(Cut):
            use(raising)
    assert access.change(lambda: 4) == 4
    assert not access.readers


def raising():
    raise Cut


# --- A bank: a block is learnt whole or not at all.


def bank_and_block(threads, rule="adam"):
    rng = np.random.default_rng(1)
    bank = bpjit.LearnerBank(bpjit.Networks.random((4, 8, 2), 50, dtype="float32"), threads=threads, rule=rule)
    return bank, (rng.integers(0, 50, 3000), rng.random((3000, 4)), rng.random((3000, 2)))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("cut_at", [1, 2, 5])
def test_an_interrupted_block_is_undone(monkeypatch, threads, cut_at):
    monkeypatch.setattr(learner_bank, "WORTH_SHARING", 1)
    monkeypatch.setattr(learner_bank, "CALL", 300 * (learner_bank.LEAST + 58))  # 300 records in each call
    bank, block = bank_and_block(threads)
    twin, _ = bank_and_block(1)
    bank.learn(*block), twin.learn(*block)
    before, calls = bank.snapshot().state, []

    kernel = learner_bank.learn_records_kernel(bank._kind)

    def cut(desk, counters, parts, lead, *others):
        if lead:
            calls.append(1)
            if len(calls) == cut_at:
                time.sleep(0.01)  # its helpers are there and wait
                raise Cut
        return kernel(desk, counters, parts, lead, *others)

    monkeypatch.setattr(learner_bank, "learn_records_kernel", lambda kind: cut)
    with pytest.raises(Cut):
        bank.learn(*block)
    assert len(calls) == cut_at
    np.testing.assert_array_equal(bank.snapshot().state, before)
    time.sleep(0.05)
    np.testing.assert_array_equal(bank.snapshot().state, before)  # no helper goes on
    calls[:] = [0] * 10
    np.testing.assert_array_equal(bank.learn(*block), twin.learn(*block))
    assert bank.networks == twin.networks


def test_an_undoing_that_is_interrupted_itself_is_done_by_the_next_call(monkeypatch):
    monkeypatch.setattr(learner_bank, "CALL", 300 * (learner_bank.LEAST + 58))
    bank, block = bank_and_block(1)
    bank.learn(*block)
    before, put_back = bank.snapshot().state, learner_bank.LearnerBank._put_back
    calls = []

    def cut(self):
        calls.append(1)
        if len(calls) == 2:
            raise Cut
        put_back(self)

    kernel = learner_bank.learn_records_kernel(bank._kind)

    def late(*arguments):
        if not np.array_equal(bank._bank.rows[bank._before[0]], bank._before[1]):
            raise Cut
        return kernel(*arguments)

    monkeypatch.setattr(learner_bank.LearnerBank, "_put_back", cut)
    monkeypatch.setattr(learner_bank, "learn_records_kernel", lambda kind: late)
    with pytest.raises(Cut):
        bank.learn(*block)
    assert not np.array_equal(bank._bank.rows[bank._before[0]], bank._before[1])
    monkeypatch.undo()
    np.testing.assert_array_equal(bank.snapshot().state, before)


def test_predictions_side_by_side_are_right_and_learning_is_refused_or_exact():
    bank, (ids, x, y) = bank_and_block(2, "sgd")
    twin, _ = bank_and_block(1, "sgd")
    expected, wrong, refused, learnt = bank.predict(ids, x), [], [], []

    def predict():
        for _ in range(40):
            wrong.append(not np.array_equal(bank.predict(ids, x), expected))

    threads = [threading.Thread(target=predict) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(wrong) == 160
    assert not any(wrong)

    def learn():
        for _ in range(20):
            try:
                bank.learn(ids, x, y)
                learnt.append(1)
            except RuntimeError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=learn) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(learnt) + len(refused) == 80
    assert all(text.startswith("LearnerBank: another thread is using it") for text in refused)
    for _ in learnt:
        twin.learn(ids, x, y)
    assert bank.networks == twin.networks


# --- Events.


def test_an_event_ends_a_training_which_goes_on_exactly():
    net = bpjit.Network.random((20, 8, 1))
    fit = bpjit.train(net, X, Y, stop=[AfterAWhile(3), 10**9])
    assert fit.stopped_by == "StopEvent"
    assert fit.epochs > 0
    more = bpjit.train(fit.network, X, Y, stop=3, resume=fit)
    assert more.network == bpjit.train(net, X, Y, stop=more.epochs).network
    assert bpjit.train(net, X, Y, stop=[threading.Event(), 4]).stopped_by == "MaxEpochs"
    with pytest.raises(TypeError, match="^StopEvent: expected a threading.Event, got 3"):
        bpjit.StopEvent(3)


@pytest.mark.parametrize("hidden", [8, 60])  # in lanes, and one by one
@pytest.mark.parametrize("threads", [1, 2])
def test_an_event_ends_many_trainings(hidden, threads):
    nets, event = bpjit.Networks.random((20, hidden, 1), 12), threading.Event()
    threading.Timer(0.2, event.set).start()
    started = time.monotonic()
    fits = bpjit.train_many(nets, X, Y, stop=[event, bpjit.TimeLimit(1000)], threads=threads)
    assert time.monotonic() - started < 60
    assert set(fits.stopped_by) == {"StopEvent"}
    assert np.isfinite(fits.error).all()


def test_a_training_under_asyncio_is_cancelled_by_an_event():
    net = bpjit.Network.random((20, 8, 1))

    async def main():
        event = threading.Event()
        training = asyncio.create_task(asyncio.to_thread(bpjit.train, net, X, Y, stop=[event, 10**9]))
        await asyncio.sleep(0.1)
        assert not training.done()
        event.set()
        return await asyncio.wait_for(training, 30)

    assert asyncio.run(main()).stopped_by == "StopEvent"


# --- Forks.


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_child_forked_in_a_callback_goes_on(threads):
    net, children = bpjit.Network.random((20, 8, 1)), []
    expected = bpjit.train(net, X, Y, updates=32, stop=6).network

    def fork(progress):
        if progress.epoch == 3:
            children.append(os.fork())
            if children[0] == 0:
                signal.alarm(20)

    fit = bpjit.train(net, X, Y, updates=32, stop=6, threads=threads, callback=fork)
    if children == [0]:
        os._exit(0 if fit.network == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert fit.network == expected


# --- Signals at random moments, in processes of their own.

PROGRAM = """
import os, random, signal, sys, threading, time
import numpy as np, bpjit

class Timeout(Exception):
    pass

def late(*arguments):
    raise Timeout

choose, tries = random.Random(int(sys.argv[1])), int(sys.argv[2])
rng = np.random.default_rng(0)
X, Y = rng.random((512, 20)), rng.random((512, 1))
net, large = bpjit.Network.random((20, 8, 1)), bpjit.Network.random((20, 60, 1))
nets = bpjit.Networks.random((4, 3, 1), 300)
bank = bpjit.LearnerBank(bpjit.Networks.random((4, 8, 2), 200), threads=4)
ids, records, targets = rng.integers(0, 200, 5000), rng.random((5000, 4)), rng.random((5000, 2))
keep = bank.snapshot()

def learn(threads):
    bank._threads = threads
    bank.restore(keep)
    return bank.learn(ids, records, targets)

jobs = [
    lambda threads: bpjit.train(net, X, Y, updates=128, threads=threads, stop=40),
    lambda threads: bpjit.train(net, X, Y, updates="accumulated", rule="rprop", threads=threads, stop=40),
    lambda threads: bpjit.train(net, X, Y, updates=64, rule="adam", threads=threads, stop=[40, bpjit.TargetError(0)]),
    lambda threads: bpjit.train_many(nets, X[:50, :4], Y[:50], threads=threads, stop=200),
    lambda threads: bpjit.train_many([large] * 8, X, Y, threads=threads, stop=3),
    learn,
]

def bits(result):
    if isinstance(result, np.ndarray):
        return result.tobytes()
    return (result.network if isinstance(result, bpjit.Fit) else result.networks[0]).parameters.tobytes()

seconds = []
for job in jobs:
    job(2)
    started = time.perf_counter()
    right = bits(job(2))
    seconds.append(time.perf_counter() - started)
right = [bits(job(1)) for job in jobs]
signal.signal(signal.SIGALRM, late)
cuts = 0
for k in range(tries):
    which, threads, presses = choose.randrange(len(jobs)), choose.choice((1, 2, 3, 8, 32)), choose.randrange(5)
    moment = choose.uniform(0, 1.2 * seconds[which])

    pressed = [presses == 0]

    def press(seconds):
        time.sleep(seconds)
        for _ in range(presses):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(choose.choice((0, 0.001)))
        pressed[0] = True

    def until_no_signal_can_come():
        global moment, cuts
        while True:
            try:
                if moment is not None:
                    if presses:
                        threading.Thread(target=press, args=(moment,)).start()
                    else:
                        signal.setitimer(signal.ITIMER_REAL, max(moment, 1e-5))
                    moment, job = None, jobs[which]
                    result = job(threads)
                    cut = getattr(result, "stopped_by", None)
                    cut = (np.array(cut) == "interrupted").any()
                    assert cut or bits(result) == right[which], ("wrong result", k, which, threads)
                    cuts += cut
                while not pressed[0]:
                    time.sleep(0.001)
                time.sleep(0.005)
                signal.setitimer(signal.ITIMER_REAL, 0)
                return
            except (Timeout, KeyboardInterrupt):
                cuts += moment is None
                moment = None

    while True:
        try:
            until_no_signal_can_come()
            break
        except KeyboardInterrupt:  # it came while another was answered
            pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, k
    assert bits(jobs[which](threads)) == right[which], ("wrong result afterwards", k, which, threads)

def lost(what):
    # Python drops what a signal handler raises in the callback of a weak reference, as each Thread has one.
    if isinstance(what.exc_value, SystemExit):
        os._exit(7)

sys.unraisablehook = lost
signal.signal(signal.SIGTERM, lambda *arguments: sys.exit(7))
print(cuts, flush=True)
while True:
    jobs[choose.randrange(len(jobs))](choose.choice((2, 4, 16)))
"""


def try_signals(seed, tries, within):
    """How many of so many trainings were cut off; the process that ran them ends by SIGTERM within some seconds."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(seed), str(tries)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        watchdog = threading.Timer(60 + 4 * tries, process.kill)
        watchdog.start()
        line = process.stdout.readline()
        watchdog.cancel()
        if not line:
            raise AssertionError(process.communicate()[1])
        time.sleep(random.Random(seed).uniform(0, 0.3))
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        code = process.wait(20)
        assert time.monotonic() - started < within
        assert code == 7, process.stderr.read()
        return int(line)
    finally:
        process.kill()
        process.communicate()


@posix
def test_signals_at_random_moments():
    assert try_signals(0, 25, within=10.0) > 2  # other tests may run beside it


@posix
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 26))
def test_signals_at_many_random_moments(seed):
    assert try_signals(seed, 40, within=2.0) > 5
