"""Formulas on one number at a time, and random numbers: these import nothing of bpjit."""
