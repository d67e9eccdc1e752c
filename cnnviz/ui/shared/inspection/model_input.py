"""Model input: the weights that the URL names, uploaded weights, and the loaded model."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz import models
from cnnviz.analysis.types import Analysis
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.url_state import Selection

if TYPE_CHECKING:
    from cnnviz.inference.weights.loaded_model import Loaded
    from cnnviz.inference.weights.references import Choice
    from cnnviz.tracking import Database

# Weights references in the URL (see `cnnviz.inference.weights.references`). Imports no torch.

FALLBACK = "fresh:lenet5"
"""Reference used where nothing ships and none is requested."""
HANDED = "file:"
"""Prefix of references to this visitor's uploaded weights files."""


def reference(
    parameters: Mapping[str, str],
    known: Sequence[Choice],
    preferred: Sequence[str] = (),
    *,
    own_form: bool = True,
) -> str:
    """Resolve query parameters to a weights reference.

    A run selected on another page takes precedence, then `weights`, unless another model was selected on
    another page meanwhile; then the first weights of that model; then the shipped weights, or the newest run.

    Args:
        parameters: Query parameters.
        known: Available weights.
        preferred: Models that come first if nothing is requested, with fresh weights if need be.
        own_form: False if the model is requested with other classes, options or size than its defaults, for
            which only fresh weights exist.
    """
    run, given, model = (parameters.get(name) for name in ("run", "weights", "model"))
    model = model if model and model in models.specs() else None
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
    """Return the registered name of a reference's model; None if only loading can tell."""
    kind, _, name = given.partition(":")
    if kind == "fresh":
        return name
    if kind == "torchvision":
        return f"torchvision/{name}"
    plain = given.partition("/")[0] if kind == "run" else given
    return next((choice.model for choice in known if choice.reference == plain), None)


def parameters(chosen: str, known: Sequence[Choice]) -> dict[str, str | None]:
    """Return the URL changes for a reference: its run and its model too, so that other pages follow."""
    kind, _, name = chosen.partition(":")
    model = model_of(chosen, known)
    run = name.partition("/")[0] if kind == "run" else None
    registered = model if model in models.specs() else None
    return {"weights": chosen, "run": run, "model": registered}


def labels(known: Sequence[Choice]) -> dict[str, str]:
    """Return the label of every offered reference: shipped weights, runs, then models by name."""
    by_reference = {choice.reference: _label(choice) for choice in known}
    specs = models.specs().values()
    by_reference |= {f"fresh:{spec.name}": f"{spec.title} · {_state_of(spec)}" for spec in specs}
    official = [spec for spec in specs if spec.source == "torchvision"]
    by_reference |= {
        f"torchvision:{spec.name.removeprefix('torchvision/')}": f"{spec.title} · torchvision's weights"
        for spec in official
    }
    return by_reference


def _state_of(spec: models.ModelSpec) -> str:
    """Describe a model's weights without a run: its own if it was read from a data file, else fresh ones."""
    return "its own weights" if spec.description is not None else "fresh weights"


def _label(choice: Choice) -> str:
    accuracy = "" if choice.accuracy is None else f" · {100 * choice.accuracy:.1f} %"
    if choice.status == "shipped":
        return f"{choice.title}{accuracy} · ships with cnnviz"
    state = "" if choice.status == "finished" else f" · {choice.status}"
    return f"Run {choice.reference.removeprefix('run:')} · {choice.title}{accuracy}{state}"


# Uploaded weights files: read once, kept for this visitor only.

KEY = "inside-files"
MAX_UPLOADED = 3
"""Maximum number of networks kept per visitor."""


def add_weights(name: str, data: bytes, model: str | None) -> str:
    """Read an uploaded weights file, keep its network, and return its reference.

    Raises:
        ValueError: The file cannot be used; the message says why.
    """
    from cnnviz.inference.weights.loaders import from_file, of_description
    from cnnviz.models import registry
    from cnnviz.models.external import is_data_file

    if is_data_file(name):
        spec = registry.add_upload(data, name)
        if spec.description is None:  # a Keras configuration has no weights: a model like any other
            return f"fresh:{spec.name}"
        reference = f"{HANDED}{spec.name.removeprefix(registry.UPLOAD_PREFIX)}"
        _store_upload(reference, of_description(spec, reference))
        return reference
    digest = hashlib.blake2b(data + (model or "").encode(), digest_size=8).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        path.write_bytes(data)
        registered = _registered(from_file(path, model, name=name))
    _store_upload(f"{HANDED}{digest}", registered)
    return f"{HANDED}{digest}"


