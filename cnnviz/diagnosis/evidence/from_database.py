"""Collection of the evidence of a run from the run database."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnnviz.analysis.checks import Network
from cnnviz.diagnosis.evidence import (
    Baseline,
    BatchNorm,
    Data,
    DataQuality,
    Evidence,
    Histogram,
    Input,
    LayerAt,
    LayerFact,
    Look,
    NonFinite,
    OutputActivationFact,
    Points,
    TrainEvaluated,
)
from cnnviz.diagnosis.evidence.loop import Loop
from cnnviz.training.recipe import Recipe, analysis_for, side_for

if TYPE_CHECKING:
    from cnnviz.analysis import Analysis
    from cnnviz.tracking import Database, Run

POINTS = 400
"""Most points per curve: spikes survive the down-sampling, and no rule needs more."""
CENTRED, NARROW, WIDE = 0.5, 0.5, 2.0
"""Bounds of absolute mean and standard deviation of a normalized input."""
_WORDS = (
    "format",
    "name",
    "description",
    "assumed",
    "model",
    "options",
    "layers",
    "dataset",
    "seed",
    "device",
)
LOOKS = 60
"""Most steps with layer statistics, spread over the run: all early ones, where most happens, and the last."""


def gather(database: Database, run_id: int) -> Evidence:
    """Collect the evidence of run `run_id`, bounded in size however long the run.

    The run may still be going. What an earlier version did not record is missing, and so are the layers of a
    model that no longer exists.

    Raises:
        NoSuchRunError: For an unknown run.
        ValueError: With one sentence, for a recipe that this version cannot read.
    """
    from cnnviz import tracking

    run = tracking.get_run(database, run_id)

    def newest(kind: str) -> Any:
        record = tracking.latest_record(database, run_id, kind)
        return None if record is None else record.body

    data = Data.model_validate(newest("data") or {})
    recorded_input = newest("input")
    # JSON has neither NaN nor infinity, and writes null.
    nonfinite_input = recorded_input is not None and None in recorded_input.values()
    read = None if nonfinite_input else _or_none(Input, recorded_input)
    network = newest("network") if not run.has_recipe else None
    if run.has_recipe:
        recipe, unknown = Recipe().changed(run.recipe), tuple[str, ...]()
        analysis, side = _analysis(recipe, len(data.classes)), _side(recipe)
    else:
        recipe, unknown = _inferred_recipe(run, read)
        unknown += () if sum(data.counts) else ("labels",)
        unknown += ("steps",) if data.counted_in == "epochs" else ()
        analysis, side = _own_analysis(network), _own_side(data)
    evaluated = _or_none(TrainEvaluated, newest("train/evaluated"))
    loop = _or_none(Loop, newest("loop"))
    return Evidence(
        run=run.id,
        title=run.name or f"{run.model} on {run.data}",
        status=run.status.value,
        error=run.error,
        recipe=recipe,
        kind="trained" if run.has_recipe else run.kind.value,
        unknown=unknown,
        loop=loop,
        dropout=network["dropout"] if network else None,
        framework=network.get("framework", "torch") if network else "torch",
        step=run.step,
        total_steps=run.total_steps or (0 if run.has_recipe else run.step),
        stopped_early=bool((newest("early_stopping") or {}).get("stopped")),
        params=run.params or 0,
        side=side,
        layers=_layers(analysis) if analysis else _plain_layers(network),
        output_activations=_output_activations(analysis) if analysis else None,
        data=data,
        quality=DataQuality.model_validate(newest("census") or {}),
        baseline=_or_none(Baseline, newest("baseline")),
        input=read,
        in_training_mode=newest("in_training_mode"),
        batch_norm=_or_none(BatchNorm, newest("batch_norm")),
        train_evaluated=evaluated,
        curves=_comparable(
            {name: _points(tracking.sample_metric(database, run_id, name, POINTS)) for name in run.metrics},
            recipe,
            evaluated,
            loop,
        ),
        looks=_looks(tracking.read_records(database, run_id, "layers")),
        predicted={
            part: _histograms(tracking.read_records(database, run_id, f"{part}/predicted"))
            for part in ("train", "test")
        },
        confusion=tuple(map(tuple, newest("test/confusion") or ())),
        nonfinite=_or_none(NonFinite, newest("nonfinite")),
        nonfinite_input=nonfinite_input,
    )


def _inferred_recipe(run: Run, read: Input | None) -> tuple[Recipe, tuple[str, ...]]:
    """Infer the recipe of a run that was not trained here; return it and the fields that remain unknown.

    A field with a value that no recipe has is unknown too.
    """
    fields = {
        field: value
        for field, value in run.recipe.items()
        if field in Recipe.model_fields and _is_valid(field, value)
    }
    fields.setdefault("epochs", max(1, round(run.epoch)))
    if read is not None:
        centred = abs(read.mean) <= CENTRED and NARROW <= read.spread <= WIDE
        fields["scale"] = "standardised" if centred else "unit" if read.high <= 1 else "raw"
    unknown = tuple(field for field in Recipe.model_fields if field not in fields and field not in _WORDS)
    # A name that is never registered, so that the network is not mistaken for one of ours.
    return Recipe().changed(fields | {"model": f"watched/{run.model}"[:200], "name": "own loop"}), unknown


def _is_valid(field: str, value: Any) -> bool:
    try:
        Recipe().changed({field: value})
    except ValueError:
        return False
    return True


def _own_analysis(network: Mapping[str, Any] | None) -> Analysis | None:
    from cnnviz.analysis.precomputed import decode

    try:
        return decode(network["analysis"]) if network and network["analysis"] else None
    except (ValueError, KeyError, TypeError):
        return None


def _own_side(data: Data) -> tuple[int, int]:
    return (data.shape[1], data.shape[2]) if len(data.shape) == 3 else (0, 0)


_KINDS = {"Conv": "conv", "Linear": "fc", "Dense": "fc"}
"""Kinds of layers by what their type's name contains; Dense is Keras's fully connected layer."""


def _plain_layers(network: Mapping[str, Any] | None) -> tuple[LayerFact, ...]:
    """Return the layers of a network that could not be analyzed: no shapes, their kind guessed by type."""
    layers = network.get("layers", ()) if network else ()
    return tuple(
        LayerFact(
            name=layer["name"], type=layer["type"], params=layer["params"], out=(),
            kind=next((kind for part, kind in _KINDS.items() if part in layer["type"]), "other"),
        )
        for layer in layers
    )  # fmt: skip


def _or_none(kind: Any, body: Mapping[str, Any] | None) -> Any:
    return None if body is None else kind.model_validate(body)


def _analysis(recipe: Recipe, classes: int) -> Analysis | None:
    try:
        return analysis_for(recipe, classes) if classes else None
    except ValueError:
        return None


def _layers(analysis: Analysis) -> tuple[LayerFact, ...]:
    return tuple(
        LayerFact(
            name=row.name,
            type=row.type,
            kind=row.kind,
            params=row.params,
            out=tuple(row.output_shape),
            fan_in=row.macs // max(math.prod(row.output_shape), 1),
        )
        for row in analysis.rows
    )


def _output_activations(analysis: Analysis) -> tuple[OutputActivationFact, ...]:
    return tuple(
        OutputActivationFact(function=fact.function, layer=fact.layer, pooled=fact.pooled)
        for fact in Network(analysis).output_activations()
    )


def _side(recipe: Recipe) -> tuple[int, int]:
    try:
        return side_for(recipe)
    except ValueError:
        return 0, 0


def _comparable(
    curves: dict[str, Points], recipe: Recipe, evaluated: TrainEvaluated | None, loop: Loop | None
) -> dict[str, Points]:
    """Replace the training accuracy of a run with mixup, which is that of mixed images.

    The accuracy on the training images themselves is measured once, after the last step, on a sample. A
    watched loop that adds two losses records the first alone, unless it gave their sum.
    """
    added = loop is not None and loop.labels_are_mixed
    if not recipe.mixup and not added:
        return curves
    unusable = _MIXED_ACCURACY | (
        _MIXED_LOSS if added and loop is not None and "given" not in loop.functions else frozenset()
    )
    comparable = {name: points for name, points in curves.items() if name not in unusable}
    steps = curves.get("train/epoch_loss", Points()).steps
    if evaluated is not None and steps:
        comparable["train/epoch_accuracy"] = Points(steps=steps[-1:], values=(evaluated.accuracy,))
    return comparable


_MIXED_ACCURACY = frozenset(("train/accuracy", "train/epoch_accuracy"))
_MIXED_LOSS = frozenset(("train/loss", "train/epoch_loss"))


def _points(curve: Any) -> Points:
    return Points(steps=tuple(curve.steps.tolist()), values=tuple(curve.values.tolist()))


def _looks(records: Sequence[Any]) -> tuple[Look, ...]:
    looks = [
        Look(step=record.step, layers=tuple(LayerAt.model_validate(layer) for layer in record.body))
        for record in _sample_evenly(records)
    ]
    return tuple(looks)


def _histograms(records: Sequence[Any]) -> tuple[Histogram, ...]:
    return tuple(Histogram(step=record.step, counts=tuple(record.body)) for record in records)


def _sample_evenly(records: Sequence[Any]) -> list[Any]:
    if len(records) <= LOOKS:
        return list(records)
    early = LOOKS // 3
    remaining = records[early:]
    sampled = [remaining[round(i * (len(remaining) - 1) / (LOOKS - early - 1))] for i in range(LOOKS - early)]
    return [*records[:early], *sampled]
