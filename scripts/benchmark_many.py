"""Measure thousands of networks at once beside NumPy, JAX and scikit-learn: ``benchmarks/many.py``."""

from benchmarks.many import main

if __name__ == "__main__":
    raise SystemExit(main())