def _store_upload(reference: str, entry: Loaded) -> None:
    uploads = _uploads()
    uploads[reference] = entry
    for old in list(uploads)[:-MAX_UPLOADED]:
        del uploads[old]


def _registered(loaded: Loaded) -> Loaded:
    """Return the network without its data set unless that is registered, so that no path is opened."""
    from cnnviz import datasets

    return loaded if loaded.dataset in datasets.names() else replace(loaded, dataset="")


def loaded(reference: str) -> Loaded:
    """Return an uploaded network.

    Raises:
        ValueError: This visitor has no such upload.
    """
    entry = _uploads().get(reference)
    if entry is None:
        raise ValueError(
            "A weights file that was handed in is known only to who did, until the page is closed."
        )
    return entry


def names() -> dict[str, str]:
    """Return the titles of this visitor's uploads by reference."""
    return {reference: f"{entry.name} · handed in" for reference, entry in _uploads().items()}


def _uploads() -> dict[str, Loaded]:
    uploads: dict[str, Loaded] = st.session_state.setdefault(KEY, {})
    return uploads


# The selected network, loaded once for all visitors: immutable, without hooks, with its analysis.

KEPT = 4
"""Networks kept in memory."""


@dataclass(frozen=True, eq=False)
class Network:
    """A loaded network with its analysis."""

    reference: str
    stamp: str
    """Changes whenever the weights do; part of the cache keys of results computed with them."""
    loaded: Loaded
    analysis: Analysis
    problems: tuple[str, ...] = ()
    """Errors of the request with what is shown instead, as sentences."""


def choices() -> list[Choice]:
    """Return the shipped weights and the runs with a checkpoint here; no runs without a database."""
    database = _database()
    return list(_choices(database, _state(database)))


def shipped(model: str) -> bool:
    """Return whether weights of the model ship with cnnviz."""
    return any(choice.model == model and choice.status == "shipped" for choice in choices())


def network(preferred: Sequence[str] = ()) -> Network:
    """Return the network that the URL names, or a shipped one with the reason why.

    Args:
        preferred: Models to choose from if the URL names none.
    """
    known = choices()
    requested = reference(st.query_params.to_dict(), known, preferred, own_form=url_state.current().own_form)
    problems_found: list[str] = []
    ships = next((choice.reference for choice in known if choice.status == "shipped"), FALLBACK)
    for candidate in (requested, ships, FALLBACK):
        with _collect_errors(problems_found):
            stamp, loaded = _load_and_check(candidate)
            title = "" if candidate == requested else f"{loaded.name} is shown instead."
            problems = (f"{problems_found[0]} {title}",) if title else ()
            return Network(candidate, stamp, loaded, _analysis(stamp, loaded), problems)
    raise RuntimeError(f"No network can be shown: {' '.join(problems_found)}")


def model_to_compare(reference: str) -> Network | None:
    """Return another network for comparison; None if it cannot be loaded."""
    with _collect_errors([]):
        stamp, loaded = _load_and_check(reference)
        return Network(reference, stamp, loaded, _analysis(stamp, loaded))
    return None


def _load_and_check(reference: str) -> tuple[str, Loaded]:
    """Load a network and check that it still answers: one shown by another process may be gone."""
    stamp, loaded = _load(reference)
    computing = getattr(loaded.model, "computing", None)  # absent where the model is of this process
    if computing is not None:
        computing.ping()
    return stamp, loaded


def _load(reference: str) -> tuple[str, Loaded]:
    if reference.startswith(HANDED):
        return reference, loaded(reference)
    form = url_state.current()
    if "model" in st.query_params and reference == f"fresh:{form.spec.name}" and not form.own_form:
        stamp = f"{reference} {form.parameters() | {'layer': ''}} {form.spec.edition}"
        return stamp, _fresh(stamp, form)
    from cnnviz.inference.weights import references

    database = _database()
    stamp = references.stamp(reference, database)
    return stamp, _loaded(stamp, reference, database)


