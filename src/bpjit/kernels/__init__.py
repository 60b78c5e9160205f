"""Loops over samples, layers and units, one file per machine; the formulas they call stand in ``bpjit.formulas``."""
