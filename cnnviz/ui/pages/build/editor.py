"""Layer list editor with its tools, and the cost of the design compared with the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from cnnviz.analysis.checks import Problem, check_layers
from cnnviz.analysis.core import Cost, kind_of
from cnnviz.analysis.diff import Status
from cnnviz.analysis.types import KIND_TITLES, Row
from cnnviz.figures import numbers
from cnnviz.figures.architecture import layer_bars
from cnnviz.models import layer_list_edit
from cnnviz.models.layer_list_edit import fixes
from cnnviz.models.layers import KINDS, Layer, LayerList, Step
from cnnviz.models.layers.base import times
from cnnviz.sentences import percent
from cnnviz.ui.components.images import layer_bars_chart
from cnnviz.ui.components.lists import Deed, layer_list
from cnnviz.ui.pages.build import state
from cnnviz.ui.pages.build.state import Costed, Design
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.diff_table import Side, Sides, diff_sentence, diff_table
from cnnviz.ui.shared.model_data import ShownModel, headline

# Settings of a layer in a few words, for a row of the editor.

FUNCTIONS = {
    "relu": "ReLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "leaky_relu": "leaky ReLU",
    "gelu": "GELU",
    "silu": "SiLU",
}


def layer_text(layer: Layer, classes: int) -> str:
    """Format the layer's settings without defaults: `96 maps · 4×4 · stride 2`."""
    formatter = FORMATTERS.get(layer.kind)
    parts = formatter(layer, classes) if formatter else []
    return " · ".join(part for part in parts if part)


def _unless(value: Any, usual: Any, text: str) -> str:
    return "" if value == usual else f"{text} {value if isinstance(value, int) else times(value)}"


def _conv(layer: Any, _classes: int) -> list[str]:
    return [
        f"{layer.out:,} maps",
        times(layer.kernel),
        _unless(layer.stride, 1, "stride"),
        _unless(layer.padding, 0, "padding"),
        _unless(layer.dilation, 1, "dilation"),
        _unless(layer.groups, 1, "groups"),
    ]


def _pool(layer: Any, _classes: int) -> list[str]:
    stride = "" if layer.stride is None else _unless(layer.stride, layer.kernel, "stride")
    return [f"{layer.mode} {times(layer.kernel)}", stride, _unless(layer.padding, 0, "padding")]


def _linear(layer: Any, classes: int) -> list[str]:
    return [f"{classes:,} classes" if layer.out == "classes" else f"{layer.out:,} units"]


def _inception(layer: Any, _classes: int) -> list[str]:
    return [" + ".join(map(str, (layer.one, layer.three, layer.five, layer.pool))) + " maps"]


FORMATTERS: dict[str, Callable[[Any, int], list[str]]] = {
    "conv": _conv,
    "pool": _pool,
    "linear": _linear,
    "activation": lambda layer, _: [FUNCTIONS[layer.function]],
    "softmax": lambda *_: ["softmax over the channels"],
    "dropout": lambda layer, _: [
        f"dropout {percent(layer.p)}",
        "whole maps" if layer.maps else "",
    ],
    "lrn": lambda layer, _: [f"LRN over {layer.size} maps"],
    "inception": _inception,
    "naive_inception": lambda layer, _: [f"{layer.one} + {layer.three} + {layer.five} maps + its input"],
    "residual": lambda layer, _: [f"{layer.out:,} maps", _unless(layer.stride, 1, "stride")],
    "resize": lambda layer, _: [f"to {times(layer.size)}"],
    "batch_norm": lambda *_: ["batch normalization"],
    "flatten": lambda *_: ["maps to a vector"],
    "global_pool": lambda *_: ["mean of each map"],
}


# Data of the editor component.


def payload(
    document: LayerList,
    costs: Mapping[str, Cost],
    statuses: Mapping[str, Status],
    fixes: Sequence[str],
    index: int,
) -> dict[str, Any]:
    """Return one entry per layer, with cost shares relative to the largest.

    `fixes` are of the first misfit.
    """
    most_params = max((cost.params for cost in costs.values()), default=0) or 1
    most_macs = max((cost.macs for cost in costs.values()), default=0) or 1
    return {
        "title": f"Layers of {document.name}",
        "place": index,
        "fixes": list(fixes),
        "rows": [
            _row(step, document, costs[step.name], statuses.get(step.name, "same"), (most_params, most_macs))
            for step in document.steps()
        ],
    }