@contextlib.contextmanager
def _collect_errors(problems: list[str]) -> Iterator[None]:
    """Append errors to `problems` as sentences."""
    try:
        yield
    except OSError as error:
        problems.append(f"{error.filename or 'The weights'} cannot be read: {error.strerror or error}.")
    except ValueError as error:
        problems.append(str(error))


def _database() -> Database | None:
    try:
        return run_data.database()
    except (ValueError, OSError):
        return None  # the Runs page reports the error


def _state(database: Database | None) -> str:
    from cnnviz import tracking
    from cnnviz.inference.weights import bundled

    runs = None if database is None else (database.where, tracking.stamp(database))
    return f"{bundled.names()} {runs}"


@st.cache_resource(max_entries=4, show_spinner=False)
def _choices(_database: Database | None, state: str) -> tuple[Choice, ...]:
    from cnnviz.inference.weights import references

    return tuple(references.choices(_database))


@RESULTS.cached(keep=2)
def _loaded(stamp: str, reference: str, _database: Database | None) -> Loaded:
    from cnnviz.inference.weights import references

    return references.load(reference, _database)


@RESULTS.cached(keep=2)
def _fresh(stamp: str, _form: Selection) -> Loaded:
    from cnnviz.inference.weights.loaders import fresh

    return fresh(_form.spec.name, _form.classes, _form.size, _form.options)


@st.cache_resource(max_entries=4 * KEPT, show_spinner=False)
def _analysis(stamp: str, _loaded: Loaded) -> Analysis:
    from cnnviz.analysis import analyze

    options = None if _loaded.options is None else _loaded.options.changed()
    return analyze(_loaded.spec, _loaded.side, len(_loaded.classes), options)


# Weights chooser: shipped weights, runs, uploads, and any model with fresh weights.

CHOICE_KEY = "weights-name"
TAKEN = "weights-taken"
SAYS_ITSELF = "the file says it"


def weights_chooser(network: Network) -> None:
    """Draw the list with the network selected, and the upload of a weights file."""
    known = choices()
    named = names() | labels(known)
    named.setdefault(network.reference, network.loaded.name)
    st.session_state[CHOICE_KEY] = network.reference
    st.selectbox(
        "Network",
        list(named),
        format_func=lambda reference: named.get(reference, reference),
        key=CHOICE_KEY,
        on_change=partial(url_state.pick, CHOICE_KEY, named, network.reference, choose),
        required=True,
        label_visibility="collapsed",
        placeholder="Type to find a network",
        width=400,
    )
    _own_file()


def choose(reference: str) -> None:
    """Select weights, for use in callbacks."""
    changes = parameters(reference, choices())
    # Drop the requested form of the model, since trained weights have their own.
    options = (name for name in st.query_params if name.startswith(url_state.OPTION))
    changes |= dict.fromkeys(("classes", "size", *options))
    if changes["model"] != url_state.current().spec.name:
        changes |= {"layer": None, "channel": None, "class": None, "prep": None}
    url_state.change(**changes)


def _own_file() -> None:
    with st.popover("File", icon=":material/upload:", type="tertiary", help="Weights from a file of yours"):
        count = st.session_state.setdefault(TAKEN, 0)
        given = st.file_uploader(
            "A checkpoint of cnnviz, a safetensors file, a PyTorch state dict, ONNX, or a .keras file",
            key=f"weights-upload-{count}",
            max_upload_size=500,
        )
        specs = models.specs()
        model = st.selectbox(
            "Which model its weights are for",
            [SAYS_ITSELF, *specs],
            format_func=lambda name: specs[name].title if name in specs else name,
            key="weights-model",
            help="Files that cnnviz wrote say it themselves.",
        )
        if given is not None and st.button("Load it", type="primary", key="weights-load"):
            _load_upload(given.name, given.getvalue(), None if model == SAYS_ITSELF else str(model))
        st.caption("Nothing in a file is executed: pickled objects are refused. It stays yours alone.")


def _load_upload(name: str, data: bytes, model: str | None) -> None:
    try:
        with st.spinner("Reading the weights …"):
            reference = add_weights(name, data, model)
    except (ValueError, OSError) as error:
        st.error(notice.escape(str(error)))
        return
    st.session_state[TAKEN] += 1
    choose(reference)
    st.rerun()
