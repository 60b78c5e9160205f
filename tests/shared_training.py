"""A training in shares by the workers of an engine; a program of its own, as clusters need it:

python tests/shared_training.py ENGINE
"""

import os
import signal
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from test_executor_train import X, Y, assert_same, train


@contextmanager
def engine(name):
    """An executor with several workers, and a function that tells their processes."""
    if name == "dask":
        from distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            yield client.get_executor(), lambda: list(client.run(os.getpid).values())
    elif name == "loky":
        from loky import get_reusable_executor

        executor = get_reusable_executor(max_workers=2)
        yield executor, lambda: list(executor._processes)
        executor.shutdown(kill_workers=True)
    else:
        with ProcessPoolExecutor(int(name)) as executor:
            yield executor, lambda: list(executor._processes)


def main(name):
    settings = {"stop": 12, "validation": (X[:2100] + 0.1, Y[:2100])}
    with engine(name) as (executor, pids), ThreadPoolExecutor(1) as thread:
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
