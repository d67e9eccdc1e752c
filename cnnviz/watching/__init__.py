"""Recording of a user's own training loop as a live run, with a diagnosis: `cnnviz.watch`.

    run = cnnviz.watch(model, optimizer, name="my run")
    ...                                   # the loop, unchanged
    run.evaluate(logits, labels)          # optional
    print(run.diagnose())
    run.finish()                          # or at exit

`loss_functions` and `monitor` hook the loop, `loop_facts` and `evaluation` accumulate statistics, `run`
writes them to the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cnnviz.watching.diagnosing import Report
from cnnviz.watching.run import WatchedRun, WatchWarning

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cnnviz.tracking import Database

__all__ = ["Report", "Watch", "WatchWarning", "WatchedRun", "watch"]


class Watch:
    """Type of `cnnviz.watch`: call it with a network and its optimizers before the loop begins."""

    def __call__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
        *,
        name: str = "",
        dataset: str = "",
        classes: Sequence[str] | None = None,
        steps_per_epoch: int | None = None,
        database: Database | str | None = None,
    ) -> WatchedRun:
        """Record a training loop as a run, by hooks on its network and optimizers.

        Args:
            model: The network that the loop calls.
            optimizer: Its optimizer, or a list of several.
            name: Name of the run.
            dataset: Name of its data set.
            classes: Class names, in the order of the network's outputs.
            steps_per_epoch: Optimizer steps per epoch; inferred from evaluation passes where not given.
            database: A run database other than the app's, or its URL.

        Raises:
            ValueError: In one sentence, for what is no network or no optimizer.
        """
        import torch
        from torch import nn

        if not isinstance(model, nn.Module):
            hint = " (an object, not its class)" if isinstance(model, type) else ""
            raise ValueError(f"cnnviz.watch takes a torch.nn.Module{hint}, not {_kind(model)}.")
        optimizers = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else optimizer
        if not isinstance(optimizers, list | tuple) or not optimizers:
            raise ValueError(
                f"cnnviz.watch takes a torch optimizer or a list of them, not {_kind(optimizer)}."
            )
        for item in optimizers:
            if not isinstance(item, torch.optim.Optimizer):
                raise ValueError(f"cnnviz.watch takes torch optimizers, not {_kind(item)}.")
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"An epoch has at least one step, not {steps_per_epoch}.")
        return WatchedRun(
            model, list(optimizers), name=name, dataset=dataset, classes=classes,
            steps_per_epoch=steps_per_epoch, database=database,
        )  # fmt: skip

    def lightning(self, *, model: Callable[[Any], nn.Module] | None = None, **options: Any) -> Any:
        """Create a callback for Lightning's `Trainer(callbacks=[cnnviz.watch.lightning()])`.

        Args:
            model: Selects the watched module, as `lambda module: module.net`; by default the
                LightningModule's only child with parameters, or the LightningModule where it has several.
            options: As of `cnnviz.watch`: name, dataset, classes, database.
        """
        from cnnviz.watching.frameworks import lightning_callback

        return lightning_callback(model, options)

    def transformers(self, **options: Any) -> Any:
        """Create a callback for Hugging Face's `Trainer(callbacks=[cnnviz.watch.transformers()])`.

        Args:
            options: As of `cnnviz.watch`: name, dataset, classes, database.
        """
        from cnnviz.watching.frameworks import transformers_callback

        return transformers_callback(options)

    def keras(self, **options: Any) -> Any:
        """Create a callback for Keras 3 on PyTorch: `model.fit(…, callbacks=[cnnviz.watch.keras()])`.

        It records learning curves and learning rate, and stops the fit on request; it records no layer
        statistics.

        Args:
            options: As of `cnnviz.watch`: name, dataset, classes, database.

        Raises:
            ValueError: Where Keras is not installed, or runs on another backend.
        """
        from cnnviz.watching.frameworks import keras_callback

        return keras_callback(options)


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


watch = Watch()
