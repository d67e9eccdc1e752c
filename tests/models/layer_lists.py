"""Random layer lists, most of which do not fit."""

from hypothesis import strategies as st

from cnnviz.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Inception,
    Layer,
    LayerList,
    Linear,
    LocalResponseNorm,
    Pool,
    Residual,
    Softmax,
)

windows = st.integers(1, 9)
layers: st.SearchStrategy[Layer] = st.one_of(
    st.builds(Conv, out=st.integers(1, 64), kernel=windows, stride=st.integers(1, 3),
              padding=st.integers(0, 3), groups=st.integers(1, 3)),
    st.builds(Pool, mode=st.sampled_from(["max", "average"]), kernel=windows, padding=st.integers(0, 4)),
    st.builds(Linear, out=st.one_of(st.just("classes"), st.integers(1, 64))),
    st.builds(Dropout, p=st.just(0.25), maps=st.booleans()),
    st.builds(Residual, out=st.integers(1, 64), stride=st.integers(1, 2)),
    st.sampled_from([BatchNorm(), Activation(), Flatten(), GlobalPool(), LocalResponseNorm(), Softmax(),
                     Inception()]),
)  # fmt: skip
documents = st.builds(
    lambda side, classes, parts: LayerList(input=(3, side, side), classes=classes, layers=tuple(parts)),
    st.integers(1, 48),
    st.integers(1, 20),
    st.lists(layers, max_size=8),
)
