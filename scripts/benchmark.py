"""Measure bpjit beside C, NumPy, JAX, PyTorch and scikit-learn, on one core: ``benchmarks/one.py``."""

from benchmarks.one import main

if __name__ == "__main__":
    raise SystemExit(main())
