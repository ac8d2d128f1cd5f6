"""Routes: what varies in a path is named, what is a name stays."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from recorder.normalize.routes import MAX_ROUTE, MAX_SEGMENTS, Router
from recorder.normalize.tokens import name_segment
from store.errors import UsageError

DATA = Path(__file__).parent / "data"


def labelled(name: str) -> list[str]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("# ")]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/customers/cus_9s6XKzkNRiz8i3", "/v1/customers/{id}"),
        ("/v1/customers/cus_9s6XKzkNRiz8i3/sources", "/v1/customers/{id}/sources"),
        ("/v2/shipments/shp_40ab1d8be6a14f0cb0f4a1a0f1c6ad2e/rates", "/v2/shipments/{id}/rates"),
        ("/orders/1/items/2", "/orders/{id}/items/{id}"),
        ("/users/550e8400-e29b-41d4-a716-446655440000", "/users/{uuid}"),
        ("/users/550E8400-E29B-41D4-A716-446655440000/x", "/users/{uuid}/x"),
        ("/commits/9fceb02d0ae598e95dc970b74767f19372d61af8", "/commits/{hex}"),
        ("/files/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/files/{id}"),
        ("/confirm/alice%40example.com", "/confirm/{email}"),
        ("/reports/2024-05-12/daily.csv", "/reports/{date}/daily.csv"),
        ("/since/2024-05-12T10%3A11%3A12Z", "/since/{date}"),
        ("/hosts/10.0.0.1/ports", "/hosts/{ip}/ports"),
        ("/static/js/main.3f2a1b9c.js", "/static/js/main.{hash}.js"),
        ("/static/img/logo-2x.png", "/static/img/logo-2x.png"),
        ("/npm/lodash@4.17.21/lodash.min.js", "/npm/lodash@{version}/lodash.min.js"),
        ("/blog/how-to-tie-a-tie", "/blog/how-to-tie-a-tie"),
        ("/google.pubsub.v1.Publisher/Publish", "/google.pubsub.v1.Publisher/Publish"),
        ("/odata/Users('alice')/Orders(42)", "/odata/Users({id})/Orders({id})"),
        ("/map;zoom=12;tile=a/1,2,3", "/map;zoom={id};tile=a/{id}"),
        (
            "/api/v1/namespaces/default/pods/web-7d9f8c6b5-x2x9z/log",
            "/api/v1/namespaces/default/pods/web-{id}/log",
        ),
        ("/reset/[redacted:token:ab12cd34]/confirm", "/reset/{redacted}/confirm"),
        ("/user-[redacted:email:ab12cd34]", "/user-{redacted}"),
    ],
)
def test_parts_that_vary_are_named(path: str, route: str) -> None:
    assert Router().route(path) == route


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "*",
        "//",
        "/users/",
        "/a//b",
        "/rest/api/2/issue",
        "/api/2.1/jobs/list",
        "/2.0/repositories",
        "/1.1/statuses/update.json",
        "/2018-06-01/runtime/invocation/next",
        "/2010-04-01/Accounts",
        "/v1.41/containers/json",
        "/wiki/%E6%97%A5%E6%9C%AC",
        "/wiki/日本語",
        "/en-US/docs/Web/JavaScript",
        "/.well-known/openid-configuration",
        "/users/{id}/posts/{uuid}",
    ],
)
def test_names_and_the_form_of_a_path_stay(path: str) -> None:
    assert Router().route(path) == path


def test_an_empty_path_is_the_root_and_a_query_is_no_part_of_a_route() -> None:
    assert Router().route("") == "/"
    assert Router().route("/users/7?page=2#top") == "/users/{id}"


def test_what_cannot_be_shown_is_not_kept() -> None:
    router = Router()
    assert router.route("/a/\x1b[31mred/b") == "/a/{token}/b"
    assert router.route("/announce/%ff%fe%01%99ab") == "/announce/{token}"
    assert router.route("/a/" + "x" * 300) == "/a/{token}"


def test_long_paths_end_in_a_rest() -> None:
    deep = Router().route("/a" * 100)
    assert deep.count("/") < MAX_SEGMENTS
    assert deep.endswith("/a/{rest}")
    long = Router().route("/" + "/".join(["some-words-of-a-slug" * 5] * 20))
    assert len(long) <= MAX_ROUTE
    assert long.endswith("-slug/{rest}")
    assert len(Router().route("/x" * 1_000_000)) <= MAX_ROUTE


def test_the_users_templates_win_and_the_first_of_them() -> None:
    router = Router(["/users/{name}/posts/{slug}", "/users/{other}/**", "/static/**"])
    assert router.route("/users/alice/posts/my-post") == "/users/{name}/posts/{slug}"
    assert router.route("/users/alice/posts/my-post/") == "/users/{name}/posts/{slug}"
    assert router.route("/users/alice/likes/7") == "/users/{other}/**"
    assert router.route("/static/a/b/c.js") == "/static/**"
    assert router.route("/statics/7") == "/statics/{id}"


def test_a_placeholder_of_a_template_is_one_part_or_a_piece_of_one() -> None:
    router = Router(["/files/{name}.json", "/u/{name}"])
    assert router.route("/files/alice.json") == "/files/{name}.json"
    assert router.route("/u/alice/x") == "/u/alice/x"
    assert router.route("/u/[redacted:email:ab]") == "/u/{name}"


def test_a_template_can_hold_for_one_host() -> None:
    router = Router(["API.example.com/users/{name}"])
    assert router.route("/users/alice", "api.example.com") == "/users/{name}"
    assert router.route("/users/alice", "other.example.com") == "/users/alice"
    assert router.route("/users/alice") == "/users/alice"
    assert router.route("/users/alice", "api.example.com") == "/users/{name}"


@pytest.mark.parametrize(
    "template",
    ["", "users", "GET /users", "/users/{}", "/users/{name", "/a/{x}{y}", "{host}/a", "/a/{n m}"],
)
def test_a_template_that_is_none_is_refused_with_an_example(template: str) -> None:
    with pytest.raises(UsageError) as refused:
        Router([template])
    assert "/users/{name}" in refused.value.hint


def test_memory_is_bounded_and_does_not_change_the_answer() -> None:
    small = Router(cache_size=8)
    for number in range(1000):
        assert small.route(f"/users/{number}/name{number % 90}") == (
            f"/users/{{id}}/name{number % 90}"
        )
    assert small._remembered.cache_info().currsize <= 8


def test_the_labelled_parts() -> None:
    """The measure that docs/routes.md reports; see there for what is missed, and why."""
    words, ids = labelled("route_words.txt"), labelled("route_ids.txt")
    assert len(words) >= 150
    assert len(ids) >= 150
    lost = [word for word in words if name_segment(word) != word]
    missed = [text for text in ids if name_segment(text) == text]
    named = len(ids) - len(missed)
    assert named / (named + len(lost)) >= 0.995, f"names taken for identifiers: {lost}"
    assert named / len(ids) >= 0.98, f"identifiers taken for names: {missed}"


@pytest.mark.parametrize(
    ("alphabet", "size", "least"),
    [
        (string.ascii_letters + string.digits, 8, 0.88),
        (string.ascii_letters + string.digits, 12, 0.97),
        (string.ascii_letters + string.digits, 16, 0.99),
        (string.ascii_lowercase + string.digits, 12, 0.92),
        (string.ascii_lowercase + string.digits, 20, 0.99),
        ("0123456789abcdef", 8, 0.98),
        (string.ascii_letters, 12, 0.95),
        (string.ascii_lowercase, 20, 0.95),
        (string.ascii_letters + string.digits + "-_", 21, 0.98),
    ],
)
def test_random_text_is_known_by_its_length(alphabet: str, size: int, least: float) -> None:
    """The other measure of docs/routes.md: shares of random texts that are named."""
    draw = random.Random(20261122)
    texts = ["".join(draw.choices(alphabet, k=size)) for _ in range(1000)]
    assert sum(name_segment(text) != text for text in texts) / len(texts) >= least
