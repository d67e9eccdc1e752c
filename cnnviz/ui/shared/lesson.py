"""Lesson: six pages in a prepared state, each with one question and its answer.

The step is in the URL (`lesson=3`), so that progress can be bookmarked, and is carried to other pages, so
that a student can look around and return. `docs/lesson.md` plans 90 minutes by these steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.layout import link

PARAMETER = "lesson"


@dataclass(frozen=True)
class Step:
    """One step: the page and its state, the question, and the answer.

    Every number in `answer` is recomputed by a test (`tests/ui/shared/test_lesson.py`).
    """

    title: str
    page: str
    question: str
    look: str
    """The part of the page to look at."""
    answer: str
    state: Mapping[str, str] = field(default_factory=dict)


STEPS = (
    Step(
        "What a convolution does",
        "features",
        "How does one value of the first layer come about, and why do neighbors look alike?",
        "Choose a cell of a map below; its window of the image, the kernel and the sum stand beside it.",
        "One kernel of 5×5 weights lies over 25 pixels; each weight is multiplied by the pixel under it, the "
        "products are added up, and the bias is added. The same kernel slides over the whole image, so a map "
        "says everywhere how much the image looks like the kernel there. Six kernels of 25 weights and six "
        "biases are all that conv1 has: 156 parameters.",
        {
            "weights": "checkpoint:lenet5-mnist", "picture": "sample:digit-3", "layer": "conv1",
            "view": "arithmetic",
        },
    ),
    Step(
        "Where AlexNet’s parameters sit",
        "architecture",
        "AlexNet for CIFAR-10 has 58.3 million parameters. Which layer holds most of them, and which layer "
        "does most of the work?",
        "Compare the bars for parameters with the bars for compute, layer by layer.",
        "fc1 alone holds 37,752,832 parameters, 65 % of all; the three fully connected layers hold 94 %. "
        "But 95 % of the multiply-adds are done by the convolutions: their few weights are used again at "
        "every position, those of a fully connected layer once for an image.",
        {"model": "alexnet-cifar10", "layer": "fc1"},
    ),
    Step(
        "Train LeNet-5",
        "train",
        "Press Start. How does accuracy on the test images move, and when does it stop to rise?",
        "Watch the curves while the network learns, then look which digits are still confused with each "
        "other.",
        "It rises steeply in the first epochs and then flattens; the loss on the training images goes on "
        "falling. Between the two curves lies what the network has memorized and does not generalize. What "
        "it still confuses are digits that look alike.",
        {"model": "lenet5", "dataset": "digits"},
    ),
    Step(
        "A run that fails, and why",
        "diagnose",
        "This AlexNet was trained like the others, and its loss stays at chance level. Why?",
        "Read the first finding and its evidence: what is left of the images, layer by layer.",
        "Its weights began too small: each layer passes on less of what tells images apart, until at fc1 "
        "hardly anything is left, so every image gets the same answer and the loss stays at ln 10 ≈ 2.303, "
        "chance level among ten classes. He’s rule draws weights so that the signal keeps its size.",
        {"recorded": "alexnet-stl10-failed"},
    ),
    Step(
        "Inside an inception block",
        "inception",
        "Four branches see the same input. What does each contribute, and what are the 1×1 convolutions for?",
        "Compare the maps of the branches; then open the view 1×1 bottleneck.",
        "Branches of 1×1, 3×3, 5×5 and pooling look at structures of different size, and their maps are "
        "concatenated. The 1×1 convolutions before the larger kernels reduce the number of maps first: the "
        "large kernels then have fewer maps to sum over, which saves most of the arithmetic.",
        {
            "weights": "checkpoint:small-googlenet-cifar10", "picture": "sample:airplane",
            "layer": "inception_3a",
        },
    ),
    Step(
        "Compare",
        "compare",
        "Which of these networks has the most parameters, and which needs the most compute?",
        "All bars are on one scale; the table below gives the exact numbers.",
        "AlexNet has the most parameters, 58.3 M, and GoogLeNet, with a tenth of them (5.98 M), does the "
        "most arithmetic: 1.56 GMAC against 1.18. ResNet-18 needs 555 MMAC. Parameters tell what has to be "
        "stored, multiply-adds what has to be computed; neither follows from the other.",
        {"models": "alexnet-cifar10,small-alexnet,googlenet-32,resnet18-32"},
    ),
)  # fmt: skip


def parameters(number: int) -> dict[str, str | None]:
    """Return the URL changes of a link to step `number` (from 1): its state replaces what pages carry."""
    dropped = dict.fromkeys((*url_state.CARRIED, *url_state.PASSED))
    dropped |= {name: None for name in st.query_params if url_state.is_carried(name)}
    dropped.pop("present")  # a lesson may be presented to a class
    return {**dropped, **STEPS[number - 1].state, PARAMETER: str(number)}


def read(text: str | None) -> tuple[int | None, str | None]:
    """Return the step that the URL names, from 1, or None with an error sentence if there is no such step."""
    if text is None:
        return None, None
    if re.fullmatch(r"[0-9]{1,3}", text) and 1 <= int(text) <= len(STEPS):
        return int(text), None
    return None, f"“{PARAMETER}” cannot be {url_state.quoted(text)}, only a step from 1 to {len(STEPS)}."


def lesson_bar(page: str) -> None:
    """Draw the step that the URL names, if any, on `page`: question, answer, and links back and forward."""
    number, problem = read(st.query_params.get(PARAMETER))
    if problem:
        notice.show([problem])
    if number is None:
        return
    step = STEPS[number - 1]
    with st.container(border=True, key="lesson", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson-head"):
            st.markdown(f"**Lesson, step {number} of {len(STEPS)}: {step.title}**", width="content")
            with st.container(horizontal=True, gap="xsmall", key="lesson-ways", width="content"):
                if number > 1:
                    link(
                        STEPS[number - 2].page, "Back", icon=":material/arrow_back:", **parameters(number - 1)
                    )
                if number < len(STEPS):
                    link(
                        STEPS[number].page, "Next", icon=":material/arrow_forward:", **parameters(number + 1)
                    )
                link("start", "End the lesson", icon=":material/close:", **{PARAMETER: None})
        if page != step.page:
            link(step.page, "Back to the page of this step", icon=":material/undo:", **parameters(number))
        st.markdown(step.question)
        with st.expander("Where to look, and the answer", key=f"lesson-answer-{number}"):
            st.markdown(f"{step.look}\n\n{step.answer}")
