"""A search that asks Optuna what to try, and tells it what came of it. The only place that looks for Optuna."""

from __future__ import annotations

import math
from typing import Any

from ..common.arguments import describe
from .space import as_name, canonical, check_values, is_list, plain


class Asked:
    """Configurations from a study, a trial for each."""

    size = None  # of its space: who knows

    def __init__(self, study: Any, space: Any, n: int | None) -> None:
        try:
            import optuna
        except ImportError as error:
            raise ImportError("a study needs Optuna: python -m pip install 'bpjit[optuna]', or optuna") from error
        if not isinstance(study, optuna.Study):
            raise TypeError(f"study: expected an optuna.Study, got {describe(study)}")
        if study.directions != [optuna.study.StudyDirection.MINIMIZE]:
            raise ValueError("study: errors are to fall; expected one that minimises one number")
        self.optuna, self.study, self.trials = optuna, study, list[Any]()
        self.told: dict[int, float] = {}
        self.places: list[int] = []  # of each trial: the number of its configuration
        self.known: dict[str, int] = {}
        self.suggest: Any = space if callable(space) else None
        self.values: dict[str, Any] = {}
        if callable(space):
            return
        if not isinstance(space, dict) or not space:
            expected = "a dictionary, or a function that takes a trial and gives one"
            raise TypeError(f"space: expected {expected}, got {describe(space)}")
        self.values = {as_name("space", name): self._distribution(name, values) for name, values in space.items()}

    def _distribution(self, name: str, values: Any) -> tuple[Any, Any]:
        """Of Optuna, and the values it numbers where it cannot hold them."""
        of = self.optuna.distributions
        if isinstance(values, of.BaseDistribution):
            return values, None
        check_values(name, values)
        if is_list(values):
            choices = [plain(value) for value in values]
            held = all(value is None or isinstance(value, (bool, int, float, str)) for value in choices)
            return of.CategoricalDistribution(choices if held else list(range(len(choices)))), None if held else choices
        kind = getattr(getattr(values, "dist", None), "name", "")
        low, high = values.support() if hasattr(values, "support") else (math.nan, math.nan)
        if kind in ("loguniform", "reciprocal"):
            return of.FloatDistribution(float(low), float(high), log=True), None
        if kind == "uniform":
            return of.FloatDistribution(float(low), float(high)), None
        if kind == "randint":
            return of.IntDistribution(int(low), int(high)), None
        raise ValueError(
            f"space[{name!r}]: expected a list, loguniform, uniform or randint of scipy.stats, or a distribution of "
            f"Optuna, got {describe(values)}"
        )

    def _ask(self) -> dict[str, Any]:
        """The configuration of one more trial."""
        if self.suggest is None:
            trial = self.study.ask({name: distribution for name, (distribution, _) in self.values.items()})
            self.trials.append(trial)
            values = {name: choices for name, (_, choices) in self.values.items()}
            return {n: values[n][value] if values[n] else value for n, value in trial.params.items()}
        trial = self.study.ask()
        self.trials.append(trial)
        row = self.suggest(trial)
        if not isinstance(row, dict):
            raise TypeError(f"space: expected a function that gives a dictionary, got {describe(row)}")
        return {as_name("space", name): value for name, value in row.items()}

    def draw(self, count: int) -> list[dict[str, Any]]:
        """Ask for so many at once; a configuration that was there already is not given again."""
        rows = []
        for _ in range(count):
            row, known = self._ask(), len(self.known)
            self.places.append(self.known.setdefault(repr(canonical(row)), known))
            if len(self.known) > known:
                rows.append(row)
        return rows

    def hear(self, scores: dict[int, float], epochs: int) -> None:
        """Report the errors of a rung."""
        for trial, place in zip(self.trials, self.places, strict=True):
            if math.isfinite(error := scores.get(place, math.nan)):
                trial.report(error, epochs)
                self.told[place] = error

    def tell(self, ends: dict[int, str]) -> None:
        """End all trials: those of the last rung are complete, those dropped are pruned, and others failed."""
        state = self.optuna.trial.TrialState
        for number, trial in enumerate(self.trials):
            place = self.places[number] if number < len(self.places) else -1
            end = ends.get(place)
            if end == "":
                self.study.tell(trial, self.told[place])
            else:
                self.study.tell(trial, state=state.PRUNED if end == "dropped" else state.FAIL)
