"""Measure one network for each key of a table beside the same networks on arrays that lie ready, and a loop over
scikit-learn's: ``benchmarks/groups.py``."""

from benchmarks.groups import main

if __name__ == "__main__":
    raise SystemExit(main())
