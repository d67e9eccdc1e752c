"""Classroom: join code, students and the teacher's key, in one file readable only by its owner.

The file is next to the runs, so that a restarted app knows its students. A cookie holds a student's key,
signed with a secret that never leaves the file. Of the teacher's key only a digest is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import time
import unicodedata
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout
from itsdangerous import BadSignature, URLSafeTimedSerializer

from cnnviz.access.principal import LOCAL, Principal, Role

PATH_VARIABLE = "CNNVIZ_CLASS"
"""Path of the class file for the app that `cnnviz class` starts; without it there is no class."""
URL_VARIABLE = "CNNVIZ_CLASS_URL"
"""URL for students, shown on the teacher's page."""
HOSTS_VARIABLE = "CNNVIZ_CLASS_HOSTS"
"""Additional host names of the app, separated by commas."""
FILE = "class.json"
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, 5 bits per character: without I, L, O, U, which are easily misread."""
CODE_LENGTH = 8
KEY_LENGTH = 12
CODE_HOURS = 4.0
MAX_WRONG = 100
"""Maximum number of wrong join codes in total; until then a guess succeeds with probability 1e-10."""
WRONG_A_MINUTE = 10
"""Maximum number of wrong tries per minute from one address."""
MAX_STUDENTS = 300
COOKIE_DAYS = 30
LONGEST_NAME = 30
TEACHER = "Teacher"
"""Name under which others read what is the teacher's; no student has it."""
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Printable characters of Unicode that show nothing: fillers of Hangul, and Braille without dots."""
_SALT = "cnnviz.class"
_STUDENT = "class "
"""Prefix of a student's key: the issuer of a principal, before its subject."""


class JoinError(ValueError):
    """Joining is refused, with a message for the user."""


@dataclass(frozen=True)
class State:
    """Contents of the class file."""

    secret: str
    code: str
    expires: float
    teacher: str
    """SHA-256 of the teacher's key."""
    wrong: int = 0
    closed: bool = False
    handout: str = ""
    """Path and query within the app of the teacher's handout."""
    handout_title: str = ""
    students: dict[str, str] = field(default_factory=dict)
    """Nickname by key."""


def random_code(length: int) -> str:
    """Return `length` random characters of the alphabet, 5 bits each."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def grouped(code: str) -> str:
    """Format a code in groups of four: `7KQ4-M2XD`."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def format_expiry(state: State) -> str:
    """Format the local time until which the join code admits students, with the day unless it is today."""
    expires = time.localtime(state.expires)
    today = expires[:3] == time.localtime()[:3]
    return time.strftime("%H:%M" if today else "%a %H:%M", expires)


def join_link(url: str, state: State) -> str:
    """Return the link that fills in the join code, for a QR code; what stands behind # is never sent."""
    return f"{url}/join#{grouped(state.code)}"


def teacher_link(url: str, key: str) -> str:
    """Return the teacher's link."""
    return f"{url}/teach#{key}"


def normalized(code: str) -> str:
    """Normalize a typed code: case, O for 0, I and L for 1, spaces and hyphens."""
    characters = "".join(character for character in code.upper() if character.isalnum())
    return characters.translate(str.maketrans("OIL", "011"))


def clean_name(text: str) -> str:
    """Normalize a nickname; raise `JoinError` if it is empty or too long.

    Forms that look alike by Unicode (full width, ligatures) become one, so that they are told apart.
    """
    text = unicodedata.normalize("NFKC", text[: 10 * LONGEST_NAME])
    name = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise JoinError(f"A nickname has 1 to {LONGEST_NAME} characters.")
    if not any(_is_visible(character) for character in name):
        raise JoinError("A nickname has letters, digits or signs that can be seen.")
    return name


def _is_visible(character: str) -> bool:
    return character not in _BLANK and unicodedata.category(character)[0] not in "MZ"


