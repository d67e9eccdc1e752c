"""Sign-in: who an identity is here, and what cannot make somebody somebody."""

from __future__ import annotations

from typing import Any

import pytest

from cnnviz.access import NOBODY, Role
from cnnviz.access.principal import SignIn

ADA: dict[str, Any] = {"is_logged_in": True, "iss": "https://id.example", "sub": "ada", "groups": ["student"]}
POLICY = SignIn(claims=(("groups", "teacher"),), managers=("https://id.example root",))


def test_an_identity_is_issuer_and_subject() -> None:
    ada = POLICY.principal(ADA)
    assert (ada.key, ada.name, ada.role) == ("https://id.example ada", "ada", Role.MEMBER)
    assert ada.identity == ("https://id.example", "ada")
    elsewhere = POLICY.principal({**ADA, "iss": "https://other.example"})
    assert elsewhere.key != ada.key
    named = POLICY.principal({**ADA, "name": "Ada", "email": "ada@example.org"})
    assert (named.key, named.name) == (ada.key, "Ada")


def test_roles_come_from_a_claim_or_a_list() -> None:
    assert POLICY.principal({**ADA, "groups": ["student", "teacher"]}).manages
    assert POLICY.principal({**ADA, "groups": "teacher"}).manages
    assert POLICY.principal({**ADA, "sub": "root"}).manages
    assert not POLICY.principal({**ADA, "sub": "root", "iss": "https://other.example"}).manages
    assert not POLICY.principal({**ADA, "email": "root", "name": "teacher"}).manages


@pytest.mark.parametrize(
    "change",
    [
        {"is_logged_in": False}, {"is_logged_in": "True"}, {"sub": None}, {"sub": ""}, {"iss": None},
        {"sub": "a b"}, {"iss": "local\tlocal"}, {"sub": "x" * 256},
    ],
)  # fmt: skip
def test_what_is_no_identity_is_nobody(change: dict[str, Any]) -> None:
    assert POLICY.principal({**ADA, **change}) is NOBODY


@pytest.mark.parametrize("field", ["sub", "iss", "is_logged_in", "groups"])
def test_where_headers_may_claim_it_nobody_is_anybody(field: str) -> None:
    assert POLICY.principal({**ADA, "groups": ["teacher"]}, claimed_by_headers=[field]) is NOBODY
    assert POLICY.principal(ADA, claimed_by_headers=["email"]) is not NOBODY


def test_a_policy_is_read_as_it_was_written() -> None:
    assert SignIn.read(POLICY.write()) == POLICY
    with pytest.raises(ValueError, match="cnnviz app --sign-in"):
        SignIn.read("{}")


def test_nobody_signs_in_as_the_one_who_works_alone() -> None:
    for issuer in ("local", "class"):
        assert POLICY.principal({**ADA, "iss": issuer, "sub": "local"}) is NOBODY
