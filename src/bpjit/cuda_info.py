"""``python -m bpjit.cuda_info``: what ``bpjit.cuda_info()`` finds. Exit code 0 if ``target="cuda"`` works, else 2."""

from __future__ import annotations

import sys
from types import ModuleType

from .networks.machines import CudaInfo, cuda_info


class _Callable(ModuleType):
    """This module, which once imported takes the place of the function of its name in ``bpjit``: so it is one too."""

    def __call__(self) -> CudaInfo:
        return cuda_info()


sys.modules[__name__].__class__ = _Callable

if __name__ == "__main__":
    info = cuda_info()
    print(info)
    sys.exit(0 if info.usable else 2)
