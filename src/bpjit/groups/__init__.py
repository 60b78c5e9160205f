"""One network for each key of a table: trained at once, each on the rows of its key, with parents to fall back to."""

from .bank import GroupBank
from .fitting import fit_groups
from .group_fit import GroupFit
from .table import GroupTable
from .worker import GroupWorker

__all__ = ["GroupBank", "GroupFit", "GroupTable", "GroupWorker", "fit_groups"]