class Classroom:
    """A class, stored in a file. Thread-safe; reloaded when the file has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int, int], State] | None = None
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._held: FileLock | None = None

    def hold(self) -> bool:
        """Hold the class until this process ends, or `release`; return False if another process holds it.

        Two apps with one class would overwrite each other's students, and only the later one's links work.
        """
        lock = FileLock(self.path.with_suffix(".lock"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            return False
        except (OSError, NotImplementedError):
            return True  # A file system without locks; whether the file can be written is said elsewhere.
        self._held = lock
        return True

    def release(self) -> None:
        """Undo `hold`."""
        if self._held is not None:
            self._held.release()
        self._held = None

    def open(self, hours: float = CODE_HOURS) -> str:
        """Open the class, with the students and handout that it had; return the teacher's new key."""
        key = secrets.token_urlsafe(24)
        known = self._read() if self.path.exists() else None
        state = State(
            secret=known.secret if known else secrets.token_hex(32),
            code=random_code(CODE_LENGTH),
            expires=time.time() + hours * 3600,
            teacher=_digest(key),
            students=known.students if known else {},
            handout=known.handout if known else "",
            handout_title=known.handout_title if known else "",
        )
        with self._lock:
            self._write(state)
        return key

    @property
    def state(self) -> State:
        """Current contents; raises `OSError` or `ValueError` if the file cannot be read."""
        return self._read()

    # Joining.

    def join(self, code: str, nickname: str, address: str = "", key: str = "") -> str:
        """Admit a student and return the cookie's value.

        Args:
            code: The join code, as typed.
            nickname: Display name; unique within the class.
            address: Client address, for rate limiting.
            key: The student's own key from an earlier session, to be the same student again.

        Raises:
            JoinError: The code or key is wrong, the class is closed or full, or there were too many tries.
        """
        with self._lock:
            state = self._read()
            self._check_open(state, address)
            if not hmac.compare_digest(normalized(code).encode(), state.code.encode()):
                raise self._wrong(state, address, "This is not the join code; ask your teacher for it.")
            if key.strip():
                student = self._returning(state, normalized(key))
                if student is None:
                    raise self._wrong(
                        state, address, "No student has this key; leave it empty to begin anew."
                    )
            else:
                name = _unused_nickname(clean_name(nickname), {TEACHER, *state.students.values()})
                if len(state.students) >= MAX_STUDENTS:
                    raise JoinError(f"The class is full: {MAX_STUDENTS} students have joined it.")
                student = _STUDENT + secrets.token_hex(8)
                self._write(replace(state, students={**state.students, student: name}))
        return self._sign(state, {"k": student})

    def teach(self, key: str, address: str = "") -> str:
        """Admit the teacher and return the cookie's value; raise `JoinError`."""
        with self._lock:
            state = self._read()
            self._check_tries(address)
            if not hmac.compare_digest(_digest(key.strip()), state.teacher):
                self._note(address)
                raise JoinError("This is not the teacher's key; `cnnviz class` prints it when it starts.")
        return self._sign(state, {"k": LOCAL, "t": state.teacher[:16]})

    def principal(self, cookie: str | None) -> Principal | None:
        """Return a cookie's principal; None if invalid or expired, and for students of a closed class."""
        if not cookie or len(cookie) > 1_000:
            return None
        try:
            state = self._read()
            claims = _serializer(state).loads(cookie, max_age=COOKIE_DAYS * 86_400)
        except (BadSignature, OSError, ValueError):
            return None
        key = claims.get("k")
        if key == LOCAL:
            current = claims.get("t") == state.teacher[:16]
            return Principal(LOCAL, TEACHER, Role.MANAGER) if current else None
        name = state.students.get(key)
        return None if name is None or state.closed else Principal(key, name, Role.MEMBER)

    def student_key(self, student: str) -> str:
        """Return the key with which a student joins again in another browser, derived from the secret."""
        return _student_key(self._read(), student)

    # Changes by the teacher.

    def renew_code(self, hours: float = CODE_HOURS) -> None:
        """Replace the join code; students who have joined stay."""
        self._change(code=random_code(CODE_LENGTH), expires=time.time() + hours * 3600, wrong=0)

    def close(self) -> None:
        """Close the class: nobody can join, and students are logged out; their runs are kept."""
        self._change(closed=True)

    def reopen(self) -> None:
        """Undo `close`."""
        self._change(closed=False)

    def renew_teacher(self) -> str:
        """Replace the teacher's key and return it; the old link, and whoever came by it, is out."""
        key = secrets.token_urlsafe(24)
        self._change(teacher=_digest(key))
        return key

    def is_teacher_key(self, key: str) -> bool:
        """Return whether this is the teacher's key."""
        return hmac.compare_digest(_digest(key), self._read().teacher)

    def remove(self, students: Collection[str]) -> None:
        """Remove students, by key: their cookies and keys open nothing any more."""
        with self._lock:
            state = self._read()
            kept = {key: name for key, name in state.students.items() if key not in students}
            self._write(replace(state, students=kept))

    def hand_out(self, address: str, title: str) -> None:
        """Show a link into the app to every student; an empty one removes it."""
        self._change(handout=address, handout_title=title)

    # Internals.

    def _change(self, **changes: Any) -> None:
        with self._lock:
            self._write(replace(self._read(), **changes))

    def _returning(self, state: State, key: str) -> str | None:
        return next(
            (s for s in state.students if hmac.compare_digest(_student_key(state, s), key)), None
        ) if key.isascii() else None  # fmt: skip

    def _check_open(self, state: State, address: str) -> None:
        self._check_tries(address)
        if state.closed:
            raise JoinError("The class is closed.")
        if state.wrong >= MAX_WRONG:
            raise JoinError(
                "This join code was tried wrongly too often and is locked; ask your teacher for a new one."
            )
        if time.time() >= state.expires:
            raise JoinError("This join code has expired; ask your teacher for a new one.")

    def _check_tries(self, address: str) -> None:
        tries = self._tries.get(address, ())
        if sum(time.monotonic() - moment < 60 for moment in tries) >= WRONG_A_MINUTE:
            raise JoinError("Too many wrong tries from here; wait a minute.")

    def _note(self, address: str) -> None:
        self._tries.setdefault(address, deque(maxlen=WRONG_A_MINUTE)).append(time.monotonic())
        self._tries.move_to_end(address)
        while len(self._tries) > 1_000:
            self._tries.popitem(last=False)

    def _wrong(self, state: State, address: str, sentence: str) -> JoinError:
        self._note(address)
        self._write(replace(state, wrong=state.wrong + 1))
        return JoinError(sentence)

    def _sign(self, state: State, claims: dict[str, str]) -> str:
        return str(_serializer(state).dumps(claims))

    def _read(self) -> State:
        stat = self.path.stat()
        version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._known
        if known is not None and known[0] == version:
            return known[1]
        try:
            state = State(**orjson.loads(self.path.read_bytes()))
        except (TypeError, orjson.JSONDecodeError) as error:
            raise ValueError(
                f"The class's file {self.path} cannot be read; remove it to begin a new class."
            ) from error
        self._known = (version, state)
        return state

    def _write(self, state: State) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(orjson.dumps(asdict(state), option=orjson.OPT_INDENT_2))
        temporary.replace(self.path)
        self._known = None


def _serializer(state: State) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(state.secret, salt=_SALT)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _student_key(state: State, student: str) -> str:
    mac = hmac.digest(state.secret.encode(), student.encode(), "sha256")
    return "".join(ALPHABET[byte % 32] for byte in mac[:KEY_LENGTH])


def _unused_nickname(name: str, nicknames: set[str]) -> str:
    folded = {existing.casefold() for existing in nicknames}
    names = (name, *(f"{name} ({number})" for number in range(2, len(nicknames) + 3)))
    return next(existing for existing in names if existing.casefold() not in folded)
