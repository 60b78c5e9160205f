"""Frames of pandas, polars, pyarrow and whatever else narwhals reads, as numbers and labels."""
