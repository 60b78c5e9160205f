"""The objective of a network on data as functions of its parameters, for optimisers that take functions: SciPy's above
all."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.arguments import as_numbers, describe, quiet
from ..kernels import drivers, products
from ..kernels.along import is_bent
from ..kernels.devices import lies_on_gpu
from ..kernels.layout import code_of_loss, is_where_known, loss_as_given
from ..kernels.readable import batch
from ..kernels.state import Wishes
from .architecture import BLOCK
from .evaluation import as_lam, as_loss, as_network, as_samples, mean_gradient, measure, objective_of
from .network import Network


class Objective:
    """E of a network on data, or λ E + (1 − λ) Σ w², as functions of a vector of parameters: its value, its gradient,
    its Hessian times a vector, and the residuals that it is a sum of squares of, with their Jacobian. All are exact, by
    formulas, not differences.

    Optimisers of SciPy take them as they are. Every function takes parameters p in the order of ``net.parameters``,
    [shape: (n,)], and gives float64, computed in the network's dtype. Errors are in the network's own units, as
    ``bpjit.error`` gives them. Nothing is kept between calls, so several threads may share an objective.

    Parameters
    ----------
    net : the network; its parameters are where to begin
    X, Y, loss, lam, sample_weight, class_weight, missing : as for ``bpjit.error``

    Attributes
    ----------
    parameters : where to begin: those of ``net`` in float64, [shape: (n,)], read-only
    loss : the name of the loss
    lam : λ, or None

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    >>> import numpy as np
    >>> import bpjit
    >>> from scipy.optimize import least_squares, minimize
    >>> X = np.linspace(-1, 1, 40)[:, None]
    >>> net = bpjit.Network.random((1, 6, 1), "tanh", "identity", init="nguyen_widrow")
    >>> objective = bpjit.Objective(net, X, np.sin(3 * X))
    >>> start = objective.parameters
    >>> found = minimize(objective.value_and_gradient, start, jac=True, method="L-BFGS-B")
    >>> fitted = objective.network(found.x)
    >>> bool(np.isclose(bpjit.error(fitted, X, np.sin(3 * X)), found.fun, rtol=1e-12)), bool(found.fun < 1e-3)
    (True, True)

    Methods of second order multiply by the Hessian without making it; those for least squares take residuals:

    >>> functions = {"jac": objective.gradient, "hessp": objective.hessian_product}
    >>> bool(minimize(objective.value, start, **functions, method="trust-krylov").fun < 1e-3)
    True
    >>> bool(least_squares(objective.residuals, start, objective.jacobian, method="lm", max_nfev=50).cost < 1e-6)
    True
    """

    def __init__(
        self,
        net: Network,
        X: Any,
        Y: Any = None,
        *,
        loss: str | None = None,
        lam: float | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        missing: str | None = None,
    ) -> None:
        self._net = as_network(net)
        if lies_on_gpu(X) or lies_on_gpu(Y):
            raise ValueError("X, Y: an objective is computed by the CPU; expected data in its memory")
        self._loss = as_loss(loss, net, missing)
        self._lam = as_lam(lam)
        self._D = as_samples(net, X, Y, self._loss, sample_weight, class_weight)

    @property
    def parameters(self) -> np.ndarray:
        vector = self._net.parameters.astype(np.float64)
        vector.flags.writeable = False
        return vector

    @property
    def loss(self) -> str:
        return loss_as_given(self._loss)

    @property
    def lam(self) -> float | None:
        return self._lam[0] if self._lam[1] else None

    def network(self, p: Any) -> Network:
        """The network with these parameters, which must be finite."""
        return self._net.with_parameters(p)

    def __repr__(self) -> str:
        penalty = "" if self.lam is None else f", lam={self.lam:g}"
        return f"Objective({self._net!r}, {len(self._D.X)} samples, loss {self.loss}{penalty})"

    # --- As a function to be made small.

    @quiet
    def value(self, p: Any) -> float:
        """The objective; infinite where it is beyond all numbers, so that a line search turns back."""
        vector = self._vector("p", p)
        return self._value(measure(self._net, vector, self._D, self._loss), vector)

    __call__ = value

    def gradient(self, p: Any) -> np.ndarray:
        """∂/∂p of the objective, [shape: (n,)]."""
        return self.value_and_gradient(p)[1]

    @quiet
    def value_and_gradient(self, p: Any) -> tuple[float, np.ndarray]:
        """Both in one pass: for ``minimize(objective.value_and_gradient, ..., jac=True)``."""
        net, vector, D = self._net, self._vector("p", p), self._D
        descent = np.empty(len(vector), net.dtype)
        wishes = Wishes(errors=True, gradient=descent)
        total = drivers.evaluate(net.sizes, net._activations, vector, D, code_of_loss(self._loss), wishes)
        gradient = mean_gradient(descent, vector, D, self._lam)
        return self._value(float(total / net.dtype.type(len(D.X))), vector), gradient.astype(np.float64)

    @quiet
    def hessian_product(self, p: Any, v: Any) -> np.ndarray:
        """The Hessian ∂²/∂p² of the objective at p times v, [shape: (n,)], by Pearlmutter's R-operator: exact, in about
        the time of a gradient or two. At a kink, as of relu or of the absolute error, the second derivative counts 0.
        """
        net, vector, direction = self._net, self._vector("p", p), self._vector("v", v)
        for activation in net._activations:
            if not is_bent(activation):
                raise ValueError(
                    f'net: the second derivative of "{activation}" is not known; expected another activation, or a '
                    "method that takes gradients alone"
                )
        code = code_of_loss(self._loss)
        descent = products.along(net.sizes, net._activations, vector, direction, self._D, code)
        # The penalty's gradient is linear in w: along v it is the same formula, of v.
        return mean_gradient(descent, direction, self._D, self._lam).astype(np.float64)

    def hessian(self, p: Any) -> np.ndarray:
        """The whole Hessian, [shape: (n, n)], by n products: for small networks, and ``method="trust-exact"``."""
        columns = np.stack([self.hessian_product(p, v) for v in np.eye(len(self._net._parameters))])
        return 0.5 * (columns + columns.T)  # rounding differs

    # --- As a sum of squares.

    @quiet
    def residuals(self, p: Any) -> np.ndarray:
        """√(c_k/Σc) (ŷ_j − y_j), sample by sample and output by output, [shape: (m l,)]: half the sum of their squares
        is E, so that ``least_squares`` makes the same E small, and gives it as ``cost``. With λ they are √λ times that,
        and √(2(1 − λ)) w of all parameters follow, [shape: (m l + n,)].

        m counts the samples that are present. The residual of a target that is not known is 0.

        Raises
        ------
        ValueError : with another loss than the squared one
        """
        net, vector, D = self._net, self._vector("p", p), self._D
        scale = self._scale_of_residuals("residuals")
        y_hat = np.empty(D.Y.shape, net.dtype)
        drivers.evaluate(net.sizes, net._activations, vector, D, 0, Wishes(y_hat=y_hat))
        r = scale * (y_hat.astype(np.float64) - D.Y)
        if is_where_known(self._loss):
            r[np.isnan(D.Y)] = 0.0
        if self._lam[1] == 0.0:
            return r.ravel()
        return np.concatenate([r.ravel(), np.sqrt(2.0 * self._lam[1]) * vector.astype(np.float64)])

    @quiet
    def jacobian(self, p: Any) -> np.ndarray:
        """∂/∂p of the residuals, [shape: (m l, n)], or with λ (m l + n, n)."""
        net, vector, D, n = self._net, self._vector("p", p), self._D, len(self._net._parameters)
        scale, (m, l) = self._scale_of_residuals("jacobian"), D.Y.shape
        J = np.zeros((m * l + (n if self._lam[1] else 0), n))
        rows, some = J[: m * l].reshape(m, l, n), max(1, BLOCK // (n * l))
        part, u = np.empty((min(some, m), l, n), net.dtype), net._architecture.units()
        for first in range(0, m, some):
            here = rows[first : first + some]
            slopes = part[: len(here)]
            batch.jacobian(net._architecture.layers, vector, D.X[first : first + some], False, u, slopes)
            np.multiply(slopes, scale[first : first + some, :, None], out=here)
        if is_where_known(self._loss):
            rows[np.isnan(D.Y)] = 0.0
        if self._lam[1]:
            np.fill_diagonal(J[m * l :], np.sqrt(2.0 * self._lam[1]))
        return J

    # --- What they share.

    def _vector(self, name: str, value: Any) -> np.ndarray:
        """Parameters, or a direction, in the network's dtype; they need not be finite."""
        n = len(self._net._parameters)
        expected = f"{n} numbers, as many as the network has parameters"
        array = as_numbers(name, value, expected)
        if array.shape != (n,):
            raise ValueError(f"{name}: expected {expected}, got {describe(array)}")
        return np.ascontiguousarray(array, self._net.dtype)

    def _value(self, error: float, vector: np.ndarray) -> float:
        value = objective_of(error, vector, self._lam)
        return float("inf") if value != value else value

    def _scale_of_residuals(self, asked: str) -> np.ndarray:
        """What ŷ − y of each sample is multiplied by, [shape: (m, 1)]."""
        if self.loss != "squared":
            raise ValueError(
                f'{asked}: expected loss="squared", which is a sum of squares, got "{self.loss}"; for this one take '
                "scipy.optimize.minimize with value_and_gradient and hessian_product"
            )
        return np.sqrt(self._lam[0] * self._D.c.astype(np.float64) / len(self._D.X))[:, None]
