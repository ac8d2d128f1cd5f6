"""What a source, or somebody before it, answers: it is read, or refused in words that help."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from recorder.source.request import PATH, Subscription, advice
from recorder.source.subscription import LinkError, answers, open_stream
from store.errors import UnavailableError
from tests.fault.scripted import Script, answer, run, source, staying
from tests.fault.test_source import event, hello

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
EVENTS = hello() + event("a") + event("b", 1)


def saying(*parts: str | bytes) -> Script:
    def script(client: socket.socket) -> None:
        for part in parts:
            client.sendall(part.encode() if isinstance(part, str) else part)

    return script


def staying_after(*parts: str | bytes) -> Script:
    def script(client: socket.socket) -> None:
        saying(*parts)(client)
        client.recv(1)

    return script


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def chunks(size: int) -> bytes:
    return b"".join(chunk(EVENTS[at : at + size]) for at in range(0, len(EVENTS), size))


@pytest.mark.parametrize(
    "parts",
    [
        (HEAD + CHUNKED + "\r\n", chunk(EVENTS, b'; a="b;c"'), "0\r\nX-Trailer: 1\r\n\r\n"),
        (HEAD + CHUNKED + "\r\n", chunks(3), "0\r\n\r\n"),
        (HEAD + "Transfer-Encoding: Chunked \r\n\r\n", chunks(7), "0\r\n\r\n"),
        (HEAD + CHUNKED + "Connection: close\r\n\r\n", chunks(100), "0\r\n\r\n"),
        (HEAD + CHUNKED + "Content-Length: 5\r\n\r\n", chunks(100), "0\r\n\r\n"),
        (HEAD + "Transfer-Encoding: identity\r\n\r\n", EVENTS),
        (HEAD + "Content-Encoding: Identity\r\n\r\n", EVENTS),
        (HEAD + f"Content-Length: {len(EVENTS)}\r\n\r\n", EVENTS),
        (HEAD.replace("text/event-stream", "Text/Event-Stream;charset=UTF-8") + "\r\n", EVENTS),
        (HEAD.replace("1.1", "1.0") + "\r\n", EVENTS),
        (HEAD.replace(" OK", "") + "\r\n", EVENTS),
        ("HTTP/1.1 100 Continue\r\n\r\n" + HEAD + "\r\n", EVENTS),
    ],
)
def test_whatever_http_lets_a_stream_come_as_is_read(parts: tuple[str | bytes, ...]) -> None:
    with source(saying(*parts)) as there, open_stream(Subscription(there.url)) as stream:
        assert b"".join(stream.iter_bytes()) == EVENTS


@pytest.mark.parametrize(
    ("parts", "kind", "words"),
    [
        ((HEAD + "Content-Encoding: gzip\r\n\r\n",), "not_sse", "packs the stream with gzip"),
        (
            (HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n", chunks(9)),
            "not_sse",
            "packs the stream with gzip, chunked",
        ),
        (
            ("HTTP/1.1 307 Temporary Redirect\r\nLocation: https://b.example/x\r\n\r\n",),
            "elsewhere",
            "HTTP 307: it sends to https://b.example/x",
        ),
        (("HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno!",), "denied", "HTTP 401: no!"),
        (("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",), "denied", "HTTP 403"),
        (("HTTP/1.1 503 Oops\r\n" + CHUNKED + "\r\n", "zz\r\n"), "status", "HTTP 503"),
        (("HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD + "\r\n", EVENTS), "status", "HTTP 103"),
        (("HTTP/1.1 400 Bad Request\r\n\r\n", "to an HTTPS server"), "status", "an HTTPS server"),
        (("SSH-2.0-OpenSSH_9.6\r\n",), "not_sse", "SSH-2.0-OpenSSH_9.6"),
        ((b"\x15\x03\x01\x00\x02\x02\x46",), "not_sse", "\x15"),
    ],
)
def test_what_is_no_stream_is_refused_with_what_it_is(
    parts: tuple[str | bytes, ...], kind: str, words: str
) -> None:
    with source(saying(*parts)) as there, pytest.raises(LinkError) as caught:
        open_stream(Subscription(there.url))
    assert (caught.value.kind, words in caught.value.text) == (kind, True), caught.value.text
    assert "Qtap's own log" not in advice(kind)


@pytest.mark.parametrize("length", ["Content-Length: 19\r\n", CHUNKED])
def test_a_refusal_that_never_says_why_is_told_all_the_same(length: str) -> None:
    refusal = staying_after(f"HTTP/1.1 404 Not Found\r\n{length}\r\n")
    with source(refusal) as there:
        with pytest.raises(LinkError, match="HTTP 404") as caught:
            open_stream(Subscription(there.url))
        assert answers(there.url, PATH, 30.0)  # it lives
    assert caught.value.kind == "status"


def test_a_bad_request_is_no_refused_filter_where_none_was_sent(tmp_path: Path) -> None:
    """What a server of TLS says to who speaks none."""
    said = answer("400 Bad Request", "Client sent an HTTP request to an HTTPS server.")
    with source(said) as there, pytest.raises(UnavailableError, match="to an HTTPS server"):
        run(there.url, tmp_path / "s", lambda s: False, filter="res.status >= 400")


def test_the_whole_address_of_the_stream_may_be_named() -> None:
    with source(staying(EVENTS)) as there:
        with open_stream(Subscription(f"{there.url}{PATH}/")):
            pass
        assert there.subscriptions[0].split()[1] == PATH.encode()
        assert answers(there.url + PATH, "/healthz", 30.0)


def test_a_source_that_never_answers_is_no_empty_recording(tmp_path: Path) -> None:
    """Not even where the time that was asked for is over before patience with it is."""
    with source(staying_after()) as there:
        with pytest.raises(UnavailableError, match=r"no answer in 0\.3 s") as caught:
            run(there.url, tmp_path / "s", lambda s: False, duration=0.3)
        assert "Qtap's address" in (caught.value.hint or "")
        waited, _ = run(there.url, tmp_path / "s", lambda s: False, duration=0.3, wait=True)
    assert waited.written == 0
    assert "as asked" in waited.reason


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_not_asked(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would hold back what comes, or keep it."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with source(staying(EVENTS)) as there, open_stream(Subscription(there.url)) as stream:
        assert next(stream.iter_bytes()).startswith(b"event: system.connected")


def test_a_host_of_ipv6_is_named_as_http_has_it() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(LinkError, match="no answer in time"):
            open_stream(Subscription(f"http://[::1]:{port}", headers_s=0.2))
        client, _ = listener.accept()
        with client:
            assert f"Host: [::1]:{port}\r\n".encode() in client.recv(65536)


def test_a_password_in_the_address_is_shown_to_nobody(tmp_path: Path) -> None:
    with source(staying(hello(), event("a"))) as there:
        _, listener = run(
            there.url.replace("//", "//u:secret@"), tmp_path / "s", lambda s: s.written >= 1
        )
    assert f"connected to {there.url}" in listener.notes
    with pytest.raises(UnavailableError) as caught:
        run("http://u:secret@127.0.0.1:9", tmp_path / "s", lambda s: False)
    assert "secret" not in caught.value.message
