"""A training in shares by the workers of an engine; a program of its own, as clusters need it:

python tests/shared_training.py ENGINE
"""

import os
import signal
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from engines import engine
from test_executor_train import X, Y, assert_same, train


@contextmanager
def workers(name):
    """An executor of an engine, or of so many processes, and a function that tells the processes of its workers."""
    if not name.isdigit():
        with engine(name) as known:
            yield known
        return
    with ProcessPoolExecutor(int(name)) as executor:
        yield executor, lambda: list(executor._processes)


def main(name):
    settings = {"stop": 12, "validation": (X[:2100] + 0.1, Y[:2100])}
    with workers(name) as (executor, pids), ThreadPoolExecutor(1) as thread:
        right = [train(thread, rule=rule, **settings) for rule in ("adam", "lbfgs")]
        for fit in right:
            assert_same(train(executor, rule=fit._state["setting"].rule, **settings), fit)

        def kill(seen):
            if seen.epoch == 4:
                os.kill(pids()[0], signal.SIGKILL)

        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert_same(train(executor, rule="adam", callback=kill, **settings), right[0])
    print("same", sum(each.category is RuntimeWarning for each in said))


if __name__ == "__main__":
    main(sys.argv[1])
