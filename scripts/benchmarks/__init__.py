"""What the three benchmark scripts are made of. ``harness.py`` is for all; ``one.py`` is ``benchmark.py``, with its
contenders beside it; ``many.py`` is ``benchmark_many.py``; ``cuda.py`` is ``benchmark_cuda.py``.
"""

import os

# Before NumPy is imported: one thread, and no slower BLAS than the machine has. NPROC is for JAX.
os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ.pop("OPENBLAS_L2_SIZE", None)
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "1"))
