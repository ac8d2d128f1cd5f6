"""The second pass: what only many paths together tell about a level of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from queries.core.collapse import VERY_WIDE, WIDE, collapse

NAMES = [
    f"{first}{last}"
    for first in ("ali", "bo", "ca", "da", "ed", "fa", "ge", "ha", "iv", "jo", "ka", "lu", "mi")
    for last in ("ce", "bby", "rol", "vid", "gar", "tima", "orge", "nnah", "an", "nas", "ren")
]  # 143 names that no rule would know for people's


def on_host(routes: dict[str, int], host: str = "api.example.com") -> dict[str, str]:
    found = collapse({(host, route): number for route, number in routes.items()})
    assert {route for _, route in found} == set(routes)
    return {route: new for (_, route), new in found.items()}


def test_values_that_go_on_in_the_same_words_collapse() -> None:
    routes = {f"/user/{name}/profile": 500 for name in NAMES[:60]}
    routes |= {f"/user/{name}/settings/mail": 20 for name in NAMES[:30]}
    found = on_host(routes)
    assert set(found.values()) == {"/user/{*}/profile", "/user/{*}/settings/mail"}


def test_a_rare_word_among_them_stays() -> None:
    routes = {f"/user/{name}/profile": 500 for name in NAMES[:60]}
    routes |= {"/user/search": 2, "/user/me": 1, "/user/export/csv": 1}
    found = on_host(routes)
    assert found["/user/search"] == "/user/search"
    assert found["/user/me"] == "/user/me"
    assert found["/user/export/csv"] == "/user/export/csv"
    assert found["/user/alice/profile"] == "/user/{*}/profile"


def test_many_that_only_end_there_are_values_too() -> None:
    routes = {f"/user/{name}/profile": 500 for name in NAMES[:60]}
    routes |= {f"/user/{name}": 2 for name in NAMES[60:100]}
    assert set(on_host(routes).values()) == {"/user/{*}/profile", "/user/{*}"}


def test_few_values_stay() -> None:
    routes = {f"/user/{name}/profile": 1 for name in NAMES[:WIDE]}
    assert on_host(routes) == {route: route for route in routes}


def test_the_words_of_a_large_api_stay() -> None:
    words = NAMES[: 2 * WIDE]
    routes = {f"/v1/{word}": 300 for word in words}
    routes |= {f"/v1/{word}/{{id}}": 200 for word in words}
    routes |= {f"/v1/{words[7]}/{{id}}/cancel": 1}
    assert on_host(routes) == {route: route for route in routes}


def test_a_long_tail_collapses_and_frequent_words_stay() -> None:
    routes = {f"/topics/{name}": 2 for name in NAMES[:60]}
    routes |= {"/topics/popular": 4000, "/topics/x9zz9": 4000}
    found = on_host(routes)
    assert found["/topics/popular"] == "/topics/popular"
    assert found["/topics/x9zz9"] == "/topics/{*}"
    assert found["/topics/alice"] == "/topics/{*}"


def test_names_with_digits_and_files_collapse_and_files_keep_their_ending() -> None:
    routes = {f"/blog/{n}-ways-to-{name}": 90 for n, name in enumerate(NAMES[:60])}
    assert set(on_host(routes).values()) == {"/blog/{*}"}
    routes = {f"/img/{name}.png": 90 for name in NAMES[:60]}
    routes |= {f"/img/{name}.JPG": 90 for name in NAMES[:60]}
    assert set(on_host(routes).values()) == {"/img/{*}.png", "/img/{*}.jpg"}


def test_very_many_are_values_whatever_they_look_like() -> None:
    routes = {f"/s/{name}": 500 for name in NAMES[: VERY_WIDE + 1]}
    assert set(on_host(routes).values()) == {"/s/{*}"}


def test_levels_below_collapse_after_those_above() -> None:
    """No one owner has many repositories, all owners together have."""
    routes = {
        f"/repos/{owner}/{repo}/issues": 1
        for n, owner in enumerate(NAMES[:60])
        for repo in ("main-repo", f"repo-of-{NAMES[-n - 1]}")
    }
    found = on_host(routes)
    assert set(found.values()) == {"/repos/{*}/{*}/issues"}


def test_two_names_of_one_position_become_one() -> None:
    found = on_host(
        {"/commits/{hex}": 900, "/commits/{id}": 2, "/jobs/job-{id}": 50, "/jobs/job-7": 3,
         "/p/{id}": 900, "/p/15bfi0": 1, "/p/2fa": 1, "/p/oauth2": 1, "/p/search": 1}
    )  # fmt: skip
    assert found == {
        "/commits/{hex}": "/commits/{hex}", "/commits/{id}": "/commits/{hex}",
        "/jobs/job-{id}": "/jobs/job-{id}", "/jobs/job-7": "/jobs/job-{id}",
        "/p/{id}": "/p/{id}", "/p/15bfi0": "/p/{id}", "/p/2fa": "/p/2fa",
        "/p/oauth2": "/p/oauth2", "/p/search": "/p/search",
    }  # fmt: skip


def test_two_positions_that_are_both_frequent_stay_two() -> None:
    routes = {"/items/{id}": 500, "/items/{hex}": 400, "/items/{uuid}": 1}
    assert on_host(routes) == {route: route for route in routes}


def test_hosts_are_on_their_own() -> None:
    halves = NAMES[:30], NAMES[30:60]
    counts = {
        (f"{n}.example.com", f"/user/{name}/profile"): 1
        for n, half in enumerate(halves)
        for name in half
    }
    assert collapse(counts) == {key: key[1] for key in counts}


def test_odd_routes_stay_themselves() -> None:
    routes = {"/": 5, "*": 1, "": 1, "//": 1, "/a/": 1, "/a": 1, "host:443": 1}
    assert on_host(routes) == {route: route for route in routes}
    assert collapse({}) == {}


ROUTES = st.lists(
    st.sampled_from(["", "a", "b7", "users", "{id}", "{hex}", "job-{id}", "job-4", "c.png", *NAMES])
    | st.text(max_size=6),
    max_size=5,
).map("/".join)
COUNTS = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), ROUTES), st.integers(1, 1000), max_size=200
)


@given(COUNTS)
def test_every_route_has_an_answer_whatever_their_order(counts: dict[tuple[str, str], int]) -> None:
    found = collapse(counts)
    assert found.keys() == counts.keys()
    assert collapse(dict(reversed(counts.items()))) == found
    assert all(new.count("/") == route.count("/") for (_, route), new in found.items())
