"""Determine the visitor behind a proxy: only headers of trusted proxies are believed.

Gradio builds addresses from anybody's `X-Forwarded-Host`, and uvicorn trusts every program on the
same machine. So this module decides for both.
"""

import contextlib
import ipaddress
import os
import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from brainai.errors import ConfigError

VARIABLE = "FORWARDED_ALLOW_IPS"  # also read by uvicorn
# On a Space all requests come from the platform's proxies, which have private addresses.
PRIVATE = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,::1,fc00::/7"
HOST = re.compile(r"[A-Za-z0-9._~-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
FORWARDED = (b"x-forwarded-", b"forwarded", b"x-real-ip", b"x-gradio-server")

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


class Proxies:
    """The proxies that are trusted.

    Args:
        allowed: addresses and networks, separated by commas; `*` for any.
    """

    def __init__(self, allowed: str):
        parts = [part.strip() for part in allowed.split(",") if part.strip()]
        self.any = "*" in parts
        self.networks = [ipaddress.ip_network(part, strict=False) for part in parts if part != "*"]

    @classmethod
    def of_environment(cls) -> "Proxies":
        """Return the proxies that FORWARDED_ALLOW_IPS names.

        Without that variable these are the platform's proxies on a Space, and none elsewhere.

        Raises:
            ConfigError: the variable names something other than addresses or networks.
        """
        on_space = "SPACE_ID" in os.environ or os.environ.get("SYSTEM") == "spaces"
        allowed = os.environ.get(VARIABLE, PRIVATE if on_space else "")
        try:
            return cls(allowed)
        except ValueError:
            raise ConfigError(
                f"{VARIABLE}: expected addresses or networks of trusted proxies, separated by "
                f"commas, or *, found {allowed!r}. Correct the variable."
            ) from None

    def trust(self, address: str) -> bool:
        """Return whether an address is that of a trusted proxy."""
        with contextlib.suppress(ValueError):
            ip = ipaddress.ip_address(address)
            return self.any or any(ip in network for network in self.networks)
        return self.any

    def visitor(self, peer: str, forwarded_for: str) -> str:
        """Return the address of the visitor: the last one in the chain that is no trusted proxy.

        The addresses before it come from the visitor, who may invent them.

        Args:
            peer: address that the connection comes from.
            forwarded_for: content of the header `X-Forwarded-For`.
        """
        chain = [part.strip() for part in forwarded_for.split(",") if part.strip()]
        for address in reversed([*chain, peer]):
            if not self.trust(address):
                return address
        return chain[0] if chain else peer


def without_forwarded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request without those that proxies set."""
    return [(name, value) for name, value in headers if not name.lower().startswith(FORWARDED)]


def visitor_key(address: str) -> str:
    """Return what counts as one visitor: an IPv4 address, or the /64 network of an IPv6 address.

    A household can use as many addresses of its IPv6 network as it likes.
    """
    with contextlib.suppress(ValueError):
        ip = ipaddress.ip_address(address)
        if ip.version == 6:
            network = ipaddress.IPv6Network((ip.packed, 64), strict=False)
            return str(ip.ipv4_mapped or network)
        return str(ip)
    return "unknown"


@contextlib.contextmanager
def uvicorn_trusts_nobody() -> Iterator[None]:
    """Keep uvicorn from changing the peer's address while the server starts and runs."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = ""
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before
