"""Rules for functions that only look at a tensor differently: they cost nothing and become no box."""

from __future__ import annotations

from cnnviz.analysis.calls import Call, Effect
from cnnviz.analysis.ops import rule
from cnnviz.analysis.types import WHOLE


def _view(call: Call, axes: tuple[int, int] | None) -> Effect:
    return Effect(call.name, "other", field=call.first.field if axes else WHOLE, axes=axes, view=True)


@rule("permute")
def permute(call: Call) -> Effect:
    """Axes in another order."""
    order = call.args[1] if len(call.args) == 2 else call.kwargs.get("dims", call.args[1:])
    count = call.out.dim()
    old = call.first.axes
    places = [d % count for d in ((order,) if isinstance(order, int) else order)]
    return _view(call, (places.index(old[0]), places.index(old[1])) if old else None)


@rule("transpose", "swapaxes", "swapdims")
def transpose(call: Call) -> Effect:
    """Two axes exchanged."""
    a, b = (d % call.out.dim() for d in (call.arg(1, "dim0"), call.arg(2, "dim1")))
    swap = {a: b, b: a}
    old = call.first.axes
    return _view(call, (swap.get(old[0], old[0]), swap.get(old[1], old[1])) if old else None)


@rule("view", "reshape", "unflatten", "chunk", "split", "narrow", "__getitem__", "getitem", "select",
      "index_select", "expand", "expand_as", "unsqueeze", "squeeze", "unbind", "tensor_split")  # fmt: skip
def regroup(call: Call) -> Effect:
    """Keeps the grid where it stays the last two axes and as large as it was; else cells are mixed."""
    if not call.tracked:
        return _view(call, None)
    tensor, track = call.tracked[0]
    last = (tensor.dim() - 2, tensor.dim() - 1)
    kept = track.axes == last and tensor.shape[-2:] == call.out.shape[-2:] and call.out.dim() >= 3
    return _view(call, (call.out.dim() - 2, call.out.dim() - 1) if kept else None)


@rule("contiguous", "clone", "detach", "to", "type_as", "float", "half", "identity", "alias", "as_tensor")
def unchanged(call: Call) -> Effect:
    """The same values."""
    return _view(call, call.first.axes)


@rule("flatten")
def flatten(call: Call) -> Effect:
    """Lays cells in a row: what reads the row reads the whole input."""
    return _view(call, None)
