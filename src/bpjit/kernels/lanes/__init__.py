"""Many networks at once, one in each lane of a SIMD vector."""
