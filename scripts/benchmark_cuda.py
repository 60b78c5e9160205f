"""Measure bpjit on a GPU beside a CPU core, PyTorch and JAX: ``benchmarks/cuda.py``."""

from benchmarks.cuda import main

if __name__ == "__main__":
    raise SystemExit(main())
