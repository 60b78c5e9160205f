"""Networks leave Python: as programs in other languages."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, cast

from .architecture import HasArchitecture

if TYPE_CHECKING:
    from ..export.fixed import FixedPoint


class Leaving(HasArchitecture):
    """The ways out, as methods of ``Network``."""

    def to_c(
        self,
        path: str | PathLike[str],
        *,
        learn: bool = False,
        jacobian: bool = False,
        loss: str | None = None,
        dtype: Any = None,
        libm: bool = False,
        fixed: int | None = None,
        ranges: Any = None,
    ) -> FixedPoint | None:
        """Write the network as a header of C99, for a microcontroller or whatever else has a compiler.

        It holds ``static inline`` functions, whose names begin with that of the file, here ``net.h``::

            void net_predict(const double *x, double *y_hat);
            int net_classify(const double *x);    /* of outputs that lie within bounds, as softmax and sigmoid */
            int net_test(void);                   /* 8 recorded samples: how many of them differ */
            double net_learn(const double *x, const double *y, double eta);    /* with learn=True; gives E_k */
            void net_jacobian(const double *x, double *J);    /* with jacobian=True: l rows of d, by the inputs */

        No memory is allocated, nothing recursive, every loop is bounded, the parameters and the scale are constants.
        Outputs have the bits of the formulas computed one after the other in the order of indices, which ``predict``
        follows but for rounding. ``net_test`` allows for that, within 2^-40 of 1 + the size of an output (float32:
        2^-14); with ``-DNET_TOLERANCE=0`` and ``-ffp-contract=off`` every bit must be that of the record.

        ``net_learn`` does what ``OnlineLearner.learn`` does with the rule "sgd", but refuses nothing: a step that is
        too large may leave parameters that are no numbers. The parameters then are a variable, which each source file
        that includes the header has for itself, and ``net_test`` is to be called before they change.

        With ``fixed`` it computes in **fixed point**, for what has no floating point: in whole numbers of 8, 16 or 32
        bits, a number x being X / 2^f, for inputs within the declared ``ranges``::

            void net_predict(const int16_t *x, int16_t *y_hat);
            NET_INPUT_0(21.5)    /* a number in the user's units as input 0; its macros compute in double */
            NET_OUTPUT_0(y_hat[0])    NET_AS_OUTPUT_0(30.0)    /* output 0 in those units, and back */
            NET_INPUT_FRACTIONS    NET_OUTPUT_FRACTIONS    /* {f, ...} of each input and output */

        The formats come from the ranges by interval arithmetic: no sum overflows, whatever the input; one beyond its
        range counts as the range's end. What comes back knows ``bounds``: by how much at most each output differs, in
        the user's units, from that of the network in real numbers at the input in real numbers, for every input within
        the ranges, the rounding of inputs, parameters and activations among it. Classes are the network's wherever an
        output leads by more than twice the bound, or a single one is farther from the cut than it. A "step" jumps: the
        bounds then leave out what the header names. Its ``predict`` and ``classify`` give what the header computes,
        bit for bit. The scale is in the weights, and activations, your own too, are small tables.

        A network with ``columns`` takes the numbers that these make of a row, in the order of
        ``net.columns.input_names``; ``net_classify`` gives the number of a class, not its value.

        Parameters
        ----------
        learn, jacobian : whether these functions are there
        loss : that ``learn`` descends, as for ``train``; None is cross-entropy for softmax outputs, else
            squared
        path : of the header. Of the file's name, up to its first dot, letters from a to z, digits and _ are taken, from
            its first letter on; what else it holds becomes _
        dtype : "float64", "float32", or None for the network's
        libm : whether exp, tanh and their kin are those of the C library. Without, those of bpjit's vectors go along:
            they are as exact, but sin and cos of numbers beyond ±1e5, in float32 ±1e3, are NaN. An activation that
            takes a square root needs it
        fixed : 8, 16 or 32 bits of the whole numbers between layers, of weights, inputs and outputs. It goes with
            ``path`` and ``ranges`` alone
        ranges : of the inputs, in the user's units, for ``fixed``: a pair (low, high) for all of them, pairs of shape
            (d, 2), or samples of shape (m, d), whose ranges are taken

        Returns
        -------
        With ``fixed`` the network in fixed point: bounds, predict, classify, input_fractions, output_fractions; else
        None

        Raises
        ------
        ValueError, TypeError : naming the argument, what was expected and what came; with ``fixed`` also where nothing
            useful can be proved of an output over these ranges

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from bpjit import Network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "xor.h")
        ...     Network.random((2, 4, 1)).to_c(path)
        ...     "void xor_predict(const double *x, double *y_hat)" in path.read_text()
        True

        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net = Network.random((2, 4, 1), seed=0)
        ...     fixed = net.to_c(pathlib.Path(folder, "xor.h"), fixed=16, ranges=(0, 1))
        >>> bool(abs(fixed.predict([0.3, 0.7]) - net.predict([0.3, 0.7]))[0] <= fixed.bounds[0] < 0.001)
        True
        """
        from ..export import c, fixed_c

        if fixed is not None:
            others = {"learn": learn, "jacobian": jacobian, "loss": loss, "dtype": dtype, "libm": libm}
            return fixed_c.write(cast(Any, self), path, fixed, ranges, others)
        if ranges is not None:
            raise ValueError(f"ranges: expected None without fixed, got {ranges!r}")
        c.write(cast(Any, self), path, dtype, learn, jacobian, loss, libm)
        return None

    def to_javascript(self, path: str | PathLike[str]) -> None:
        """Write the network as a module of JavaScript that needs no other, for browsers and node: one or two KB and its
        numbers. It exports ``predict(x)``, an array of outputs for an array of inputs, and ``classify(x)`` of outputs
        that lie within bounds. ``predict(x, y_hat)`` writes into an array that is given, which takes less time.

        Outputs are those of ``predict`` but for rounding, and have the same bits in every browser, except where an
        activation takes a logarithm, a sine or a cosine. A network of float32 is computed in float64, with its
        parameters.

        Examples
        --------
        >>> import tempfile, os
        >>> from bpjit import Network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "xor.mjs")
        ...     Network.random((2, 4, 1)).to_javascript(path)
        ...     os.path.getsize(path) < 5000
        True
        """
        from ..export.javascript import write

        write(cast(Any, self), path)
