# ruff: noqa: E501 (tables: one case a line)
"""Keys without a mark of their own, where the APIs of their vendors really take them.

Of trufflehog's detectors that know a key by its vendor's name alone, some were drawn by a hash of
their names; what their requests look like (host, header or parameter, letters, length) is all that
is taken from them. `FIRST` was there to learn from; `HELD_BACK` was read only when the rules stood.
docs/redaction.md has the figures of the first runs beside the present ones.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.redaction_cases import json_body, pick, text_body, transaction
from recorder.decode.events import Transaction

_ALNUM = string.ascii_letters + string.digits
_URL = _ALNUM + "-_"
_HEX = "0123456789abcdef"
_LETTERS = string.ascii_lowercase
_LOWER = string.ascii_lowercase + string.digits
_UPPER = string.ascii_uppercase + string.digits

_Make = Callable[[random.Random], str]


class Api(NamedTuple):
    """How an API takes its key. `carrier`: a header ("X-Key"), a header with a scheme before the
    key ("Authorization Bearer"), "?name" in the query, "/v1/{}/x" in the path, "&name" in a form, "{name" in JSON, "basic user:"; "basic :" where the key
    is the user."""

    host: str
    carrier: str
    make: _Make


def some(letters: str, count: int, start: str = "", end: str = "") -> _Make:
    """Random letters behind a beginning and before an end."""
    return lambda rnd: start + pick(rnd, letters, count) + end


def groups(letters: str, *counts: int) -> _Make:
    """Random letters in groups with dashes between."""
    return lambda rnd: "-".join(pick(rnd, letters, count) for count in counts)


def jwt(claims: int, signature: int = 43) -> _Make:
    """A JWT with so many letters of claims."""
    return lambda rnd: (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ"
        + pick(rnd, _ALNUM, claims)
        + "."
        + pick(rnd, _URL, signature)
    )


UUID = groups(_HEX, 8, 4, 4, 4, 12)
BEARER = "Authorization Bearer"

FIRST = {
    "apimatic": Api("www.apimatic.io", "basic dev@mail.example:", some(_ALNUM + "#!%", 20)),
    "scrapeowl": Api("api.scrapeowl.com", "?api_key", some(_LOWER, 30)),
    "deputy": Api("acme.as.deputy.com", "Authorization OAuth", some(_LOWER, 32)),
    "weatherbit": Api("api.weatherbit.io", "?key", some(_LOWER, 32)),
    "borgbase": Api("api.borgbase.com", BEARER, some(_ALNUM + "_-.", 150)),
    "sportsmonk": Api("soccer.sportmonks.com", "?api_token", some(_ALNUM, 60)),
    "ambee": Api("api.ambeedata.com", "x-api-key", some(_HEX, 64)),
    "codemagic": Api("api.codemagic.io", "x-auth-token", some(_ALNUM + "_", 43)),
    "cloudmersive": Api("api.cloudmersive.com", "Apikey", UUID),
    "thinkific": Api("api.thinkific.com", "X-Auth-API-Key", some(_HEX, 32)),
    "faceplusplus": Api("api-us.faceplusplus.com", "?api_secret", some(_URL, 32)),
    "parsers": Api("api.parsers.dev", "x-api-key", some(_LOWER, 64)),
    "mailerlite": Api("api.mailerlite.com", "X-MailerLite-ApiKey", some(_LOWER, 32)),
    "censys": Api("search.censys.io", "basic 0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9:", some(_ALNUM, 32)),
    "infura": Api("mainnet.infura.io", "/v3/{}", some(_HEX, 32)),
    "flightapi": Api("api.flightapi.io", "/iata/{}/london/airport", some(_LOWER, 24)),
    "simfin": Api("simfin.com", "?api-key", some(_ALNUM, 32)),
    "bugsnag": Api("api.bugsnag.com", "Authorization token", UUID),
    "route4me": Api("api.route4me.com", "?api_key", some(_UPPER, 32)),
    "wrike": Api("app-us2.wrike.com", BEARER, jwt(200, 90)),
    "storyblok": Api("api.storyblok.com", "?token", some(_ALNUM, 22, "", "tt")),
    "brandfetch": Api("api.brandfetch.io", "x-api-key", some(_ALNUM, 40)),
    "manifest": Api("api.manifest.ly", "?api_key", some(_ALNUM, 32)),
    "formio": Api("formio.form.io", "x-jwt-token", jwt(307)),
    "nozbeteams": Api("api4.nozbe.com", "Authorization", lambda r: pick(r, _ALNUM, 16) + "_" + pick(r, _URL, 64)),
    "calorieninja": Api("api.calorieninjas.com", "X-Api-Key", some(_ALNUM, 40)),
    "dnscheck": Api("www.dnscheck.co", "?api_key", some(_ALNUM, 32)),
    "autopilot": Api("api2.autopilothq.com", "autopilotapikey", some(_HEX, 32)),
    "pdflayer": Api("api.pdflayer.com", "?access_key", some(_LOWER, 32)),
    "feedier": Api("api.feedier.com", BEARER, some(_ALNUM, 32)),
    "dandelion": Api("api.dandelion.eu", "?token", some(_HEX, 32)),
    "bulksms": Api("api.bulksms.com", "basic 0F1E2D3C4B5A49788695A4B3C2D1E0F9-02-1:", some(_ALNUM + "*", 29)),
    "pixabay": Api("pixabay.com", "?key", groups(_HEX, 8, 25)),
    "statuspal": Api("statuspal.io", "Authorization", some(_ALNUM, 32)),
    "raven": Api("api.raventools.com", "?key", some(_UPPER, 16)),
    "screenshotapi": Api("shot.screenshotapi.net", "?token", groups(_UPPER, 7, 7, 7, 7)),
    "goodday": Api("api.goodday.work", "gd-api-token", some(_LOWER, 32)),
    "shutterstock": Api("api.shutterstock.com", "basic aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW:", some(_ALNUM, 16)),
    "gyazo": Api("api.gyazo.com", "?access_token", some(_ALNUM + "-", 43)),
    "flowflu": Api("acme.flowlu.com", "?api_key", some(_ALNUM, 51)),
    "planviewleankit": Api("acme.leankit.com", BEARER, some(_HEX, 128)),
    "reallysimplesystems": Api("apiv4.reallysimplesystems.com", BEARER, jwt(480, 430)),
    "paymoapp": Api("app.paymoapp.com", "basic x:", some(_ALNUM, 30)),
    "commodities": Api("commodities-api.com", "?access_key", some(_ALNUM, 60)),
    "optidash": Api("api.optidash.ai", BEARER, some(_ALNUM, 40)),
    "karmacrm": Api("app.karmacrm.com", "?api_token", some(_ALNUM, 20)),
    "aha": Api("company.aha.io", BEARER, some(_HEX, 64)),
    "rentman": Api("api.rentman.net", BEARER, jwt(210)),
    "vouchery": Api("acme.vouchery.io", BEARER, UUID),
    "delighted": Api("api.delighted.com", "basic :", some(_ALNUM, 32)),
    "instabot": Api("api.instabot.io", "X-Instabot-Api-Key", some(_ALNUM + "+/", 43, "", "=")),
    "virustotal": Api("www.virustotal.com", "x-apikey", some(_HEX, 64)),
    "formbucket": Api("www.formbucket.com", BEARER, jwt(90)),
    "restpack": Api("restpack.io", "?access_token", some(_ALNUM, 48)),
    "shodankey": Api("api.shodan.io", "?key", some(_ALNUM, 32)),
    "openuv": Api("api.openuv.io", "x-access-token", some(_LOWER, 32)),
}  # fmt: skip


HELD_BACK = {
    "magicbell": Api("api.magicbell.com", "X-MAGICBELL-API-KEY", some(_ALNUM + "-", 40)),
    "lastfm": Api("ws.audioscrobbler.com", "?api_key", some(_LOWER, 32)),
    "zonkafeedback": Api("app-us1.zonkafeedback.com", "Z-API-TOKEN", some(_ALNUM, 36)),
    "splunkobservability": Api("api.us1.signalfx.com", "X-Sf-Token", some(_ALNUM, 22)),
    "pagerduty": Api("api.pagerduty.com", "Authorization Token", lambda r: f"{pick(r, _LETTERS, 1)}+{pick(r, _LETTERS, 9)}-{pick(r, _LETTERS, 2)}-{pick(r, _LOWER, 5)}"),
    "scalr": Api("acme.scalr.io", BEARER, some(_ALNUM + "._", 136)),
    "clustdoc": Api("clustdoc.com", BEARER, some(_ALNUM, 60)),
    "swiftype": Api("search-api.swiftype.com", "{auth_token", lambda r: f"{pick(r, _ALNUM, 6)}_{pick(r, _ALNUM, 6)}-{pick(r, _ALNUM, 6)}"),
    "graphhopper": Api("graphhopper.com", "?key", UUID),
    "scrapestack": Api("api.scrapestack.com", "?access_key", some(_LOWER, 32)),
    "webex": Api("webexapis.com", "&client_secret", some(_HEX, 64)),
    "kontent": Api("deliver.kontent.ai", "/{}/items", UUID),
    "cicero": Api("cicero.azavea.com", "?key", some(_LOWER, 40)),
    "workstack": Api("app.workstack.io", "?api_token", some(_ALNUM, 60)),
    "prospectcrm": Api("api-batch-v1.prospect365.com", BEARER, some(_LOWER + "-", 32)),
    "geocodify": Api("api.geocodify.com", "?api_key", some(_LOWER, 40)),
    "apiscience": Api("api.apiscience.com", BEARER, some(_ALNUM + "_", 22)),
    "uclassify": Api("api.uclassify.com", "Authorization Token", some(_ALNUM, 12)),
    "salesflare": Api("api.salesflare.com", BEARER, some(_ALNUM + "_", 45)),
    "myintervals": Api("api.myintervals.com", "basic :X", some(_LOWER, 11)),
    "alconost": Api("nitro.alconost.com", "basic :", some(_LOWER, 32)),
    "wistia": Api("api.wistia.com", "?access_token", some(_LOWER, 64)),
    "mailmodo": Api("api.mailmodo.com", "mmApiKey", groups(_UPPER, 7, 7, 7, 7)),
    "apptivo": Api("api.apptivo.com", "?accessKey", some(_ALNUM + "-", 32)),
    "refiner": Api("api.refiner.io", BEARER, UUID),
    "carboninterface": Api("www.carboninterface.com", BEARER, some(_ALNUM, 21)),
    "midise": Api("hooks.zapier.com", BEARER, some(_ALNUM, 54, "midi-662b69edd2")),
    "serphouse": Api("api.serphouse.com", BEARER, some(_ALNUM, 60)),
    "simplynoted": Api("api.simplynoted.com", BEARER, some(_URL, 350)),
    "droneci": Api("cloud.drone.io", BEARER, some(_ALNUM, 32)),
    "caspio": Api("a1b2c3d4.caspio.com", "&client_secret", some(_LOWER, 50)),
    "cliengo": Api("api.cliengo.com", "?api_key", UUID),
    "humanity": Api("www.humanity.com", "?access_token", some(_LOWER, 40)),
    "travisci": Api("api.travis-ci.com", "Authorization token", some(_ALNUM + "_", 22)),
    "glassnode": Api("api.glassnode.com", "?api_key", some(_ALNUM, 27)),
    "hellosign": Api("api.hellosign.com", "basic :", some(_ALNUM + "/+", 64)),
    "podio": Api("api.podio.com", BEARER, some(_LOWER, 32)),
    "visualcrossing": Api("weather.visualcrossing.com", "?key", some(_UPPER, 25)),
    "elasticemail": Api("api.elasticemail.com", "?apikey", some(_URL, 96)),
    "ipapi": Api("api.ipapi.com", "?access_key", some(_LOWER, 32)),
    "ethplorer": Api("api-mon.ethplorer.io", "&apiKey", some(_ALNUM + "-", 22)),
    "mailjet": Api("api.mailjet.com", "basic 0f1e2d3c4b5a49788695a4b3c2d1e0f9:", some(_HEX, 32)),
    "financialmodelingprep": Api("financialmodelingprep.com", "?apikey", some(_ALNUM, 32)),
    "tradier": Api("api.tradier.com", BEARER, some(_ALNUM, 28)),
    "metaapi": Api("api.meta-api.io", "apikey", some(_HEX, 64)),
    "geoapify": Api("api.geoapify.com", "?apiKey", some(_LOWER, 32)),
    "revampcrm": Api("app.revampcrm.com", "basic dev@mail.example:", some(_ALNUM, 40)),
    "apitemplate": Api("api.apitemplate.io", "X-API-KEY", some(_ALNUM, 39)),
    "clicksend": Api("rest.clicksend.com", "basic dev@mail.example:", groups(_UPPER, 8, 4, 4, 4, 12)),
    "overloop": Api("api.overloop.com", "Authorization", some(_URL, 50)),
    "uptimerobot": Api("api.uptimerobot.com", "?api_key", groups(_ALNUM, 9, 24)),
    "todoist": Api("api.todoist.com", BEARER, some(_LOWER, 40)),
    "guru": Api("api.getguru.com", "basic dev@mail.example:", UUID),
    "planyo": Api("www.planyo.com", "?api_key", some(_LOWER, 62)),
    "getgeoapi": Api("api.getgeoapi.com", "?api_key", some(_LOWER, 40)),
    "documo": Api("api.documo.com", "Authorization Basic", jwt(151)),
}  # fmt: skip


def _request(api: Api, secret: str) -> tuple[str, str, dict[str, str]]:
    """Path, query and headers of a call of the API with that key."""
    word, _, scheme = api.carrier.partition(" ")
    if word[0] in "&{":
        return "/v1/me", "", {}
    if word == "basic":
        pair = secret + scheme if scheme[0] == ":" else scheme + secret
        return "/v1/me", "", {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    if word[0] == "/":
        return word.format(secret), "", {}
    if word[0] == "?":
        return "/v1/me", f"limit=10&{word[1:]}={secret}", {}
    return "/v1/me", "", {word: f"{scheme} {secret}".strip()}


def _data(api: Api, secret: str) -> tuple[str, str]:
    """The body of a call of the API and its type."""
    if api.carrier[0] == "&":
        return f"grant_type=x{api.carrier}={secret}&n=1", "application/x-www-form-urlencoded"
    if api.carrier[0] == "{":
        return json.dumps({"q": "x", api.carrier[1:]: secret}), "application/json"
    return "", ""


def _places(vendor: str, api: Api, secret: str) -> Iterator[tuple[str, str, Transaction]]:
    """Place, what must not be left there, transaction."""
    path, query, headers = _request(api, secret)
    target = f"{path}?{query}" if query else path
    url = f"https://{api.host}{target}"
    shown = headers.get("Authorization", "") if api.carrier.startswith("basic") else ""
    secret = shown.removeprefix("Basic ") or secret
    sent = {":authority": api.host, ":path": target, **headers}
    tx = transaction(host=api.host, authority=api.host, path=path, query=query, req_headers=sent)
    data, kind = _data(api, secret)
    if data:
        tx.req_body, tx.req_content_type = data.encode(), kind
    yield "the request", secret, tx
    request = {"method": "GET", "url": url, "headers": headers, "body": data}
    yield "a log of it", secret, json_body(json.dumps({"level": "debug", "request": request}))
    options = "".join(f" -H '{name}: {value}'" for name, value in headers.items())
    if data:
        options += f" -d '{data}'"
    yield "a curl command", secret, text_body(f"try:\n\n  curl{options} '{url}'\n\nand see")
    pairs = [{"name": name, "value": value} for name, value in headers.items()]
    archived = {"method": "GET", "url": url, "headers": pairs, "postData": {"text": data}}
    har = {"log": {"entries": [{"request": archived}]}}
    yield "an archive of it", secret, json_body(json.dumps(har))


def _under_vendor(vendor: str, secret: str) -> Iterator[tuple[str, str, Transaction]]:
    yield "vendor_key in JSON", secret, json_body(json.dumps({f"{vendor}_key": secret, "n": 1}))
    yield "VENDOR_KEY", secret, text_body(f"PORT=80\n{vendor.upper()}_KEY={secret}\nTZ=UTC\n")
    yield "vendorKey", secret, json_body(json.dumps({f"{vendor}Key": secret}))


def in_use(apis: dict[str, Api], seed: int = 20_261_129) -> Iterator[tuple[str, str, Transaction]]:
    """(label, planted secret, transaction) of each key where its API takes it, and where such a
    request is told of."""
    rnd = random.Random(seed)
    for vendor, api in apis.items():
        for place, secret, tx in _places(vendor, api, api.make(rnd)):
            yield f"{vendor} / {place} / {api.carrier}", secret, tx


def under_vendors(
    apis: dict[str, Api], seed: int = 20_261_129
) -> Iterator[tuple[str, str, Transaction]]:
    """The same keys under the vendor's name and `key` alone."""
    rnd = random.Random(seed)
    for vendor, api in apis.items():
        for place, secret, tx in _under_vendor(vendor, api.make(rnd)):
            yield f"{vendor} / {place}", secret, tx