def _row(
    step: Step, document: LayerList, cost: Cost, status: Status, largest: tuple[int, int]
) -> dict[str, Any]:
    kind = kind_of(step.layer)
    known = step.output_shape is not None
    text = layer_text(step.layer, document.classes)
    output = numbers.shape(step.output_shape) if step.output_shape is not None else "—"
    params, macs = (numbers.exact(n) if n else "" for n in (cost.params, cost.macs))
    return {
        "name": step.name,
        "kind": kind,
        "words": text,
        "output": output,
        "params": params,
        "macs": macs,
        "share": [cost.params / largest[0], cost.macs / largest[1]],
        "status": "" if status == "same" else status,
        "problem": step.problem,
        "unknown": not known and not step.problem,
        "label": _label(step, KIND_TITLES[kind], text, output, params, status),
    }


def _label(step: Step, kind: str, text: str, output: str, params: str, status: Status) -> str:
    """Return the accessible label of a row."""
    parts = [step.name, kind, text, f"output {output}" if step.output_shape else "output unknown"]
    parts += [f"{params} parameters"] if params else []
    parts += [status] if status != "same" else []
    parts += [f"does not fit: {step.problem}"] if step.problem else []
    return ", ".join(parts)


ADD = "builder-add"


def editor(costed: Costed) -> None:
    """Draw the tools and the list."""
    design = costed.design
    _tools(design)
    offered = fixes(design.document)
    if design.document.layers:
        data = payload(
            design.document, costed.by_layer, costed.statuses, [fix.label for fix in offered], design.selected
        )
        layer_list(data, key="layer-list", on_deed=do)
    else:
        st.info("An empty list. Add a convolution first, then an activation, then pooling; end with flatten "
                "and a fully connected layer of one unit a class.", icon=":material/lightbulb:")  # fmt: skip
    if costed.misfit == len(design.document.layers) and design.document.layers:
        st.error(notice.escape(design.document.problem()))
        with st.container(horizontal=True, gap="small"):
            for number, fix in enumerate(offered):
                st.button(fix.label, key=f"end-{number}", on_click=state.put, args=(fix.document,))


def do(deed: Deed, index: int, to: int) -> None:
    """Perform an action of the list."""
    document = state.read().document
    if deed == "select":
        state.select(index)
    elif deed == "move":
        state.attempt(lambda: layer_list_edit.move(document, index, to), to)
    elif deed == "remove":
        state.attempt(lambda: layer_list_edit.remove(document, index), min(index, len(document.layers) - 2))
    elif deed == "duplicate":
        state.attempt(lambda: layer_list_edit.duplicate(document, index), index + 1)
    elif deed == "fix":
        offered = fixes(document)
        if 0 <= to < len(offered):
            state.put(offered[to].document, index)
    else:
        {"undo": state.undo, "redo": state.redo}[deed]()


def _tools(design: Design) -> None:
    index, count = design.selected, len(design.document.layers)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key="tools"):
        st.menu_button(
            "Add a layer",
            list(KINDS),
            format_func=lambda kind: KINDS[kind].title,
            icon=":material/add:",
            key=ADD,
            on_click=_add,
            type="primary",
            help=f"Behind {design.step.name}" if design.step else "The first one",
        )
        _tool("Duplicate", "content_copy", count > 0, lambda: do("duplicate", index, 0))
        _tool("Up", "arrow_upward", index > 0, lambda: do("move", index, index - 1))
        _tool("Down", "arrow_downward", index < count - 1, lambda: do("move", index, index + 1))
        _tool("Remove", "delete", count > 0, lambda: do("remove", index, 0))
        _tool("Undo", "undo", state.can_undo(), state.undo)
        _tool("Redo", "redo", state.can_redo(), state.redo)


def _tool(label: str, icon: str, usable: bool, act: Callable[[], None]) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        key=f"tool-{label}",
        disabled=not usable,
        on_click=act,
        type="tertiary",
    )


