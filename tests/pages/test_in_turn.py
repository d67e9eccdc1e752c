"""One page after another in one session of a real app, which forgets a page's controls; AppTest does not."""

from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.browser.server import serve

PATIENCE_SECONDS = 120.0


def open_in(socket: ClientConnection, page: str) -> list[str]:
    """Open a page as a link does; the exceptions that it shows once its script has finished."""
    message = BackMsg()
    message.rerun_script.page_name, message.rerun_script.query_string = page, "model=lenet5"
    socket.send(message.SerializeToString())
    shown = []
    while True:
        answer = ForwardMsg()
        answer.ParseFromString(socket.recv(PATIENCE_SECONDS, decode=False))
        kind = answer.WhichOneof("type")
        if kind == "delta" and answer.delta.new_element.WhichOneof("type") == "exception":
            shown.append(f"{answer.delta.new_element.exception.type} on {page}")
        if kind == "script_finished" and answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            return shown


def test_pages_with_the_same_choice_of_image(tmp_path: Path) -> None:
    # A control is forgotten with its page, though its key is still in the session's state: KeyError: None.
    with (
        serve(tmp_path) as server,
        connect(
            f"{server.url.replace('http', 'ws')}/_stcore/stream", subprotocols=[Subprotocol("streamlit")],
            max_size=2**28,
        ) as socket,
    ):  # fmt: skip
        walk = ("features", "attribution", "features", "predict", "attribution")
        assert [open_in(socket, page) for page in walk] == [[]] * len(walk)
