"""SIMD vectors as numbers of Numba, functions of them, and products of matrices in registers."""
