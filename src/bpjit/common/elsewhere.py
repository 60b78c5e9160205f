"""What a wrong name was meant to be: the same thing by the name that it has elsewhere, or the nearest spelling."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

ELSEWHERE = {  # what other libraries and books call what is meant by these names here
    "identity": "linear purelin lin none pureline affine",
    "sigmoid": "logistic logsig expit",
    "tanh": "tansig hyperbolic_tangent",
    "relu": "rectifier poslin rectified_linear ramp",
    "leaky_relu": "lrelu leakyrelu leaky",
    "softsign": "elliotsig elliott elliot",
    "step": "hardlim heaviside threshold sign perceptron",
    "sin": "sine",
    "softmax": "softargmax multinomial",
    "squared": "mse l2 mean_squared_error squared_error least_squares sse quadratic",
    "absolute": "mae l1 mean_absolute_error absolute_error",
    "huber": "smooth_l1 huber_loss",
    "cross_entropy": "bce ce crossentropy crossentropyloss log_loss logloss nll binary_crossentropy "
    "binary_cross_entropy categorical_crossentropy categorical_cross_entropy sparse_categorical_crossentropy",
    "he": "he_normal kaiming kaiming_normal",
    "glorot": "glorot_uniform xavier xavier_uniform",
    "normal": "gaussian randn random_normal",
    "nguyen_widrow": "initnw nw nguyenwidrow",
    "sgd": "gd gradient_descent bp backprop backpropagation traingd steepest_descent vanilla incremental",
    "momentum": "traingdm heavy_ball classical_momentum sgd_momentum",
    "nesterov": "nag nesterov_momentum nesterovs_momentum",
    "rprop": "trainrp resilient irprop irprop_ irprop+ rprop_ rprop+ resilient_backpropagation",
    "quickprop": "quick_prop qprop",
    "rmsprop": "rms rms_prop",
    "adagrad": "ada_grad",
    "lm": "levenberg_marquardt levenbergmarquardt levenberg marquardt trainlm levmar",
    "lbfgs": "l_bfgs l_bfgs_b lbfgsb bfgs trainbfg trainlbfgs quasi_newton",
    "scg": "trainscg scaled_conjugate_gradient scaledconjugategradient conjugate_gradient cg traincgf",
    "br": "bayes bayesian bayesian_regularization bayesianregularization trainbr",
    "stochastic": "online standard sample single per_sample pattern incremental sequential",
    "accumulated": "batch full full_batch offline epoch all",
    "cuda": "gpu nvidia device",
    "balanced": "balance",
    "zh": "cn chinese zh_cn zh_hans",
    "en": "english en_us en_gb",
}


def hint(value: str, choices: Sequence[str]) -> str:
    """What was probably meant: the same thing by the name it has elsewhere, or the nearest spelling."""
    plain = value.lower().replace("-", "_").replace(" ", "_")
    for choice in choices:
        if plain in ELSEWHERE.get(choice, "").split():
            return f'; what others call "{value}" is "{choice}" here'
    near = difflib.get_close_matches(value.lower(), [choice.lower() for choice in choices], 1, 0.5)
    return next((f'; did you mean "{choice}"?' for choice in choices if [choice.lower()] == near), "")
