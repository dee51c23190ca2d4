"""Which proxies are trusted to name the visitor."""

import json
import os

import pytest
from hostile import ask
from serving import served

from brainai.web.guard import original_request
from brainai.web.interface import build_page
from brainai.web.jobs import Jobs
from brainai.web.proxies import PRIVATE, Proxies, uvicorn_trusts_nobody, visitor_key


def request(peer: str, **headers: str) -> dict:
    sent = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return {"client": (peer, 5), "scheme": "http", "headers": [(b"host", b"app:7860"), *sent]}


TOLD = {
    "x_forwarded_for": "198.51.100.1, 203.0.113.7",
    "x_forwarded_host": "brainai.example",
    "x_forwarded_proto": "https",
    "x_gradio_server": "http://evil.example",
    "forwarded": "for=198.51.100.1",
}


def test_an_untrusted_peer_is_the_visitor_and_its_headers_are_dropped():
    asked = original_request(request("10.0.0.5", **TOLD), Proxies(""))
    assert (asked["client"], asked["scheme"]) == (("10.0.0.5", 5), "http")
    assert asked["headers"] == [(b"host", b"app:7860")]


def test_a_trusted_proxy_names_the_visitor_the_host_and_the_scheme():
    asked = original_request(request("10.0.0.5", **TOLD), Proxies("10.0.0.0/8"))
    assert (asked["client"][0], asked["scheme"]) == ("203.0.113.7", "https")
    assert dict(asked["headers"])[b"x-forwarded-host"] == b"brainai.example"
    assert b"x-gradio-server" not in dict(asked["headers"])


@pytest.mark.parametrize(
    ("allowed", "peer", "chain", "visitor"),
    [
        ("10.0.0.0/8", "10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.0/8", "10.0.0.5", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.0/8", "10.0.0.5", "1.1.1.1, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
        ("10.0.0.0/8", "192.0.2.1", "203.0.113.7", "192.0.2.1"),
        ("192.0.2.1, ::1", "192.0.2.1", "1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("*", "192.0.2.1", "1.1.1.1, 203.0.113.7", "1.1.1.1"),
        (PRIVATE, "10.16.4.2", "9.9.9.9, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
    ],
)
def test_the_last_address_that_is_not_a_trusted_proxy_is_the_visitor(allowed, peer, chain, visitor):
    assert Proxies(allowed).visitor(peer, chain) == visitor


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("no address", "unknown"),
    ],
)
def test_a_household_counts_as_one_visitor(address, counted):
    assert visitor_key(address) == counted


def test_the_private_network_is_trusted_on_a_space_and_nobody_elsewhere(monkeypatch):
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.delenv("SYSTEM", raising=False)
    assert not Proxies.of_environment().trust("127.0.0.1")
    monkeypatch.setenv("SPACE_ID", "owner/name")
    assert Proxies.of_environment().trust("10.16.4.2")
    assert not Proxies.of_environment().trust("203.0.113.7")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "203.0.113.7")
    assert Proxies.of_environment().trust("203.0.113.7")


def test_uvicorn_trusts_nobody_while_the_server_runs(monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    with uvicorn_trusts_nobody():
        assert os.environ["FORWARDED_ALLOW_IPS"] == ""
    assert os.environ["FORWARDED_ALLOW_IPS"] == "10.0.0.1"


@pytest.mark.parametrize("allowed", ["not an address", "10.0.0.0/99"])
def test_an_invalid_address_in_the_setting_is_refused_at_the_start(monkeypatch, allowed):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", allowed)
    with pytest.raises(Exception, match="FORWARDED_ALLOW_IPS"):
        Proxies.of_environment()


def test_addresses_are_the_outer_ones_behind_a_proxy_that_strips_its_prefix(running, monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    monkeypatch.setenv("GRADIO_ROOT_PATH", "/brainai")
    headers = {"X-Forwarded-Host": "clinic.example", "X-Forwarded-Proto": "https"}
    with served(build_page(Jobs.of(running.classifier), running.classifier.info)) as url:
        for path in ("/config", "/brainai/config"):
            root = json.loads(ask(url, "GET", path, headers=headers).text)["root"]
            assert root == "https://clinic.example/brainai"
        assert ask(url, "GET", "/brainai/monitoring").status == 404
