"""Access: bearer tokens, the rule for other machines, and the owner of plates and jobs."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cleanplate.cli.service.refusals import Refusal
from cleanplate.errors import InputError, OptionError
from cleanplate.system.system_errors import reason_of

VARIABLE = "CLEANPLATE_TOKEN"
LEAST_CHARACTERS = 16


@dataclass(frozen=True)
class Caller:
    """A client.

    Attributes:
        queue: Its name in the fair queue: by token, or by address.
        owner: The owner of its plates and jobs: a hash of the token; empty without tokens.
    """

    queue: str
    owner: str


class Access:
    """Tells callers apart.

    Args:
        tokens: The valid tokens; empty: every caller on this machine has access.
    """

    def __init__(self, tokens: frozenset[str]) -> None:
        self._tokens = [token.encode() for token in sorted(tokens)]

    @property
    def needs_token(self) -> bool:
        """True if each request needs a token."""
        return bool(self._tokens)

    def admit(self, headers: Mapping[str, str], address: str) -> Caller:
        """The caller of a request.

        Args:
            headers: Headers of the request, with names in lower case.
            address: Address of the client.

        Raises:
            Refusal: 401 for a missing or wrong token. Without tokens, 403 for requests that a web page of
                another site makes through the visitor's browser.
        """
        if not self._tokens:
            _refuse_other_sites(headers)
            return Caller(address, "")
        kind, _, given = headers.get("authorization", "").partition(" ")
        given_bytes = given.strip().encode()
        # Every token is compared, so that the time tells nothing.
        matches = [hmac.compare_digest(token, given_bytes) for token in self._tokens]
        if kind.lower() != "bearer" or not any(matches):
            raise Refusal(
                401, "The token is missing or unknown.", "send the header Authorization: Bearer TOKEN"
            )
        owner = hashlib.sha256(given_bytes).hexdigest()[:32]
        return Caller(owner, owner)


def read_tokens(file: Path | None) -> frozenset[str]:
    """Tokens of a file, one a line, or of the environment; empty lines and lines with ``#`` are skipped.

    Raises:
        InputError: The file cannot be read, or has no token.
        OptionError: A token is too short.
    """
    if file is None:
        lines = [os.environ.get(VARIABLE, "")]
        place = f"the variable {VARIABLE}"
    else:
        place = str(file)
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else "it is no text"
            raise InputError(f"The tokens in {file} cannot be read: {reason}.") from error
    tokens = frozenset(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
    if file is not None and not tokens:
        raise InputError(f"{file} has no token.", "write one token a line")
    for token in tokens:
        if len(token) < LEAST_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
            raise OptionError(
                f"A token in {place} has {len(token)} characters or a space; "
                f"expected at least {LEAST_CHARACTERS}, of ASCII.",
                "make one with: openssl rand -hex 32",
            )
    return tokens


def check_host(host: str, tokens: frozenset[str]) -> None:
    """Refuse to listen beyond this machine without a token.

    Raises:
        OptionError: The host is no loopback address, and there is no token.
    """
    if not tokens and not is_loopback(host):
        raise OptionError(
            f"Listening on {host} is open to other machines and needs a token.",
            f"give --token-file, set {VARIABLE}, or leave out --host",
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, True, False, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_other_sites(headers: Mapping[str, str]) -> None:
    """Refuse a page of another site: its origin differs, or its own name points to this machine."""
    host = headers.get("host", "")
    origin = headers.get("origin")
    named = urlsplit(f"//{host}").hostname or ""
    if not is_loopback(named) or (origin is not None and urlsplit(origin).netloc != host):
        raise Refusal(403, "Without a token, only this machine has access.", "start the service with a token")
