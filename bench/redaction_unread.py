# ruff: noqa: E501 (tables: one case a line)
"""Formats with a form of their own that nobody had looked at while the rules of before were written.

`LEARNT` are vendors' formats from memory of their pages, looked at to find the general forms of
November 2026 (base64 and base64url behind a word, hex of any length, base 32 …). `HELD_BACK` are of
the halves, drawn by a hash of names, of what nine scanners (deepsecrets, keyhound, keyleak-detector,
leakkill, n0s1, scan4secrets, secretgate, secretsieve and the detectors of Veles) know and betterleaks
does not, and of trufflehog's and keyhog's detectors, of which ten and 18 were read; what is no secret
or has no mark is left out. They were read only when the rules stood. docs/redaction.md has the figures
of the first run.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator

from bench.redaction_betterleaks import PLACES
from bench.redaction_cases import pick
from recorder.decode.events import Transaction

_ALNUM = string.ascii_letters + string.digits
_LETTERS = {
    "a": _ALNUM, "b": _ALNUM + "+/", "d": string.digits, "l": string.ascii_lowercase + string.digits,
    "s": string.ascii_lowercase + "234567", "u": string.ascii_uppercase + string.digits, "w": _ALNUM + "-_",
    "x": "0123456789abcdef",
}  # fmt: skip
_RUN = re.compile(r"\{([a-z])([0-9]+)\}")
_UUID = "{x8}-{x4}-{x4}-{x4}-{x12}"

# kind: its form; {x32}: 32 letters of hex, {a…} letters and digits, {l…} small ones, {u…} capitals,
# {d…} digits, {b…} base64, {w…} base64url, {s…} base 32
LEARNT = {
    "ably": "{a6}.{a6}:{w43}", "appwrite": "standard_{x256}", "asaas": "$aact_prod_{b160}", "astronomer": "ast-{w40}", "authzed": "tc_default_{x64}",
    "baseten": "{a8}.{a32}", "bland": "org_{x69}", "blockfrost": "mainnet{a32}", "brex": "bxt_{a36}", "bunny": f"{_UUID}-{_UUID}",
    "cal": "cal_live_{x32}", "census": "secret-token:{w32}", "checkly": "cu_{x32}", "chroma": "ck-{a44}", "circle": "LIVE_API_KEY:{x32}:{x32}",
    "codefresh": "{x24}.{x32}", "conekta": "key_{a22}", "convoy": "CO.{a16}.{a64}", "coolify": "2|{a48}", "corbado": "corbado1_{a30}",
    "covalent": "cqt_{a26}", "creem": "creem_{a22}", "dashscope": "sk-{x32}", "datadog": "ddapp_{a34}", "daytona": "dtn_{x64}",
    "deepsource": "dsp_{x40}", "devcycle": "dvc_server_{w40}", "dify": "app-{a24}", "dify data": "dataset-{a24}", "directus": "dir_{w32}",
    "doppler": "dp.sa.{a43}", "dub": "dub_{a24}", "elevenlabs": "sk_{x48}", "expo": "expo_{w40}", "fal": f"{_UUID}:{{x32}}",
    "flagsmith": "ser.{a22}", "fullstory": "na1.{b60}=", "gcore": "2719${x128}", "ghost": "{x24}:{x64}", "gitbook": "gb_api_{a40}",
    "gitea": "gto_{s52}", "greenhouse": "{x32}-1", "growthbook": "secret_user_{a44}", "helicone": "sk-helicone-{l7}-{l7}-{l7}-{l7}", "hex": "hxtp_{x96}",
    "humanloop": "hl_sk_{x48}", "hyperbrowser": "hb_{x30}", "imagekit": "private_{b27}=", "imgix": "ak_{x64}", "incident": "inc_{x64}",
    "infobip": f"{{x32}}-{_UUID}", "iyzico": "sandbox-{a32}", "jetbrains": "perm:{a8}==.{a8}=.{a30}", "jetbrains new": "perm-{a8}==.{a8}=.{a30}", "keygen": "prod-{x64}v3",
    "knock": "sk_{w43}", "lambda": "secret_dev-key_{x32}.{a32}", "langdock": "sk-{w48}", "laravel": "17|{a40}{x8}", "letta": "sk-let-{b80}==",
    "litellm": "sk-{w22}", "luma": f"luma-{_UUID}-{{x8}}-{{x4}}", "magic": "sk_live_{u16}", "medusa": "sk_{x64}", "mem0": "m0-{a40}",
    "mercury": "secret-token:mercury_production_wma_{a44}_yrucrem", "metabase": "mb_{b43}=", "mintlify": "mint_dsc_{a26}", "mixedbread": "mxb_{x40}", "nango": "nango_sk_{a32}",
    "netbird": "nbp_{a36}", "nomic": "nk-{w43}", "onesignal": "os_v2_app_{s103}", "openpay": "sk_{x32}", "openpipe": "opk_{x42}",
    "pagertree": "PT-{a32}", "paymob": "egy_sk_live_{x64}", "permit": "permit_key_{a88}", "phase": "pss_service:v2:{x64}:{x64}:{x64}:{x64}", "plane": "plane_api_{x32}",
    "polar": "polar_oat_{a43}", "prismic": "MC5{w50}.{w43}", "promptlayer": "pl_{x32}", "quicknode": "QN_{x32}", "radar": "prj_live_sk_{x40}",
    "requesty": "rqsty-sk-{b80}==", "retell": "key_{x28}", "retool": "retool_{l26}", "runpod": "rpa_{u40}{l6}", "runway": "key_{x128}",
    "shipengine": "TEST_{b43}", "statsig": "secret-{a43}", "statsig console": "console-{a43}", "steel": "ste-{a60}", "svix": "testsk_{w32}.eu",
    "tatum": "t-{x24}-{x24}", "teller": "token_{l22}", "telnyx": "KEY{x32}", "tigris": "tid_{w34}", "tigris secret": "tsec_{w60}",
    "toss": "test_sk_{a32}", "toss gateway": "live_gsk_{a24}", "turbopuffer": "tpuf_{a32}", "twelvelabs": "tlk_{u24}", "unkey": "unkey_{a22}",
    "unleash": "*:production.{x56}", "unleash client": "default:development.{x56}", "unleash user": "user:{x60}", "userfront": "uf_live_admin_{x32}_{x32}", "vanta": "vat_{x40}",
    "vectara": "zut_{w42}", "vectara query": "zqt_{w36}", "warrant": "api_prod_{a43}", "webflow": "ws-{x64}", "workos": "sk_test_{a70}",
    "xata": "xau_{a37}", "you": "ydc-sk-{x16}-{a32}-{x8}", "zhipu": "{x32}.{a16}",
}  # fmt: skip

HELD_BACK = {
    # the scanners
    "adyen": "AQE{w110}", "akamai": "akab-{a16}-{a16}", "anyscale secret": "esecret_{a40}", "asaas": "$aact_{b60}", "atlassian": "ATATT3xFfGF0{w176}",
    "backblaze": "K00{b30}", "deepl": f"{_UUID}:fx", "deno": "ddo_{a36}", "discord hook": "https://ptb.discord.com/api/webhooks/917364820551937412/{w68}", "doppler": "dp.st.{a40}",
    "fleetbase": "flb_live_{a20}", "flutterwave": "FLWSECK-{l32}-X", "fly": "fm2_{b120}==", "google": "AIzaSy{w33}", "google hmac": "GOOG{a57}",
    "google secret": "GOCSPX-{w28}", "hashicorp": "hcp_{a60}", "heroku": "HRKU-{w60}", "ifttt": "https://maker.ifttt.com/trigger/alarm/with/key/{w43}", "intra42": "s-s4t2af-{x64}",
    "lob": "test_pub_{x31}", "mws": f"amzn.mws.{_UUID}", "openai": "sk-proj-{w48}", "openrouter": "sk-or-v1-{x64}", "packagist": "packagist_acs_{x64}",
    "packagist read": "packagist_ort_{x68}", "packagist update": "packagist_out_{x68}", "paddle": "pdl_sandbox_apikey_{a50}", "plaid": f"access-production-{_UUID}", "razorpay": "rzp_live_{a14}",
    "shippo": "shippo_test_{x40}", "slack app": "xapp-2-{a11}-1727910244597-{x64}", "slack config": "xoxe.xoxp-1-{a166}", "slack hook": "https://hooks.slack.com/services/T{u10}/B{u10}/{a24}", "slack trigger": "https://hooks.slack.com/triggers/{a43}",
    "slack user": "xoxp-17872485515-11794337505-{a24}", "square": "sq0atp-{w43}", "stripe": "rk_test_{a24}", "stytch": "secret-test-{w40}", "tailscale": "tskey-client-{a12}-{a32}",
    "telegram": "7723312796:AA{w33}", "ubidots": "BBFF-{a30}",
    # trufflehog
    "endor": "endr+{a16}", "fullstory": "na1.{b100}", "gemini account": "account-{a20}", "gemini master": "master-{a20}", "lark app": "a-{a40}",
    "lark tenant": "t-{a40}", "lark user": "u-{a40}", "launchdarkly": f"api-{_UUID}", "launchdarkly sdk": f"sdk-{_UUID}", "nightfall": "NF-{a32}",
    "robinhood": f"rh-api-{_UUID}",
    # keyhog
    "activepieces": "ap_{x32}", "airplane": "aptk_{w30}", "airtable": "pat{a14}.{x64}", "anyscale": "anyscale_{w30}", "asana": "1/4827193056718294/{a32}",
    "asana old": "4827193056718294:{x32}", "autoblocks": "AB-{w20}", "axiom": "xapt-{w20}", "backblaze new": "K00M{w25}",
}  # fmt: skip

# how keys of vendors that nobody knows look: a word and so much that is random
_WORDS = ("acme_", "ac_", "acme-", "acme_v1_")
_BODIES = {
    "letters and digits, 32": "{a32}", "letters and digits, 40": "{a40}", "base64url, 32": "{w32}", "base64url, 43": "{w43}",
    "base64url, 64": "{w64}", "base64, 44": "{b43}=", "base64, 88": "{b86}==", "base 32, 52": "{s52}", "small letters and digits, 32": "{l32}",
    "hex, 56": "{x56}", "hex, 64": "{x64}",
}  # fmt: skip


def of_whoevers_making(each: int = 40) -> Iterator[tuple[str, str, Transaction]]:
    """The same for random keys behind words that no vendor has."""
    for seed in range(each // len(_WORDS)):
        forms = {
            f"{kind}: {word}": word + body for kind, body in _BODIES.items() for word in _WORDS
        }
        yield from planted(forms, seed)


def planted(
    forms: dict[str, str], seed: int = 20_261_203
) -> Iterator[tuple[str, str, Transaction]]:
    """(label, longest random run of a secret, transaction) of every form in every place."""
    rnd = random.Random(seed)
    for kind, form in forms.items():
        for place in PLACES:
            runs: list[str] = []

            def made(match: re.Match[str], runs: list[str] = runs) -> str:
                runs.append(pick(rnd, _LETTERS[match[1]], int(match[2])))
                return runs[-1]

            secret = _RUN.sub(made, form)
            yield f"{kind} / {place.label}", max(runs, key=len), place.plant("note", secret)
