"""Measure a search of 10,000 configurations beside scikit-learn: ``benchmarks/searching.py``."""

from benchmarks.searching import main

if __name__ == "__main__":
    raise SystemExit(main())
