"""bpjit trains small feed-forward networks by error back-propagation, compiled by Numba.

>>> import bpjit
>>> net = bpjit.Network.random((2, 4, 1), seed=0)
>>> fit = bpjit.train(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], eta=5.0, stop=1000)
>>> fit.network.classify([[0, 1], [1, 1]])
array([1, 0])
"""

from . import descent, graph, unit
from .chain import ChainRule, chain_rule
from .evaluation import error, gradient, jacobian
from .fit import Fit, Progress
from .laid_open import Trace
from .learner_bank import LearnerBank, Snapshot
from .many import Fits, train_many
from .network import Network
from .networks import Networks
from .online_learner import OnlineLearner
from .rules import SGD, Adagrad, Adam, Momentum, Nesterov, Quickprop, RMSProp, Rprop
from .scale import Scale
from .schedules import AdaptiveRate, Constant, Cosine, InverseTime, StepDecay
from .searches import Table, bagging, cross_validate, deal_folds, grid, multi_start
from .stopping import EarlyStopping, GradientNorm, MaxEpochs, NoImprovement, TargetError, TimeLimit
from .targets import CudaInfo, cuda_info
from .tracing import lay_open, trace
from .training import compile, train
from .unit import Unit
from .version import __version__

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdaptiveRate",
    "ChainRule",
    "Constant",
    "Cosine",
    "CudaInfo",
    "EarlyStopping",
    "Fit",
    "Fits",
    "GradientNorm",
    "InverseTime",
    "LearnerBank",
    "MaxEpochs",
    "Momentum",
    "Nesterov",
    "Network",
    "Networks",
    "NoImprovement",
    "OnlineLearner",
    "Progress",
    "Quickprop",
    "RMSProp",
    "Rprop",
    "Scale",
    "Snapshot",
    "StepDecay",
    "Table",
    "TargetError",
    "TimeLimit",
    "Trace",
    "Unit",
    "__version__",
    "bagging",
    "chain_rule",
    "compile",
    "cross_validate",
    "cuda_info",
    "deal_folds",
    "descent",
    "error",
    "gradient",
    "graph",
    "grid",
    "jacobian",
    "lay_open",
    "multi_start",
    "trace",
    "train",
    "train_many",
    "unit",
]
