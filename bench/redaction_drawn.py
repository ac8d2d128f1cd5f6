# ruff: noqa: E501 (tables: one case a line)
"""Held back from those who wrote the general forms: half of the formats with a mark of their own of
seven scanners that were not used before (apkscan, which carries secrets-patterns-db's and nuclei's
rules, agentsweep, classifinder, claude-secret-scan, agent-audit, ghleak, devin-redact), and 28 of
trufflehog's detectors, drawn by a hash of the rules' names and read only when the rules stood.

docs/redaction.md has the figures of the first run beside the present ones.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

from bench.redaction_betterleaks import PLACES
from bench.redaction_outside import by_looks, planted
from recorder.decode.events import Transaction

_ALNUM = string.ascii_letters + string.digits
_URL = _ALNUM + "-_"
_HEX = "0123456789abcdef"
_LOWER = string.ascii_lowercase + string.digits
_UPPER = string.ascii_uppercase + string.digits
_BASE64 = _ALNUM + "+/"
_UUID = "0f1e2d3c-4b5a-4978-8695-"

# kind: what it begins with, its letters, how many of them, how it ends
_FORMATS = {
    "1password secret": ("A3-A1B2C3-", _UPPER, 11, "-A1B2C-D3E4F-G5H6J"), "1password": ("ops_eyJ", _ALNUM, 260, ""),
    "adafruit": ("aio_", _ALNUM, 28, ""), "age": ("AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58, ""),
    "airtable": ("pat", _ALNUM, 14, "." + "0f" * 32), "apideck": ("sk_live_", _ALNUM + "-", 93, ""), "apify": ("apify_api_", _ALNUM, 36, ""),
    "appsync": ("da2-", _LOWER, 26, ""), "artifactory": ("AKCp", _ALNUM, 69, ""), "aws temporary": ("ASIA", _UPPER, 16, ""),
    "bedrock": ("ABSKQmVkcm9ja0FQSUtleS", _BASE64, 110, "="), "chec": ("pk_", _LOWER, 45, ""), "checkout": ("sk_test_" + _UUID, _HEX, 12, ""),
    "clickup": ("pk_83910462_", _UPPER, 32, ""), "cloudflare": ("v1.0-" + "0a" * 12 + "-", _HEX, 146, ""), "cohere": ("co-", _ALNUM, 32, ""),
    "courier": ("pk_test_", _UPPER, 28, ""), "databricks": ("dapi", _HEX, 32, ""), "digitalocean": ("dop_v1_", _HEX, 64, ""),
    "digitalocean refresh": ("dor_v1_", _HEX, 64, ""), "discord hook": ("https://discord.com/api/webhooks/917364820551937412/", _URL, 68, ""),
    "duffel": ("duffel_test_", _LOWER + "_-", 43, ""), "dynatrace": ("dt0c01.", _UPPER, 24, "." + "A1B2C3D4" * 8), "easypost": ("EZAK", _LOWER, 54, ""),
    "easypost test": ("EZTK", _LOWER, 54, ""), "facebook": ("EAACEdEose0cBA", _ALNUM, 120, ""), "fcm": ("AAAA1b2C3d4:APA91b", _URL, 134, ""),
    "fibery": ("0a1b2c3d.", _HEX, 35, ""), "flutterwave": ("FLWPUBK_TEST-", "abcdefgh0123456789", 32, "-X"), "frameio": ("fio-u-", _URL, 64, ""),
    "github": ("ghp_", _ALNUM, 36, ""), "github app": ("ghs_", _ALNUM, 36, ""), "gitlab flags": ("glffct-", _URL, 20, ""), "gitlab job": ("glcbt-5_", _URL, 20, ""),
    "gitlab mail": ("glimt-", _URL, 25, ""), "gitlab oauth": ("gloas-", _URL, 64, ""), "gitlab pipeline": ("glptt-", _HEX, 40, ""),
    "grafana": ("glsa_", _ALNUM, 32, "_1a2b3c4d"), "grafana cloud": ("glc_", _ALNUM, 64, "=="), "grafana legacy": ("eyJrIjoi", _ALNUM, 90, "=="),
    "groq": ("gsk_", _ALNUM, 52, ""), "harness": ("pat." + "a1B" * 7 + "x.", _ALNUM, 24, "." + "a1B2" * 5), "jira": ("NTg4OTI1Mzk1OTA1OiBb9S4WPEoK6c", _ALNUM, 14, ""),
    "langfuse": ("sk-lf-" + _UUID, _HEX, 12, ""), "mailmodo": ("A1B2C3D-E4F5G6H-I7J8K9L-", _UPPER, 7, ""), "mapbox": ("sk.eyJ", _ALNUM, 60, "." + "a1B2c" * 4 + "xy"),
    "new relic admin": ("NRAA-", _HEX, 27, ""), "new relic browser": ("NRJS-", _HEX, 19, ""), "new relic insert": ("NRII-", _ALNUM + "-", 32, ""),
    "new relic location": ("NRSP-us01", _HEX, 31, ""), "octopus": ("API-", _UPPER, 26, ""), "openai": ("sk-proj-", _ALNUM, 48, ""), "pagarme": ("ak_live_", _ALNUM, 30, ""),
    "perplexity": ("pplx-", _ALNUM, 48, ""), "razorpay": ("rzp_live_", _ALNUM, 14, ""), "readme": ("rdme_", _LOWER, 70, ""), "replicate": ("r8_", _ALNUM, 37, ""),
    "salad": ("salad_cloud_user_", _ALNUM, 40, ""), "salesforce refresh": ("5AEP861", _ALNUM + "._", 80, ""), "scalingo": ("tk-us-", _URL, 48, ""),
    "sentry": ("sntryu_", _HEX, 64, ""), "sentry organisation": ("sntrys_eyJpYXQiOjE3MDAwMDAwMDAuMDAwMDAwLCJ1cmwiOiJo", _ALNUM, 80, "=_" + "aB3d" * 10),
    "shopify": ("shpca_", _HEX, 32, ""), "shopify shared": ("shpss_", _HEX, 32, ""), "slack hook": ("https://hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/", _ALNUM, 24, ""),
    "smooch": ("act_", _LOWER, 24, ""), "sourcegraph": ("sgp_local_", _HEX, 40, ""), "square": ("EAAAl", _URL, 59, ""), "square app": ("sq0csp-", _URL, 43, ""),
    "square id": ("sq0idp-", _URL, 22, ""), "teamwork": ("tkn.v1_", _ALNUM, 71, "="), "trufflehog key": ("thog-key-", _HEX, 16, ""),
    "trufflehog secret": ("thog-secret-", _HEX, 32, ""), "twilio": ("SK", _HEX, 32, ""), "uptimerobot": ("u83910462-", _HEX, 24, ""),
    "vault": ("hvs.", _URL, 95, ""), "vercel app": ("vca_", _ALNUM, 60, ""), "vercel gateway": ("vck_", _URL, 56, ""),
    "webex bot": ("aB3dE5fG" * 8 + "_PF84_" + _UUID, _HEX, 12, ""), "webhook of stripe": ("whsec_", _ALNUM, 32, ""), "xai": ("xai-", _ALNUM, 80, ""),
    "yandex": ("AQVN", _URL, 36, ""), "yandex key": ("YC", _URL, 38, ""),
}  # fmt: skip


def drawn(seed: int = 20_261_202) -> Iterator[tuple[str, str, Transaction]]:
    """(label, planted secret, transaction) of every format in every place."""
    return planted(by_looks(_FORMATS), PLACES, seed)
