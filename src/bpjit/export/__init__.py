"""Networks as programs in other languages: formulas are recorded, not written again, and printed."""