def _add() -> None:
    """Add a layer after the selected one, with settings that fit if possible, and select it."""
    design = state.read()
    kind = st.session_state[ADD]
    index = design.selected + 1 if design.document.layers else 0
    if kind in KINDS:
        new = layer_list_edit.suggest(design.document, index, kind)
        state.attempt(lambda: layer_list_edit.add(design.document, index, new), index)


# Comparison of the design with the original list: totals, and layer by layer.


def totals(costed: Costed) -> list[str]:
    """Describe the changes of the totals; empty if there are none."""
    before, after, batch = costed.original, costed.analysis, costed.design.batch
    pairs = (
        ("Parameters", before.total_params, after.total_params, numbers.short),
        ("Multiply-adds", before.macs, after.macs, numbers.macs),
        ("Activations", before.forward_bytes(batch), after.forward_bytes(batch), numbers.mib),
    )
    return [
        f"{title} {format_value(old)} → {format_value(new)}{_relative(old, new)}"
        for title, old, new, format_value in pairs
        if old != new
    ]


def _relative(old: int, new: int) -> str:
    if not old:
        return ""
    change = (new - old) / old
    sign = "+" if change > 0 else "−"
    return f" ({sign}{numbers.percent(abs(change), 1)})" if abs(change) < 10 else f" (×{new / old:.0f})"


def comparison(costed: Costed) -> None:
    """Draw the comparison."""
    design = costed.design
    st.header(f"Compared with {design.base.title}", anchor=False)
    if not design.edited:
        st.caption("Nothing is changed yet. Choose a layer above and change one of its settings.")
        return
    fits = all(step.output_shape is not None for step in design.steps)
    documents = {"a": design.original, "b": design.document}
    layers = {side: dict(zip(d.names(), d.layers, strict=True)) for side, d in documents.items()}

    def tell(side: Side, row: Row) -> str:
        return layer_text(layers[side][row.name], documents[side].classes)

    sides = Sides("the original", "the design", tell, counted=fits)
    st.markdown("  \n".join([diff_sentence(costed.difference, sides), *(totals(costed) if fits else [])]))
    diff_table(costed.difference, sides, key="design-diff", file=f"{design.document.name} differences")


# Total cost of the design, as on the Architecture page.


def summary(costed: Costed, problems: Sequence[Problem]) -> None:
    """Draw the headline figures of the layers that fit, and the number of problems described further down."""
    design = costed.design
    # The model's summary does not apply to an edited design.
    text = f"A change of {design.base.title}." if design.edited else design.base.summary
    about = design.document.description or text
    spec = replace(design.base, summary=f"{about} {_counts(problems)}".rstrip())
    headline(ShownModel(replace(design.selection, spec=spec), costed.analysis))
    if costed.misfit is not None and costed.analysis.rows:
        last = costed.analysis.rows[-1].name.split(".")[0]
        st.caption(f"These are the figures of the part that fits, up to {last}.")


def structure(costed: Costed) -> tuple[Problem, ...]:
    """Return the structural problems of the design, as far as it fits."""
    problems = check_layers(costed.design.document)
    if costed.misfit is None:
        return problems
    # The list itself shows misfits and a wrong number of outputs.
    return tuple(problem for problem in problems if problem.check not in ("misfit", "class-count"))


def _counts(problems: Sequence[Problem]) -> str:
    """Describe the number of problems.

    For example `2 errors and 1 warning are described below the layer's settings.`; empty if there are none.
    """
    counts = [(kind, sum(problem.severity == kind for problem in problems)) for kind in ("error", "warning")]
    named = [f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts if count]
    if not named:
        return ""
    verb = "is" if sum(count for _, count in counts) == 1 else "are"
    return f"{' and '.join(named)} {verb} described below the layer's settings."


def bars(costed: Costed) -> None:
    """Draw the bars by layer, if any layer fits; a click selects the layer in the list."""
    design = costed.design
    if not costed.analysis.rows:
        return
    rows = [row.name for row in costed.analysis.rows]
    chosen = next((name for name in rows if design.step and name.split(".")[0] == design.step.name), None)
    names = design.document.names()

    def choose(row: str) -> None:
        name = row.split(".")[0]
        if name in names:
            state.select(names.index(name))

    figure = layer_bars(costed.analysis, design.batch, chosen)
    layer_bars_chart(figure, name=design.document.name, key="design-bars", on_select=choose)
