"""Tables with words for estimators: their categories become numbers, as the fit found them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array, check_X_y
from sklearn.utils.validation import validate_data

from ..frames import is_available, is_frame
from ..frames.reading import Table
from ..networks.columns import Columns
from ..networks.for_table import described


def validated(estimator: Any, X: Any, *y: Any, reset: bool = False, **checks: Any) -> Any:
    """As scikit-learn's ``validate_data``, X as numbers; a frame with categories becomes numbers, an input for each
    value. A fit, which ``reset`` says it is, notes in ``columns_`` what they are."""
    if reset:
        estimator.columns_ = columns_of(X)
    columns: Columns | None = estimator.columns_
    if columns is None or all(column.values is None for column in columns.inputs):
        return validate_data(estimator, X, *y, reset=reset, dtype=np.float64, **checks)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if not is_frame(X):
        names = ", ".join(column.name for column in columns.inputs)
        raise ValueError(f"X: expected a frame, as fit was given one with words in it, with the columns {names}")
    X = columns.encoded(Table("X", X), np.float64)
    return check_X_y(X, *y, dtype=np.float64, **checks) if y else check_array(X, dtype=np.float64)


def columns_of(X: Any) -> Columns | None:
    """The columns of a frame, if they have names and it holds numbers and categories."""
    if not is_frame(X) or not is_available():
        return None
    table = Table("X", X)
    if not all(isinstance(name, str) for name in table.names):
        return None
    try:
        return Columns(described(table, "X", table.names))
    except ValueError:  # scikit-learn says what is wrong
        return None
