"""What the model answers: the confusion matrix, and a few test images with what it says of them now."""

from __future__ import annotations

from html import escape

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.confusion import confusion, confusion_alt
from cnnviz.ui.components.plot import plot
from cnnviz.ui.train.story import Story

MATRIX = 430


def answers(story: Story, name: str) -> None:
    """Draw both, each as soon as there is something; `name` is what downloads are called."""
    st.subheader("What is taken for what", anchor=False)
    if story.confused is None:
        st.caption("The confusion matrix comes with the end of the first epoch.")
    else:
        part, epoch, matrix = story.confused
        st.caption(
            f"{part.capitalize()} images after epoch {epoch:g}. Rows: what they are; columns: what was said."
        )
        plot(confusion(matrix, story.classes), key="train-confusion", height=MATRIX,
             alt=confusion_alt(matrix, story.classes), name=f"{name}-confusion", picks=False)  # fmt: skip
    if story.images:
        st.subheader("The same test images, all along", anchor=False)
        st.caption(f"What the model says of them at epoch {story.predicted_at:.3g}; ✗ is a mistake.")
        st.html(f'<div class="fixed-images">{"".join(_cards(story))}</div>')


def _cards(story: Story) -> list[str]:
    said = {one["index"]: one["top"] for one in story.predictions}
    return [
        _card(story.classes, image["label"], image["png"], said.get(image["index"], []))
        for image in story.images
    ]


def _card(classes: list[str], label: int, png: str, top: list[tuple[float, float | None]]) -> str:
    true = _class(classes, label)
    if not top:
        return _figure(png, true, f"<b>{escape(true)}</b>", "")
    first, sure = int(top[0][0]), top[0][1]
    right = first == label and sure is not None
    others = ", ".join(f"{_class(classes, int(c))} {_sure(p)}" for c, p in top)
    mark = "" if right else '<i aria-label="wrong">✗</i> '
    text = f"<b>{mark}{escape(_class(classes, first))}</b><span>{_sure(sure)}</span>"
    alt = f"{true}, taken for: {others}"
    return _figure(png, alt, text, "" if right else " class='wrong'")


def _figure(png: str, alt: str, text: str, state: str) -> str:
    picture = f'<img src="data:image/png;base64,{escape(png)}" alt="{escape(alt)}">'
    return f'<figure{state} title="{escape(alt)}">{picture}<figcaption>{text}</figcaption></figure>'


def _sure(probability: float | None) -> str:
    """A probability; None where the model's outputs were no numbers."""
    return "NaN" if probability is None else numbers.percent(probability)


def _class(classes: list[str], number: int) -> str:
    return classes[number] if number < len(classes) else str(number)
