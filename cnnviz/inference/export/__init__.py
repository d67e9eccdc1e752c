"""Export of a network for use without cnnviz.

Formats: `.pth`, `.pt2`, `.onnx`, `model.py` with weights, and weights with a model card.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cnnviz.inference import InferenceError
from cnnviz.inference.export import python_source
from cnnviz.inference.export.python_source import quiet_exporter
from cnnviz.inference.weights.loaded_model import Loaded

if TYPE_CHECKING:
    from cnnviz.tracking import Database, Run


__all__ = ["FORMATS", "Exported", "export"]


STACK_TRACE = "pkg.torch.onnx.stack_trace"
"""Metadata key under which torch stores source lines in an ONNX file's nodes; they may be private."""


@dataclass(frozen=True)
class Exported:
    """Files of an export by extension."""

    files: dict[str, bytes]
    """`{".py": …, ".pth": …}`; the first is the requested one."""
    notes: tuple[str, ...] = ()


def export(loaded: Loaded, kind: str, stem: str = "model") -> Exported:
    """Export a network in one of `FORMATS`.

    Args:
        loaded: Network, which is not modified.
        kind: Format.
        stem: Name of the files without extension, by which one refers to the other.

    Raises:
        InferenceError: For an unknown format, a network that it cannot represent, or a missing package.
    """
    if kind not in FORMATS:
        raise InferenceError(f"A format is {', '.join(FORMATS)}, not '{kind[:40]}'.")
    return _WRITERS[kind](loaded, stem)


def _state_dict(loaded: Loaded, _: str) -> Exported:
    return Exported({".pth": _saved(loaded.model)})


def _saved(model: nn.Module) -> bytes:
    """Serialize the state dict, for `torch.load(…, weights_only=True)`."""
    file = io.BytesIO()
    torch.save({name: value.contiguous().clone() for name, value in model.state_dict().items()}, file)
    return file.getvalue()


def _program(loaded: Loaded, _: str) -> Exported:
    file = io.BytesIO()
    with quiet_exporter():
        torch.export.save(_exported(loaded, "an exported program"), file)
    return Exported({".pt2": file.getvalue()})


def _exported(loaded: Loaded, format_name: str) -> Any:
    batch = torch.export.Dim("batch", min=1, max=65_536)
    try:
        return torch.export.export(loaded.model, (_example(loaded),), dynamic_shapes=({0: batch},))
    except Exception as error:
        raise InferenceError(f"{loaded.name} cannot be written as {format_name}: {_reason(error)}") from None


def _onnx(loaded: Loaded, _: str) -> Exported:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InferenceError(f"ONNX needs the package {error.name}: pip install 'cnnviz[onnx]'.") from None
    with quiet_exporter():
        try:
            program: Any = torch.onnx.export(
                _exported(loaded, "ONNX"),
                dynamo=True,
                input_names=["image"],
                output_names=["logits"],
                verbose=False,
            )
        except InferenceError:
            raise
        except Exception as error:
            raise InferenceError(f"{loaded.name} cannot be written as ONNX: {_reason(error)}") from None
        proto = program.model_proto
    without_code(proto)
    for key, value in _described(loaded).items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    return Exported({".onnx": proto.SerializeToString()})


def without_code(proto: Any) -> None:
    """Remove the source lines from an ONNX model, which torch stores in every node."""
    for graph in (proto.graph, *proto.functions):
        for part in (
            graph,
            *graph.node,
            *graph.value_info,
            *getattr(graph, "input", ()),
            *getattr(graph, "output", ()),
        ):
            _strip(part)
        for node in graph.node:
            for attribute in node.attribute:
                for inner in (attribute.g, *attribute.graphs):
                    for part in inner.node:
                        _strip(part)


def _strip(part: Any) -> None:
    props = getattr(part, "metadata_props", None)
    if props is None:
        return
    remaining = [(prop.key, prop.value) for prop in props if prop.key != STACK_TRACE]
    del props[:]
    for key, value in remaining:
        entry = props.add()
        entry.key, entry.value = key, value


def _described(loaded: Loaded) -> dict[str, str]:
    """Return the metadata of a file: class names and preprocessing."""
    import json

    return {
        "cnnviz.classes": json.dumps(loaded.classes, ensure_ascii=False),
        "cnnviz.preprocessing": loaded.preprocessing.model_dump_json(exclude_defaults=True),
    }


def _python(loaded: Loaded, stem: str) -> Exported:
    source, notes = python_source.source_of(loaded, f"{stem}.pth")
    if not stem.isidentifier():
        notes = (*notes, f"'{stem}.py' cannot be imported by its name; rename it to letters, digits and _.")
    return Exported({".py": source.encode(), ".pth": _saved(loaded.model)}, notes)


def _example(loaded: Loaded) -> torch.Tensor:
    # Two images, since an exported program treats a size of 1 as constant.
    return torch.zeros(2, *loaded.input_shape)


def _reason(error: Exception) -> str:
    if type(error).__name__ == "GuardOnDataDependentSymNode":  # torch names no such exception publicly
        return "its forward pass branches on the values of its input."
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{text[:200].rstrip('.')}."


_WRITERS: dict[str, Callable[[Loaded, str], Exported]] = {
    "onnx": _onnx,
    "pt2": _program,
    "pth": _state_dict,
    "python": _python,
}
FORMATS = tuple(_WRITERS)


# Weights of a run's checkpoint, with a model card.


def weights_name(run: Run, kind: str) -> str:
    """Return the file name of a run's weights, such as `run-7-lenet5.safetensors`."""
    return f"run-{run.id}-{run.model.replace('/', '-')}{'' if kind == 'last' else f'-{kind}'}.safetensors"


def export_weights(database: Database, run_id: int, kind: str = "last") -> bytes:
    """Export a run's weights as safetensors, without optimizer state, with a `Card` in the metadata.

    The card's accuracy is the last one measured up to the checkpoint: with exactly these weights where the
    checkpoint is an epoch's end. Data from a path are called by the path's last component.

    Raises:
        NoSuchRunError: For an unknown run.
        InferenceError: Where there is no checkpoint on this machine, or no measured accuracy.
    """
    from safetensors.torch import save

    from cnnviz import tracking
    from cnnviz.inference.weights.bundled import FORMAT, KEY, Card
    from cnnviz.inference.weights.loaders import from_run

    run = tracking.get_run(database, run_id)
    loaded = from_run(database, run_id, kind)
    if loaded.accuracy is None or loaded.recipe is None:
        raise InferenceError(
            f"Run {run_id} has not been tested yet; its weights can be taken after its first epoch."
        )
    card = Card(
        name=f"run-{run_id}",
        recipe=loaded.recipe.changed({"dataset": Path(loaded.dataset).name}),
        classes=loaded.classes,
        preprocessing=loaded.preprocessing,
        accuracy=loaded.accuracy,
        before_rounding=loaded.accuracy,
        test_images=_tested(database, run_id),
        half=False,
        params=sum(parameter.numel() for parameter in loaded.model.parameters()),
        steps=tracking.checkpoints(database, run_id)[kind].step,
        seconds=run.seconds,
        fingerprint=run.fingerprint or "",
        hardware=run.hardware or "",
        versions={name: str(version) for name, version in (run.versions or {}).items()},
    )
    weights = {name: value.contiguous() for name, value in loaded.model.state_dict().items()}
    return save(weights, {"format": FORMAT, KEY: card.model_dump_json()})


def _tested(database: Database, run_id: int) -> int:
    from cnnviz import tracking

    record = tracking.latest_record(database, run_id, "test/confusion")
    return 0 if record is None else sum(map(sum, record.body))
