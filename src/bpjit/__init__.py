"""bpjit trains small feed-forward networks by error back-propagation, compiled by Numba.

>>> import bpjit
>>> net = bpjit.Network.random((2, 4, 1), seed=0)
>>> fit = bpjit.train(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], eta=5.0, stop=1000)
>>> fit.network.classify([[0, 1], [1, 1]])
array([1, 0])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .learners.learner_bank import LearnerBank, Snapshot
from .learners.online_learner import OnlineLearner
from .many.fits import Fits
from .many.searches import Table, bagging, cross_validate, deal_folds, grid, multi_start
from .many.train_many import train_many
from .networks.evaluation import jacobian
from .networks.machines import CudaInfo, cuda_info
from .networks.measuring import error, gradient
from .networks.network import Network
from .networks.networks import Networks
from .networks.scale import Scale
from .settings.rules import (
    LBFGS,
    SGD,
    Adagrad,
    Adam,
    BayesianRegularization,
    LevenbergMarquardt,
    Momentum,
    Nesterov,
    Quickprop,
    RMSProp,
    Rprop,
    ScaledConjugateGradient,
)
from .settings.schedules import AdaptiveRate, Constant, Cosine, InverseTime, StepDecay
from .settings.stopping import EarlyStopping, GradientNorm, MaxEpochs, NoImprovement, StopEvent, TargetError, TimeLimit
from .training.fit import Evidence, Fit, Progress
from .training.train import train
from .training.warning import TrainingWarning
from .version import __version__

if TYPE_CHECKING:
    from . import descent, formulas, graph, plot, unit
    from .advice import Diagnosis, diagnose
    from .groups import GroupBank, GroupFit, GroupWorker, fit_groups
    from .many.search import Search, search
    from .networks.columns import Column, Columns
    from .networks.objective import Objective
    from .own import Activation, Loss, activation, loss, rule
    from .tracing import ChainRule, Trace, chain_rule, lay_open, trace
    from .unit import Unit
    from .warm_up import compile

__all__ = [
    "LBFGS",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdaptiveRate",
    "BayesianRegularization",
    "ChainRule",
    "Column",
    "Columns",
    "Constant",
    "Cosine",
    "CudaInfo",
    "Diagnosis",
    "EarlyStopping",
    "Evidence",
    "Fit",
    "Fits",
    "GradientNorm",
    "GroupBank",
    "GroupFit",
    "GroupWorker",
    "InverseTime",
    "LearnerBank",
    "LevenbergMarquardt",
    "Loss",
    "MaxEpochs",
    "Momentum",
    "Nesterov",
    "Network",
    "Networks",
    "NoImprovement",
    "Objective",
    "OnlineLearner",
    "Progress",
    "Quickprop",
    "RMSProp",
    "Rprop",
    "Scale",
    "ScaledConjugateGradient",
    "Search",
    "Snapshot",
    "StepDecay",
    "StopEvent",
    "Table",
    "TargetError",
    "TimeLimit",
    "Trace",
    "TrainingWarning",
    "Unit",
    "__version__",
    "activation",
    "bagging",
    "chain_rule",
    "compile",
    "cross_validate",
    "cuda_info",
    "deal_folds",
    "descent",
    "diagnose",
    "error",
    "fit_groups",
    "formulas",
    "gradient",
    "graph",
    "grid",
    "jacobian",
    "lay_open",
    "loss",
    "multi_start",
    "plot",
    "rule",
    "search",
    "trace",
    "train",
    "train_many",
    "unit",
]

# What a training does not need is loaded at its first use, so that ``import bpjit`` stays quick.
_ROOMS = ("compiled", "descent", "formulas", "graph", "plot", "sklearn", "unit")
_ROOM_OF = dict.fromkeys(("ChainRule", "Trace", "chain_rule", "lay_open", "trace"), "tracing")
_ROOM_OF |= dict.fromkeys(("Activation", "Loss", "activation", "loss", "rule"), "own")
_ROOM_OF |= dict.fromkeys(("Column", "Columns"), "networks.columns")
_ROOM_OF |= dict.fromkeys(("GroupBank", "GroupFit", "GroupWorker", "fit_groups"), "groups")
_ROOM_OF |= {"Unit": "unit", "Diagnosis": "advice", "diagnose": "advice", "Objective": "networks.objective"}
_ROOM_OF |= {"Search": "many.search", "search": "many.search", "compile": "warm_up"}

if not TYPE_CHECKING:  # type checkers know the names from above, and so still find a misspelt one

    def __getattr__(name: str) -> Any:
        """A room, or a public name that lives in one."""
        if name in _ROOMS:
            return import_module(f".{name}", __name__)  # which also makes it an attribute
        if name in _ROOM_OF:
            thing = globals()[name] = getattr(import_module(f".{_ROOM_OF[name]}", __name__), name)
            return thing
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
