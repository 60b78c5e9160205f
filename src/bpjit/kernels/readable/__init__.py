"""The book's lines as loops over layers and units: what the fast kernels are judged by, and what runs without a JIT."""
