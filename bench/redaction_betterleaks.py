# ruff: noqa: E501 (tables: one case a line)
"""Held back from those who wrote the rules: the formats with a form of their own on six of seventeen
pages of betterleaks' rules (marks and lengths), read only when the rules of November 2026 stood.

docs/redaction.md has the figures of the first run beside the present ones.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

from bench.redaction_cases import Place, json_body, text_body, transaction
from bench.redaction_outside import by_looks, planted
from recorder.decode.events import Transaction

_ALNUM = string.ascii_letters + string.digits
_URL = _ALNUM + "-_"
_HEX = "0123456789abcdef"
_LOWER = string.ascii_lowercase + string.digits
_BASE64 = _ALNUM + "+/"

# kind: what it begins with, its letters, how many of them, how it ends
_FORMATS: dict[str, tuple[str, str, int, str]] = {
    "alibaba sts": ("CAIS", _BASE64, 300, "="),
    "anthropic admin": ("sk-ant-admin01-", _URL, 93, "AA"),
    "anthropic": ("sk-ant-api03-", _URL, 93, "AA"),
    "artifactory key": ("AKCp", _ALNUM, 69, ""),
    "artifactory reference": ("cmVmd", _ALNUM, 59, ""),
    "atlassian": ("ATATT3xFfGF0", _URL, 180, "=AB12CD34"),
    "authress": ("sc_a1b2c3d4e5.ab12.acc-", _LOWER, 16, "." + "aB3/" * 12),
    "aws": ("AKIA", string.ascii_uppercase + "234567", 16, ""),
    "bedrock": ("ABSKQmVkcm9ja0FQSUtleS", _BASE64, 110, "="),
    "bedrock short": ("bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t", _ALNUM, 60, ""),
    "azure ad": ("aB3", "5", 1, "Q~" + "aB3dE5f_" * 4),
    "deepseek": ("sk-", _HEX, 32, ""),
    "defined": ("dnkey-", _LOWER, 26, "-" + "a0b1" * 13),
    "deno": ("ddp_", _ALNUM, 36, ""),
    "devin user": ("apk_user_", _BASE64, 140, "="),
    "devin service": ("apk_", _BASE64, 88, "="),
    "devin token": ("cog_", "abcdefghijklmnopqrstuvwxyz234567", 52, ""),
    "digitalocean oauth": ("doo_v1_", _HEX, 64, ""),
    "digitalocean": ("dop_v1_", _HEX, 64, ""),
    "digitalocean refresh": ("dor_v1_", _HEX, 64, ""),
    "docker organisation": ("dckr_oat_", _URL, 32, ""),
    "docker": ("dckr_pat_", _URL, 27, ""),
    "doppler": ("dp.pt.", _ALNUM, 43, ""),
    "dropbox long": ("a1b2c3d4e5f", "A", 10, "aB3dE5fG" * 5 + "xyz"),
    "dropbox": ("sl.", _URL, 135, ""),
    "duffel": ("duffel_live_", _URL, 43, ""),
    "github user": ("ghu_", _ALNUM, 36, ""),
    "github app": ("ghs_", _ALNUM, 36, ""),
    "github fine": ("github_pat_", _ALNUM + "_", 82, ""),
    "github oauth": ("gho_", _ALNUM, 36, ""),
    "github": ("ghp_", _ALNUM, 36, ""),
    "github refresh": ("ghr_", _ALNUM, 36, ""),
    "gitlab job": ("glcbt-64_", _URL, 20, ""),
    "gitlab deploy": ("gldt-", _URL, 20, ""),
    "gitlab flags": ("glffct-", _URL, 20, ""),
    "gitlab feed": ("glft-", _URL, 20, ""),
    "gitlab mail": ("glimt-", _URL, 25, ""),
    "gitlab agent": ("glagent-", _URL, 50, ""),
    "gitlab oauth": ("gloas-", _URL, 64, ""),
    "gitlab": ("glpat-", _URL, 20, ""),
    "gitlab routable": ("glpat-", _URL, 27, ".01.0w1a2b3c4"),
    "lob": ("live_", _HEX, 35, ""),
    "lob publishable": ("test_pub_", _HEX, 31, ""),
    "mailchimp": ("", _HEX, 32, "-us12"),
    "mailgun": ("key-", _HEX, 32, ""),
    "mailgun public": ("pubkey-", _HEX, 32, ""),
    "maxmind": ("a1B2c3_", _ALNUM, 29, "_mmk"),
    "minimax": ("sk-api-", _URL, 119, ""),
    "mongodb service": ("mdb_sa_sk_", _URL, 40, ""),
    "newrelic browser": ("NRJS-", _HEX, 19, ""),
    "newrelic insert": ("NRII-", _LOWER + "-", 32, ""),
    "settlemint": ("sm_sat_", _ALNUM, 16, ""),
    "shippo": ("shippo_live_", _HEX, 40, ""),
    "shopify": ("shpat_", _HEX, 32, ""),
    "shopify custom": ("shpca_", _HEX, 32, ""),
    "shopify private": ("shppa_", _HEX, 32, ""),
    "shopify shared": ("shpss_", _HEX, 32, ""),
    "slack app": ("xapp-1-A012BCDEF34-8093175264017-", _LOWER, 64, ""),
    "slack bot": ("xoxb-809317526401-809317526401-", _ALNUM, 24, ""),
    "slack config": ("xoxe.xoxb-1-", _ALNUM.upper(), 163, ""),
    "slack refresh": ("xoxe-1-", _ALNUM.upper(), 146, ""),
    "slack legacy": ("xoxs-8093175264-8093175264-8093175264-", _HEX, 32, ""),
    "slack workspace": ("xoxa-2-", _ALNUM, 40, ""),
    "slack cookie": ("xoxd-", _BASE64, 120, "="),
    "slack session": ("xoxc-809317526401-809317526401-8093175264017-", _HEX, 64, ""),
    "slack user": ("xoxp-809317526401-809317526401-809317526401-", _ALNUM, 32, ""),
    "slack webhook": ("https://hooks.slack.com/services/", _ALNUM, 44, ""),
    "sonar": ("squ_", _HEX, 40, ""),
    "sourcegraph": ("sgp_90c1d7e25b3f48a6_", _HEX, 40, ""),
    "square": ("EAAAl", _URL, 59, ""),
    "square old": ("sq0atp-", _URL, 22, ""),
    "stability": ("sk-", _ALNUM, 48, ""),
    "stripe": ("rk_live_", _ALNUM, 99, ""),
    "supabase": ("sbp_", _LOWER, 40, ""),
    "supabase project": ("sb_secret_", _URL, 31, ""),
    "telegram": ("809317526:AA", _URL, 33, ""),
    "together": ("tgp_v1_", _URL, 43, ""),
    "twilio": ("SK", _HEX, 32, ""),
    "twitter": ("A" * 22, _ALNUM + "%", 90, ""),
    "typeform": ("tfp_", _URL + ".", 59, ""),
    "upcloud": ("ucat_", _ALNUM, 28, ""),
    "vault batch": ("hvb.", _URL, 140, ""),
    "vault": ("hvs.", _URL, 95, ""),
    "vault old": ("s.", _ALNUM, 24, ""),
    "vercel gateway": ("vck_", _URL, 56, ""),
    "vercel app": ("vca_", _URL, 56, ""),
    "vercel refresh": ("vcr_", _URL, 56, ""),
    "vercel integration": ("vci_", _URL, 56, ""),
    "vercel": ("vcp_", _URL, 56, ""),
}

PLACES = [
    Place("value", lambda n, s: json_body('{"value":"' + s + '","n":1}'), False),
    Place("message", lambda n, s: text_body(f"why does {s} fail?"), False),
    Place("table", lambda n, s: text_body(f"id,note\n7,{s}\n", "text/csv"), False),
    Place("header", lambda n, s: transaction(req_headers={"X-Caller-Info": s}), False),
]


def formats(seed: int = 20_261_130) -> Iterator[tuple[str, str, Transaction]]:
    """(label, planted secret, transaction) of every format in every place."""
    return planted(by_looks(_FORMATS), PLACES, seed)
