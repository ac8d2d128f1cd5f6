# ruff: noqa: E501 (tables: one case a line)
"""Held back: formats as the public rules of other tools give them (gitleaks, noseyparker, secretlint,
trufflehog: marks and lengths), and places that nobody looked at while the rules were written.

Run once after the rules stood; docs/redaction.md has the figures.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator

from bench.redaction_cases import Place, Secret, json_body, pick, text_body, transaction
from recorder.decode.events import Transaction

_ALNUM = string.ascii_letters + string.digits
_URL = _ALNUM + "-_"
_HEX = "0123456789abcdef"
_LOWER = string.ascii_lowercase + string.digits
_UPPER = string.ascii_uppercase + string.digits

# kind: what it begins with, its letters, how many of them, how it ends
_FORMATS = {
    "1password": ("ops_eyJ", _ALNUM, 250, ""), "adafruit": ("aio_", _ALNUM, 28, ""),
    "adobe": ("p8e-", _LOWER, 32, ""), "airtable": ("pat", _ALNUM, 14, "." + "0f" * 32),
    "alibaba": ("LTAI", _LOWER, 20, ""), "anthropic admin": ("sk-ant-admin01-", _URL, 93, "AA"),
    "apify": ("apify_api_", _ALNUM, 36, ""), "appsync": ("da2-", _LOWER, 26, ""),
    "artifactory key": ("AKCp", _ALNUM, 69, ""), "artifactory reference": ("cmVmd", _ALNUM, 59, ""),
    "aws": ("A3TX", _UPPER, 16, ""), "bannerbear": ("bb_pr_", _HEX, 30, ""),
    "clickhouse": ("4b1d", _ALNUM, 38, ""), "clojars": ("CLOJARS_", _LOWER, 60, ""),
    "cloudflare": ("v1.0-" + "0a" * 12 + "-", _HEX, 146, ""), "cratesio": ("cio", _ALNUM, 32, ""),
    "databricks": ("dapi", _HEX, 32, "-2"), "defined": ("dnkey-", _LOWER, 26, "-" + "a0b1" * 13),
    "deno": ("ddp_", _ALNUM, 36, ""), "dependency-track": ("odt_", _ALNUM, 32, ""),
    "digitalocean": ("doo_v1_", _HEX, 64, ""), "doppler": ("dp.pt.", _LOWER, 43, ""),
    "dropbox": ("sl.", _URL, 135, ""), "duffel": ("duffel_test_", _LOWER, 43, ""),
    "easypost": ("EZTK", _ALNUM, 54, ""), "facebook": ("EAAC", _ALNUM, 110, ""),
    "facebook app": ("917364820551937|", _URL, 27, ""), "fleetbase": ("flb_live_", _ALNUM, 20, ""),
    "firecrawl": ("fc-", _HEX, 32, ""), "fly": ("fo1_", _URL, 43, ""), "frameio": ("fio-u-", _LOWER, 64, ""),
    "gitlab deploy": ("gldt-", _URL, 20, ""), "gitlab job": ("glcbt-5_", _URL, 20, ""),
    "gitlab runner": ("GR1348941", _URL, 20, ""), "gocardless": ("live_", _URL, 40, ""),
    "grafana cloud": ("glc_", _ALNUM, 64, "=="), "grafana legacy": ("eyJrIjoi", _ALNUM, 90, "=="),
    "harness": ("pat." + "a1B" * 7 + "x.", _HEX, 24, "." + "a1B2" * 5), "heroku": ("HRKU-AA", _URL, 58, ""),
    "huggingface org": ("api_org_", string.ascii_letters, 34, ""), "infracost": ("ico-", _ALNUM, 32, ""),
    "intra42": ("s-s4t2ud-", _HEX, 64, ""), "jina": ("jina_", _ALNUM, 60, ""),
    "launchdarkly": ("api-0f1e2d3c-4b5a-4978-8695-", _HEX, 12, ""), "linear": ("lin_api_", _LOWER, 40, ""),
    "lob": ("live_", _HEX, 35, ""), "mailgun": ("key-", _HEX, 32, ""), "mapbox": ("sk.eyJ", _ALNUM, 60, "." + "a1B2c" * 4 + "xy"),
    "maxmind": ("a1B2c3_", _ALNUM, 29, "_mmk"), "new relic": ("NRII-", _URL, 32, ""), "notion": ("ntn_123456", _ALNUM, 40, ""),
    "nuget": ("oy2", _LOWER, 43, ""), "nvidia": ("nvapi-", _URL, 64, ""), "octopus": ("API-", _UPPER, 26, ""),
    "openshift": ("sha256~", _URL, 43, ""), "perplexity": ("pplx-", _ALNUM, 48, ""), "posthog": ("phx_", _ALNUM, 43, ""),
    "prefect": ("pnu_", _LOWER, 36, ""), "pulumi": ("pul-", _HEX, 40, ""), "readme": ("rdme_", _LOWER, 70, ""),
    "rootly": ("rootly_", _HEX, 64, ""), "salesforce": ("00DA1b2C3d4E5f6!AQ", _ALNUM, 94, ""),
    "scalingo": ("tk-us-", _URL, 48, ""), "segment": ("sgp_", _ALNUM, 64, ""), "settlemint": ("sm_pat_", _ALNUM, 16, ""),
    "shippo": ("shippo_live_", _HEX, 40, ""), "sonar": ("squ_", _HEX, 40, ""), "square": ("EAAAE", _URL, 59, ""),
    "stackhawk": ("hawk.a1B2c3D4e5F6g7H8i9J0.", _ALNUM, 20, ""), "tavily": ("tvly-", _ALNUM, 32, ""),
    "twitch": ("live_917364820_", _ALNUM, 30, ""), "typeform": ("tfp_", _LOWER + "-_.", 59, ""),
    "vault": ("hvb.", _URL, 140, ""), "vault legacy": ("s.", _ALNUM, 24, ""), "xai": ("xai-", _ALNUM, 80, ""),
    "yandex": ("YC", _URL, 38, ""),
}  # fmt: skip


def by_looks(formats: dict[str, tuple[str, str, int, str]]) -> list[Secret]:
    """Secrets of these formats: kind -> beginning, letters, how many of them, end."""

    def made(kind: str, start: str, letters: str, count: int, end: str) -> Secret:
        return Secret(kind, lambda rnd: start + pick(rnd, letters, count) + end, shape=True)

    return [made(kind, *form) for kind, form in formats.items()]


def planted(
    secrets: list[Secret], places: list[Place], seed: int
) -> Iterator[tuple[str, str, Transaction]]:
    """(label, planted secret, transaction) of every kind in every place that it fits."""
    rnd = random.Random(seed)
    for secret in secrets:
        for place in places:
            if place.named == secret.shape:
                continue
            for name in secret.names or ("note",):
                value = secret.make(rnd)
                yield f"{secret.kind} / {place.label} / {name}", value, place.plant(name, value)


OUTSIDE = by_looks(_FORMATS)
NAMED_ANEW = [
    Secret("password", lambda r: pick(r, _ALNUM + "!#$%*+-.", 18), ("password", "admin_passwd", "PGPASSWORD")),
    Secret("api_key", lambda r: pick(r, _ALNUM, 36), ("apiKey", "service-api-key", "STORAGE_KEY")),
    Secret("token", lambda r: pick(r, _URL, 50), ("accessToken", "refresh_token", "X-Session-Token")),
]  # fmt: skip


def _otlp(name: str, secret: str) -> Transaction:
    attribute = {"key": name, "value": {"stringValue": secret}}
    return json_body(json.dumps({"resourceLogs": [{"attributes": [attribute]}]}))


PLACES_ANEW = [
    Place("OpenTelemetry attribute", _otlp),
    Place("systemd unit", lambda n, s: text_body(f'[Service]\nEnvironment="{n.upper()}={s}"\nExecStart=/bin/x\n')),
    Place("terraform variables", lambda n, s: text_body(f'{n.replace("-", "_")} = "{s}"\nregion = "eu"\n')),
    Place("properties with a colon", lambda n, s: text_body(f"a.b: 1\n{n}: {s}\nc: 2\n")),
    Place("key and value of libpq", lambda n, s: text_body(f"host=db user=app {n}={s} sslmode=require")),
    Place("request dump in a log", lambda n, s: text_body(f"> GET / HTTP/1.1\n> Host: x\n> {n}: {s}\n> Accept: */*\n")),
    Place("ini in a json string", lambda n, s: json_body(json.dumps({"file": f"[a]\r\n{n}={s}\r\n[b]\r\nc=1"}))),
    Place("docker inspect", lambda n, s: json_body(json.dumps({"Config": {"Env": ["A=1", f"{n.upper()}={s}"]}}))),
    Place("kubernetes secret, decoded", lambda n, s: text_body(f"kind: Secret\nstringData:\n  {n}: {json.dumps(s)}\n")),
    Place("base64 of indented json", lambda n, s: json_body(json.dumps({"v": base64.b64encode(json.dumps({n: s}, indent=2).encode()).decode()}))),
    Place("android strings", lambda n, s: text_body(f'<resources><string name="{n}">{s.replace("&", "&amp;")}</string></resources>', "text/xml")),
    Place("java bean", lambda n, s: text_body(f'<bean><property name="{n}"><value>{s}</value></property></bean>', "text/xml")),
    Place("lambda event", lambda n, s: json_body(json.dumps({"headers": {n: s}, "multiValueHeaders": {n: [s]}}))),
    Place("log of key and value", lambda n, s: text_body(f'time=2026-11-22 level=info msg="login" {n}="{s}" took=5ms')),
    Place("markdown", lambda n, s: text_body(f"Set it so:\n\n    {n}: {s}\n\nand restart.", "text/markdown")),
    Place("server-sent event of a model", lambda n, s: text_body("data: " + json.dumps({"choices": [{"delta": {"content": f'{n} = "{s}"'}}]}) + "\n\n", "text/event-stream")),
    Place("header, by looks", lambda n, s: transaction(req_headers={"X-Trace-Info": f"v=1;{s};x"}), False),
    Place("csv, by looks", lambda n, s: text_body(f"id,value\n7,{s}\n", "text/csv"), False),
    Place("path, by looks", lambda n, s: transaction(path=f"/hook/{s.replace('|', '%7C')}"), False),
    Place("sentence, by looks", lambda n, s: text_body(f"I pasted {s}, sorry."), False),
]  # fmt: skip


def anew(seed: int = 20_261_128) -> Iterator[tuple[str, str, Transaction]]:
    """What is planted of the set that was made anew."""
    return planted(OUTSIDE + NAMED_ANEW, PLACES_ANEW, seed)
