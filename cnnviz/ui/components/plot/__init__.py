"""The one way a Plotly figure is shown: it follows the theme and keeps the user's zoom while points arrive.

    picked = plot(figure, key="curves", height=360, alt="Loss of run 7 over 12 epochs", name="run-7-loss")

A figure is Plotly's JSON as a plain dict, `{"data": […], "layout": {…}}`. Colours may be anything CSS knows:
`Colour.css` of the palette, `var(--st-text-color)`. Where new data belongs to other axes (loss instead of
accuracy, log instead of linear), `layout.uirevision` says so by another value, and the zoom starts afresh.
"""

from cnnviz.ui.components.plot.mount import Pick, plot

__all__ = ["Pick", "plot"]
