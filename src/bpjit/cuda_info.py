"""``python -m bpjit.cuda_info``: what ``bpjit.cuda_info()`` finds. Exit code 0 if ``target="cuda"`` works, else 2."""

from __future__ import annotations

import sys

from .targets import cuda_info

if __name__ == "__main__":
    info = cuda_info()
    print(info)
    sys.exit(0 if info.usable else 2)
