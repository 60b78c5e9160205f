"""The same on a GPU; ``door`` alone imports numba.cuda."""
