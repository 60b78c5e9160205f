"""scikit-learn's own callbacks (1.9 and later). What they call tasks are here the fit, its networks, their epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..networks.networks import Networks
from ..training.fit import Progress

try:
    from sklearn.callback import AutoPropagatedCallback, CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """There is nothing to support."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """The method itself."""
        return method


__all__ = ["CallbackSupportMixin", "Tasks", "with_callbacks"]


class Tasks:
    """The tasks of a fit, as they come and go.

    Callbacks that were set on the estimator itself hear of each network and epoch: begin and end of an epoch both come
    after it. Those that it has from a meta-estimator, such as the progress bar of a grid, hear of the fit as a whole.
    """

    def __init__(self, estimator: Any, sizes: tuple[int, int], **given: Any) -> None:
        self.estimator, self.given = estimator, {"estimator": estimator, **given}
        networks, self.epochs = sizes
        within = hasattr(estimator, "_parent_callback_ctx")
        own = [each for each in estimator._skl_callbacks if not (within and isinstance(each, AutoPropagatedCallback))]
        self.each_epoch = bool(own)
        self.fit = estimator._init_callback_context(max_subtasks=networks if own else 0)
        self.fit.call_on_fit_task_begin(**self.given)
        self.network: Any = None
        self.trained: list[Any] = []  # networks as they stand, the one that trains last

    def beside(self, callback: Any) -> Any:
        """What is to be called after each epoch, if anything: beside a callback of the estimator's."""
        if not self.each_epoch:
            return callback
        return self.after if callback is None else lambda progress: bool(callback(progress)) | self.after(progress)

    def after(self, progress: Progress) -> bool:
        """An epoch is over; returns whether its network shall stop."""
        if progress.epoch == 1:
            self.close_network()
            self.network = self.fit.subcontext("network", max_subtasks=self.epochs)
            self.network.call_on_fit_task_begin(**self.given)
            self.trained.append(None)
        self.trained[-1] = progress.network
        epoch = self.network.subcontext("epoch")
        epoch.call_on_fit_task_begin(**self.given)
        return bool(epoch.call_on_fit_task_end(**self.given, reconstruction_attributes=self.as_if_stopped))

    def close_network(self) -> None:
        if self.network is not None:
            self.network.call_on_fit_task_end(**self.given, reconstruction_attributes=self.as_if_stopped)

    def close(self) -> None:
        """The fit is over."""
        self.close_network()
        self.fit.call_on_fit_task_end(**self.given, reconstruction_attributes={})

    def as_if_stopped(self) -> dict[str, Any]:
        """What makes the estimator one of the networks so far."""
        return {"_networks": Networks.of(self.trained), "_learners": None, "_learnt": False, "_row": None}
