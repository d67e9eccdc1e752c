"""Which weights the URL means: text that `cnnviz.inference.sources` reads. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cnnviz import models

if TYPE_CHECKING:
    from cnnviz.inference.sources import Choice

FALLBACK = "fresh:lenet5"
"""Where nothing ships and nothing was asked for."""
HANDED = "file:"
"""What the reference of a weights file that this visitor handed in begins with."""


def reference(
    parameters: Mapping[str, str],
    known: Sequence[Choice],
    preferred: Sequence[str] = (),
    *,
    own_form: bool = True,
) -> str:
    """The weights that query parameters ask for.

    A run that was chosen on another page comes first, then `weights`, unless another model was chosen on
    another page meanwhile; then what there is of that model; then what ships, or the newest run.
    Where the model is asked for with other classes, options or size than its own (`own_form` false), there
    are fresh weights only. Of nothing asked for, what there is of the `preferred` models comes first, be it
    fresh weights.
    """
    run, given, model = (parameters.get(name) for name in ("run", "weights", "model"))
    model = model if model in models.specs() else None
    if run and (given or "").partition("/")[0] != f"run:{run}":
        return f"run:{run}"
    if given and (model is None or model_of(given, known) in (None, model)):
        return given
    if model is None and preferred:
        fitting = (choice.reference for choice in known if choice.model in preferred)
        return next(fitting, f"fresh:{preferred[0]}")
    if model is None:
        return known[0].reference if known else FALLBACK
    fitting = (choice.reference for choice in known if choice.model == model and own_form)
    return next(fitting, f"fresh:{model}")


def model_of(given: str, known: Sequence[Choice]) -> str | None:
    """The registered name of the model that a reference is of; None where one has to look."""
    kind, _, rest = given.partition(":")
    if kind == "fresh":
        return rest
    if kind == "torchvision":
        return f"torchvision/{rest}"
    plain = given.partition("/")[0] if kind == "run" else given
    return next((choice.model for choice in known if choice.reference == plain), None)


def parameters(chosen: str, known: Sequence[Choice]) -> dict[str, str | None]:
    """What to write to the URL for a reference: its run and its model, so that other pages follow."""
    kind, _, rest = chosen.partition(":")
    model = model_of(chosen, known)
    run = rest.partition("/")[0] if kind == "run" else None
    there = model if model in models.specs() else None
    return {"weights": chosen, "run": run, "model": there}


def labels(known: Sequence[Choice]) -> dict[str, str]:
    """Every reference that is offered, and what it is called: what ships, runs, then models by name."""
    found = {choice.reference: _label(choice) for choice in known}
    specs = models.specs().values()
    found |= {f"fresh:{spec.name}": f"{spec.title} · fresh weights" for spec in specs}
    official = [spec for spec in specs if spec.source == "torchvision"]
    found |= {
        f"torchvision:{spec.name.removeprefix('torchvision/')}": f"{spec.title} · torchvision's weights"
        for spec in official
    }
    return found


def _label(choice: Choice) -> str:
    accuracy = "" if choice.accuracy is None else f" · {100 * choice.accuracy:.1f} %"
    if choice.status == "shipped":
        return f"{choice.title}{accuracy} · ships with cnnviz"
    state = "" if choice.status == "finished" else f" · {choice.status}"
    return f"Run {choice.reference.removeprefix('run:')} · {choice.title}{accuracy}{state}"
