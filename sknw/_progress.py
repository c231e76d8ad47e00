"""Progress: what a fit tells scikit-learn's callbacks, where they exist (scikit-learn 1.9 and later)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing, in place of what is not there."""

    def with_callbacks(method):
        """The method, as it is."""
        return method


@contextmanager
def progress(estimator, X, y) -> Iterator[Callable[..., None]]:
    """Tell the callbacks of an estimator that its fit begins and ends.

    Yields
    ------
    step : callable
        To be called for each bandwidth that was tried, or with the name of what else was done.
    """
    if not hasattr(estimator, "_init_callback_context"):
        yield lambda name="bandwidth": None
        return
    task = estimator._init_callback_context(max_subtasks=None)
    task.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def step(name="bandwidth"):
        trial = task.subcontext(task_name=name).call_on_fit_task_begin(estimator=estimator)
        trial.call_on_fit_task_end(estimator=estimator)

    yield step
    task.call_on_fit_task_end(estimator=estimator, X=X, y=y)


__all__ = ["CallbackSupportMixin", "progress", "with_callbacks"]
