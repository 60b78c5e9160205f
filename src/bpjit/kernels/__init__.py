"""Loops over samples, layers and units. The rooms in here never import each other: readable, one network, many
networks in SIMD lanes, CUDA; what they share stands beside them, the formulas they call in ``bpjit.maths``."""
