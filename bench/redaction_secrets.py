# ruff: noqa: E501 (tables: one case a line)
"""Made-up secrets of every kind that redaction claims to know. None of them opens anything."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

_LOWER = string.ascii_lowercase
_ALNUM = string.ascii_letters + string.digits
_URL64 = _ALNUM + "-_"
_HEX = "0123456789abcdef"
_UPPER_DIGITS = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Secret:
    """A kind of secret. `names` are fields that it is filed under; a `shape` is one that is
    known by its looks and so must not survive anywhere, under any name."""

    kind: str
    make: Callable[[random.Random], str]
    names: tuple[str, ...] = ()
    shape: bool = False
    number: bool = False


def pick(rnd: random.Random, letters: str, count: int) -> str:
    """`count` random ones of `letters`."""
    return "".join(rnd.choices(letters, k=count))


def _plain(prefix: str, letters: str, count: int, tail: str = "") -> Callable[[random.Random], str]:
    return lambda rnd: prefix + pick(rnd, letters, count) + tail


def _luhn(rnd: random.Random, prefix: str, length: int) -> str:
    body = prefix + pick(rnd, string.digits, length - len(prefix) - 1)
    total = sum(
        sum(divmod(int(d) * 2, 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(body))
    )
    return body + str(-total % 10)


def _grouped(digits: str, separator: str) -> str:
    return separator.join(digits[i : i + 4] for i in range(0, len(digits), 4))


def _iban(rnd: random.Random, country: str, length: int, letters: str = "") -> str:
    account = letters + pick(rnd, string.digits, length - 4 - len(letters))
    number = int("".join(str(int(c, 36)) for c in account + country + "00"))
    return f"{country}{98 - number % 97:02d}{account}"


def _ssn(rnd: random.Random) -> str:
    return f"{rnd.randrange(100, 665)}-{rnd.randrange(10, 99)}-{rnd.randrange(1000, 9999)}"


def _url64(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def _jwt(rnd: random.Random) -> str:
    head = _url64({"alg": "RS256", "typ": "JWT"})
    body = _url64({"sub": pick(rnd, _ALNUM, 12), "exp": 1763800000})
    return f"{head}.{body}.{pick(rnd, _URL64, 86)}"


def _pem(kind: str) -> Callable[[random.Random], str]:
    def make(rnd: random.Random) -> str:
        lines = [pick(rnd, _ALNUM + "+/", 64) for _ in range(6)]
        return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])

    return make


def _uuid(rnd: random.Random) -> str:
    digits = pick(rnd, _HEX, 32)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


SHAPES = [
    Secret("aws_key", _plain("AKIA", string.ascii_uppercase + "234567", 16), shape=True),
    Secret("aws_temporary", _plain("ASIA", string.ascii_uppercase + "234567", 16), shape=True),
    Secret("gcp_key", _plain("AIza", _URL64, 35), shape=True),
    Secret("gcp_oauth", _plain("ya29.", _URL64, 120), shape=True),
    Secret("gcp_client", _plain("GOCSPX-", _URL64, 28), shape=True),
    Secret("azure_secret", lambda r: pick(r, _ALNUM, 3) + "8Q~" + pick(r, _ALNUM + "_.~-", 34), shape=True),
    Secret("azure_storage", lambda r: "AccountKey=" + pick(r, _ALNUM + "+/", 86) + "==", shape=True),
    Secret("digitalocean", _plain("dop_v1_", _HEX, 64), shape=True),
    Secret("github_classic", _plain("ghp_", _ALNUM, 36), shape=True),
    Secret("github_server", _plain("ghs_", _ALNUM, 36), shape=True),
    Secret("github_fine", lambda r: "github_pat_" + pick(r, _ALNUM, 22) + "_" + pick(r, _ALNUM, 59), shape=True),
    Secret("gitlab", _plain("glpat-", _URL64, 20), shape=True),
    Secret("gitlab_runner", _plain("glrt-", _URL64, 20), shape=True),
    Secret("atlassian", _plain("ATATT3xFfGF0", _URL64, 180), shape=True),
    Secret("npm", _plain("npm_", _ALNUM, 36), shape=True),
    Secret("pypi", _plain("pypi-AgEIcHlwaS5vcmc", _URL64, 130), shape=True),
    Secret("rubygems", _plain("rubygems_", _HEX, 48), shape=True),
    Secret("docker", _plain("dckr_pat_", _URL64, 27), shape=True),
    Secret("slack_bot", lambda r: f"xoxb-{r.randrange(10**11)}-{r.randrange(10**12)}-" + pick(r, _ALNUM, 24), shape=True),
    Secret("slack_user", lambda r: f"xoxp-{r.randrange(10**11)}-{r.randrange(10**11)}-" + pick(r, _HEX, 32), shape=True),
    Secret("slack_app", lambda r: f"xapp-1-A{pick(r, _UPPER_DIGITS, 10)}-{r.randrange(10**12)}-" + pick(r, _HEX, 64), shape=True),
    Secret("telegram", lambda r: f"{r.randrange(10**8, 10**10)}:AA" + pick(r, _URL64, 33), shape=True),
    Secret("twilio", _plain("SK", _HEX, 32), shape=True),
    Secret("sendgrid", lambda r: "SG." + pick(r, _URL64, 22) + "." + pick(r, _URL64, 43), shape=True),
    Secret("mailgun", _plain("key-", _HEX, 32), shape=True),
    Secret("mailchimp", _plain("", _HEX, 32, "-us14"), shape=True),
    Secret("brevo", lambda r: "xkeysib-" + pick(r, _HEX, 64) + "-" + pick(r, _ALNUM, 16), shape=True),
    Secret("stripe_live", _plain("sk_live_", _ALNUM, 24), shape=True),
    Secret("stripe_restricted", _plain("rk_live_", _ALNUM, 99), shape=True),
    Secret("stripe_webhook", _plain("whsec_", _ALNUM, 32), shape=True),
    Secret("square", _plain("sq0atp-", _URL64, 22), shape=True),
    Secret("shopify", _plain("shpat_", _HEX, 32), shape=True),
    Secret("plaid", lambda r: "access-production-" + _uuid(r), shape=True),
    Secret("openai_project", _plain("sk-proj-", _URL64, 120), shape=True),
    Secret("openai_old", lambda r: "sk-" + pick(r, _ALNUM, 20) + "T3BlbkFJ" + pick(r, _ALNUM, 20), shape=True),
    Secret("anthropic", _plain("sk-ant-api03-", _URL64, 95), shape=True),
    Secret("huggingface", _plain("hf_", string.ascii_letters, 34), shape=True),
    Secret("groq", _plain("gsk_", _ALNUM, 52), shape=True),
    Secret("xai", _plain("xai-", _ALNUM, 80), shape=True),
    Secret("replicate", _plain("r8_", _ALNUM, 37), shape=True),
    Secret("vault", _plain("hvs.", _URL64, 90), shape=True),
    Secret("terraform", lambda r: pick(r, _ALNUM, 14) + ".atlasv1." + pick(r, _URL64, 67), shape=True),
    Secret("grafana", lambda r: "glsa_" + pick(r, _ALNUM, 32) + "_" + pick(r, _HEX, 8), shape=True),
    Secret("newrelic", _plain("NRAK-", _UPPER_DIGITS, 27), shape=True),
    Secret("sentry", _plain("sntrys_", _ALNUM, 60), shape=True),
    Secret("databricks", _plain("dapi", _HEX, 32), shape=True),
    Secret("planetscale", _plain("pscale_tkn_", _URL64, 43), shape=True),
    Secret("tailscale", lambda r: "tskey-auth-" + pick(r, _ALNUM, 12) + "-" + pick(r, _ALNUM, 32), shape=True),
    Secret("linear", _plain("lin_api_", _ALNUM, 40), shape=True),
    Secret("airtable", lambda r: "pat" + pick(r, _ALNUM, 14) + "." + pick(r, _HEX, 64), shape=True),
    Secret("figma", _plain("figd_", _URL64, 40), shape=True),
    Secret("postman", lambda r: "PMAK-" + pick(r, _HEX, 24) + "-" + pick(r, _HEX, 34), shape=True),
    Secret("age", _plain("AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58), shape=True),
    Secret("jwt", _jwt, shape=True),
    Secret("private_key", _pem("RSA PRIVATE KEY"), shape=True),
    Secret("private_key_ec", _pem("EC PRIVATE KEY"), shape=True),
    Secret("private_key_openssh", _pem("OPENSSH PRIVATE KEY"), shape=True),
    Secret("card_visa", lambda r: _luhn(r, "4", 16), shape=True, number=True),
    Secret("card_mastercard", lambda r: _luhn(r, "53", 16), shape=True, number=True),
    Secret("card_amex", lambda r: _luhn(r, "37", 15), shape=True, number=True),
    Secret("card_grouped", lambda r: _grouped(_luhn(r, "4", 16), " "), shape=True),
    Secret("card_dashed", lambda r: _grouped(_luhn(r, "51", 16), "-"), shape=True),
    Secret("iban_de", lambda r: _iban(r, "DE", 22), shape=True),
    Secret("iban_gb", lambda r: _iban(r, "GB", 22, "NWBK"), shape=True),
    Secret("iban_grouped", lambda r: _grouped(_iban(r, "NL", 18, "ABNA"), " "), shape=True),
    Secret("ssn", _ssn, shape=True),
    Secret("email", lambda r: pick(r, _LOWER, 9) + "@" + pick(r, _LOWER, 12) + ".net", shape=True),
]  # fmt: skip

# Random text without a mark of its own: known only by the name that it is filed under.
NAMED = [
    Secret("password", lambda r: pick(r, _ALNUM + "!$*()-_.", 14), ("password", "db_password", "userPassword", "passwd")),
    Secret("passphrase", lambda r: " ".join(pick(r, _LOWER, 6) for _ in range(4)), ("passphrase", "wallet-passphrase")),
    Secret("api_key", lambda r: pick(r, _HEX, 32), ("api_key", "apiKey", "x-api-key", "DD-API-KEY")),
    Secret("secret", lambda r: pick(r, _ALNUM, 40), ("client_secret", "secret", "appSecret", "aws_secret_access_key")),
    Secret("token", lambda r: pick(r, _URL64, 43), ("access_token", "refreshToken", "auth-token", "csrf_token")),
    Secret("session", lambda r: pick(r, _ALNUM, 26), ("session_id", "JSESSIONID", "PHPSESSID", "connect.sid")),
    Secret("account_key", lambda r: pick(r, _ALNUM + "+/", 86) + "==", ("AccountKey", "storage_key")),
    Secret("numeric_password", lambda r: pick(r, string.digits, 10), ("password", "login_password"), number=True),
    Secret("cvv", lambda r: str(r.randrange(100, 999)), ("cvv", "card_cvc")),
    Secret("otp", lambda r: str(r.randrange(10**5, 10**6)), ("otp", "totp"), number=True),
]  # fmt: skip
