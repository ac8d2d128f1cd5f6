"""The made-up shop: its programs, what they ask of one another and of the world.

An exchange between two services of the host is seen twice, as Qtap sees it: as egress-internal
by the caller, as ingress by the callee.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from tests.world.events import Actor, Process
from tests.world.model import HEALTHY, Call, Endpoint, Service, Source, Statuses, World

HOSTNAME: Final = "shop-node-1"
NAMESPACE: Final = "shop"
_AXIOS: Final = "axios/1.7.9"
_PYTHON: Final = "python-requests/2.32.3"
_JAVA: Final = "Java-http-client/21.0.5"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def container(
    name: str,
    version: str,
    exe: str,
    pid: int,
    ip: int,
    *,
    agent: str = "Go-http-client/1.1",
    server: str = "envoy",
    port: int = 8080,
) -> Service:
    """A container of the shop, as a pod of its own."""
    pod = f"{name}-{_hash(name + version)[:9]}-{_hash(name)[:5]}"
    actor = Actor(pid, exe, name, f"registry.acme.example/{name}:{version}", pod, NAMESPACE)
    labels = {"app": name, "io.kubernetes.pod.namespace": NAMESPACE}
    process = Process(actor, "app", 1000, pod, _hash("container " + name), labels)
    return Service(name, process, f"10.42.0.{ip}", port, agent, server)


def bare(name: str, exe: str, pid: int, agent: str) -> Service:
    """A process outside any container; root, so its user id is left out on the wire."""
    process = Process(Actor(pid, exe), "root", 0, HOSTNAME)
    return Service(name, process, "192.168.3.218", 0, agent)


_PROGRAMS: Final = (
    container("edge-proxy", "1.27.3", "/usr/sbin/nginx", 2101, 11, server="nginx/1.27.3"),
    container("storefront", "4.18.0", "/usr/local/bin/node", 2214, 12, agent=_AXIOS, port=3000),
    container("search-service", "2.3.1", "/app/search", 2290, 13),
    container("cart-service", "3.2.0", "/app/cart", 2341, 14),
    container("checkout-service", "5.1.2", "/opt/java/bin/java", 2402, 15, agent=_JAVA),
    container("payment-service", "2.7.4", "/usr/local/bin/python3.12", 2477, 16, agent=_PYTHON),
    container("order-service", "6.0.3", "/opt/java/bin/java", 2533, 17, agent=_JAVA),
    container("inventory-service", "1.9.0", "/app/inventory", 2588, 18),
    container("auth-service", "2.0.5", "/app/auth", 2620, 19),
    container("recommendation-service", "0.8.2", "/usr/local/bin/python3.12", 2671, 20),
    container("notification-worker", "1.4.1", "/usr/local/bin/node", 2703, 21, agent=_AXIOS),
    bare("cron", "/usr/bin/curl", 3120, "curl/8.10.1"),
    bare("containerd", "/usr/bin/containerd", 911, "containerd/1.7.24"),
    bare("apt", "/usr/lib/apt/methods/https", 3377, "Debian APT-HTTP/1.3 (2.9.8)"),
)

SERVICES: Final[dict[str, Service]] = {service.name: service for service in _PROGRAMS}


SHOP: Final = "shop.acme.example"
_ITEM: Final = {"sku": "{sku}", "name": "{words}", "price": "{price}", "currency": "EUR"}
_LISTED: Final = [
    {"id": f"{{product{n}}}", "name": f"{{words{n}}}", "price": f"{{price{n}}}"} for n in range(3)
]
_CART: Final = {"cart": "{uuid}", "items": [_ITEM | {"quantity": "{small}"}], "total": "{amount}"}


def _edge(name: str, method: str, target: str, *calls: Call, **more: Any) -> Endpoint:
    """A request from outside to the shop's front door."""
    return Endpoint(
        name, "", "edge-proxy", method, target, host=SHOP, style="browser", median_ms=4,
        calls=calls, protocol="http2", **more,
    )  # fmt: skip


def _inner(caller: str, callee: str, name: str, method: str, target: str, *calls: Call,
           **more: Any) -> Endpoint:  # fmt: skip
    return Endpoint(name, caller, callee, method, target, calls=calls, **more)


_FRONT: Final = (
    _edge("shop.product", "GET", "/products/{product}", Call("storefront.product", 1, 502),
          response={"product": "{product}", "title": "{words}", "price": "{price}",
                    "images": ["/media/{slug}.webp"], "stock": "{stock}"}),
    _edge("shop.list", "GET", "/c/{category}?page={page}", Call("storefront.list", 1, 502),
          response={"items": _LISTED, "page": "{page}"}),
    _edge("shop.search", "GET", "/search?q={slug}&page=1", Call("search.query", 1, 502),
          response={"query": "{slug}", "hits": _LISTED}),
    _edge("shop.cart", "POST", "/api/cart/items", Call("cart.add", 1, 502),
          request={"sku": "{sku}", "quantity": "{small}"}, response=_CART),
    _edge("shop.checkout", "POST", "/api/checkout", Call("checkout.place", 1, 502),
          request={"cart": "{uuid}", "email": "{email}", "shipping": {"city": "{city}"}},
          response={"order": "{order}", "status": "accepted"}),
    _edge("shop.login", "POST", "/api/login", Call("auth.token", 1, 502),
          statuses={200: 0.955, 401: 0.04, 500: 0.005},
          request={"email": "{email}", "remember": True}, response={"ok": True}),
    _edge("shop.stripe-webhook", "POST", "/webhooks/stripe", request={
        "id": "{evt}", "object": "event", "type": "payment_intent.succeeded",
        "data": {"object": {"id": "{pi}", "amount": "{amount}", "currency": "eur"}},
    }, response={"received": True}, headers={"Stripe-Signature": "t={epoch},v1={sha}"}),
    _edge("shop.scanner", "GET", "/wp-login.php", statuses={404: 1.0}),
    _edge("shop.scanner-env", "GET", "/backup/config.old", statuses={404: 1.0}),
)  # fmt: skip

_BETWEEN: Final = (
    _inner("edge-proxy", "storefront", "storefront.product", "GET", "/products/{product}",
           Call("inventory.stock", 0.9), Call("reco.list", 0.5), median_ms=22,
           response={"product": "{product}", "title": "{words}", "price": "{price}"}),
    _inner("edge-proxy", "storefront", "storefront.list", "GET", "/c/{category}?page={page}",
           Call("inventory.batch", 0.3), median_ms=35, response={"items": _LISTED}),
    _inner("edge-proxy", "search-service", "search.query", "GET", "/v1/search?q={slug}",
           Call("redis.get", 0.5), median_ms=48, response={"hits": _LISTED, "took": "{small}"}),
    _inner("edge-proxy", "cart-service", "cart.add", "POST", "/v1/carts/{uuid}/items",
           Call("inventory.stock", 0.5), Call("redis.set", 0.6), median_ms=14,
           request={"sku": "{sku}", "quantity": "{small}"}, response=_CART,
           statuses={201: 0.986, 404: 0.006, 409: 0.005, 500: 0.003}),
    _inner("edge-proxy", "checkout-service", "checkout.place", "POST", "/v2/checkouts",
           Call("taxjar.taxes", 0.6), Call("easypost.rates", 0.4), Call("inventory.reserve"),
           Call("payments.create", 1, 502), Call("orders.create", 1, 502), median_ms=40,
           request={"cart": "{uuid}", "customer": "{cus}", "email": "{email}"},
           response={"order": "{order}", "total": "{amount}"}),
    _inner("edge-proxy", "auth-service", "auth.token", "POST", "/oauth/token",
           Call("google.token", 0.5), median_ms=30, statuses={200: 0.95, 401: 0.045, 500: 0.005},
           request="grant_type=authorization_code&code={hex}&client_id=shop-web",
           request_type="application/x-www-form-urlencoded",
           response={"access_token": "{token}", "token_type": "bearer", "expires_in": 3600}),
    _inner("checkout-service", "payment-service", "payments.create", "POST", "/v1/payments",
           Call("mysql.payment", 0.3), median_ms=18,
           request={"order": "{order}", "customer": "{cus}", "amount": "{amount}"},
           statuses={202: 0.992, 400: 0.005, 500: 0.003},
           response={"payment": "{ulid}", "state": "queued"}),
    _inner("checkout-service", "order-service", "orders.create", "PUT", "/v1/orders/{order}",
           Call("mysql.order", 0.5), median_ms=26,
           request={"customer": "{cus}", "items": [_ITEM], "total": "{amount}"},
           response={"order": "{order}", "state": "open", "version": 1}),
    _inner("checkout-service", "inventory-service", "inventory.reserve", "POST",
           "/v1/reservations", median_ms=12, request={"order": "{order}", "sku": "{sku}"},
           statuses={201: 0.98, 409: 0.017, 500: 0.003}, response={"reservation": "{uuid2}"}),
    _inner("storefront", "inventory-service", "inventory.stock", "GET", "/v1/stock/{sku}",
           median_ms=7, response={"sku": "{sku}", "available": "{stock}"}),
    _inner("storefront", "inventory-service", "inventory.batch", "GET",
           "/v1/stock?skus={sku1},{sku2},{sku3}", median_ms=11,
           response={"{sku1}": "{stock1}", "{sku2}": "{stock2}"}),
    _inner("storefront", "recommendation-service", "reco.list", "List",
           "acme.reco.v1.Recommender", kind="grpc", median_ms=16, statuses={0: 0.99, 14: 0.01}),
)  # fmt: skip

_STORES: Final = tuple(
    Endpoint(name, caller, "", kind, statement, kind="database", median_ms=ms)
    for name, caller, kind, statement, ms in (
        ("redis.get", "search-service", "redis", "GET search:{slug}", 1),
        ("redis.set", "cart-service", "redis", "SETEX cart:{uuid} 86400 1", 1),
        ("mysql.payment", "payment-service", "mysql",
         "INSERT INTO payments (id, amount) VALUES ('{ulid}', {amount})", 4),
        ("mysql.order", "order-service", "mysql",
         "SELECT id, state FROM orders WHERE customer = '{cus}' LIMIT 20", 6),
    )
)  # fmt: skip


def _watched(name: str, path: str, style: str) -> Endpoint:
    service = SERVICES[name]
    body = "ok" if style == "probe" else "process_cpu_seconds_total {price}\nup 1\n"
    return Endpoint(
        f"{style}.{name}", "", name, "GET", path, host=f"{service.ip}:{service.port}",
        style=style, median_ms=2, statuses={200: 1.0}, response=body, response_type="text/plain",
    )  # fmt: skip


_PROBED: Final = (
    "storefront", "cart-service", "checkout-service", "payment-service", "order-service",
    "inventory-service", "search-service", "auth-service",
)  # fmt: skip
_SCRAPED: Final = ("edge-proxy", "checkout-service", "payment-service", "inventory-service")

_INSIDE: Final = (
    *_FRONT,
    *_BETWEEN,
    *_STORES,
    *(_watched(name, "/healthz", "probe") for name in _PROBED),
    *(_watched(name, "/metrics", "scrape") for name in _SCRAPED),
)

_WITHIN: Final = (
    Source("shop.product", 95),
    Source("shop.list", 60),
    Source("shop.search", 42),
    Source("shop.cart", 40),
    Source("shop.checkout", 26),
    Source("shop.login", 22),
    Source("shop.stripe-webhook", 70),
    Source("shop.scanner", 12, "burst", size=6),
    Source("shop.scanner-env", 6, "burst", size=3),
    *(Source(f"probe.{name}", 30, "every") for name in _PROBED),
    *(Source(f"scrape.{name}", 30, "every") for name in _SCRAPED),
)


FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
_ACCOUNT: Final = "AC" + "5f1d0c2a" * 4
_TEMPLATE: Final = "d-" + "0b7c1e5f" * 4
_CHARGE: Final = {
    "id": "{ch}", "object": "charge", "amount": "{amount}", "amount_refunded": 0,
    "captured": True, "created": "{epoch}",
    "currency": "eur", "customer": "{cus}", "livemode": False, "paid": True,
    "payment_method": "{pm}", "payment_method_details": {"type": "card", "card": {
        "brand": "visa", "exp_month": 8, "exp_year": 2029, "last4": "4242"}},
    "metadata": {"order_id": "{order}"}, "refunded": False, "status": "succeeded",
}  # fmt: skip
CHARGE_STATUSES: Final[Statuses] = {200: 0.978, 402: 0.016, 404: 0.002, 500: 0.002, None: 0.002}
CREATED: Final[Statuses] = {202: 0.99, 401: 0.002, 404: 0.003, 500: 0.005}


def api(caller: str, name: str, method: str, host: str, target: str, **more: Any) -> Endpoint:
    """A request of a service to a host elsewhere."""
    return Endpoint(name, caller, "", method, target, host=host, **more)


def _stripe(name: str, method: str, target: str, **more: Any) -> Endpoint:
    return api(
        "payment-service", f"stripe.{name}", method, "api.stripe.com", target,
        style="stripe", median_ms=210, request_type=FORM, **more,
    )  # fmt: skip


_PAYMENTS: Final = (
    _stripe("charge", "POST", "/v1/charges", statuses=CHARGE_STATUSES, response=_CHARGE,
            headers={"Idempotency-Key": "{uuid3}"},
            request="amount={amount}&currency=eur&customer={cus}&source={pm}"
            "&metadata[order_id]={order}"),
    _stripe("customer", "GET", "/v1/customers/{cus}", response={
        "id": "{cus}", "object": "customer", "email": "{email}", "name": "{name}",
        "address": {"city": "{city}", "country": "{country}"}, "currency": "eur"}),
    _stripe("confirm", "POST", "/v1/payment_intents/{pi}/confirm",
            request="payment_method={pm}&return_url=https%3A%2F%2Fshop.acme.example%2Fok",
            response={"id": "{pi}", "object": "payment_intent", "status": "succeeded"}),
    _stripe("refund", "POST", "/v1/refunds", request="charge={ch}&reason=requested_by_customer",
            response={"id": "{re}", "object": "refund", "amount": "{amount}"}),
)  # fmt: skip

_APIS: Final = (
    api("checkout-service", "rates.latest", "GET", "api.exchangeratesapi.io",
        "/v1/latest?base=EUR&symbols=USD,GBP,CHF", median_ms=95, style="cdn",
        response={"base": "EUR", "date": "{day}", "rates": {"USD": "{rate}", "GBP": "{rate2}"}}),
    api("checkout-service", "taxjar.taxes", "POST", "api.taxjar.com", "/v2/taxes", style="cdn",
        median_ms=130, request={"to_zip": "{zip}", "to_country": "{country}", "amount": "{price}"},
        response={"tax": {"rate": 0.19, "taxable_amount": "{price}"}}),
    api("checkout-service", "easypost.rates", "GET", "api.easypost.com",
        "/v2/shipments/{shp}/rates", median_ms=240, style="cdn",
        response={"rates": [{"carrier": "DHL", "rate": "{price1}"}]}),
    api("auth-service", "google.token", "POST", "oauth2.googleapis.com", "/token", style="google",
        median_ms=85, request="grant_type=refresh_token&client_id=shop&refresh_token={token}",
        request_type=FORM, response={"access_token": "{token2}", "expires_in": 3599}),
    api("storefront", "maps.geocode", "GET", "maps.googleapis.com",
        "/maps/api/geocode/json?address={zip}%20{city}", median_ms=70, style="google",
        response={"status": "OK", "results": [{"geometry": {"location": {"lat": "{lat}"}}}]}),
    api("storefront", "media.get", "GET", "acme-media.s3.eu-central-1.amazonaws.com",
        "/products/{product}/{md}.webp", median_ms=28, style="aws",
        response="RIFF{hex}WEBPVP8 ", response_type="image/webp",
        statuses={200: 0.975, 404: 0.022, 500: 0.003}),
    api("storefront", "sentry.envelope", "POST", "o450713.ingest.de.sentry.io",
        "/api/450714/envelope/", median_ms=45, style="cdn",
        request={"event_id": "{md}", "sent_at": "{iso}", "sdk": {"name": "sentry.javascript"}},
        response={"id": "{md}"}),
    api("notification-worker", "sendgrid.send", "POST", "api.sendgrid.com", "/v3/mail/send",
        median_ms=120, style="cdn", statuses=CREATED, request={
            "personalizations": [{"to": [{"email": "{email}", "name": "{name}"}]}],
            "from": {"email": "orders@acme.example"}, "template_id": _TEMPLATE}),
    api("notification-worker", "twilio.sms", "POST", "api.twilio.com",
        f"/2010-04-01/Accounts/{_ACCOUNT}/Messages.json", median_ms=180, request_type=FORM,
        request="To=%2B4915112345678&From=%2B49301234567&Body=Order+{order}+is+on+its+way",
        statuses={201: 0.985, 400: 0.01, 500: 0.005}, response={"sid": "SM{md}"}),
    api("notification-worker", "slack.hook", "POST", "hooks.slack.com",
        f"/services/T00000000/B00000000/{'X' * 24}", median_ms=150,
        request={"text": "New order {order}"}, response="ok", response_type="text/plain"),
    api("inventory-service", "warehouse.stock", "PUT", "api.warehouse.example",
        "/v2/stock/{sku}", median_ms=60, request={"sku": "{sku}", "available": "{stock}"},
        response={"ok": True}),
)  # fmt: skip

# Each of these hosts is met once in an hour or two: new ones appear all the time, and it means
# nothing.
_PARTNER: Final = api(
    "order-service", "partner.hook", "POST", "hooks.partner-{shop}.example",
    "/orders/{order}", median_ms=160, request={"order": "{order}", "state": "shipped"},
    response={"ok": True}, statuses=dict(HEALTHY) | {200: 0.969, 503: 0.02},
)  # fmt: skip
_RARE: Final = tuple(
    api(caller, f"rare.{number}", "GET", host, target, median_ms=90, response_type=kind,
        response="{token}")
    for number, (caller, host, target, kind) in enumerate((
        ("containerd", "registry-1.docker.io", "/v2/library/redis/manifests/sha256:{sha}", JSON),
        ("containerd", "auth.docker.io", "/token?service=registry.docker.io", JSON),
        ("apt", "deb.debian.org", "/debian/dists/trixie/InRelease", "text/plain"),
        ("apt", "security.debian.org", "/debian-security/dists/trixie/InRelease", "text/plain"),
        ("cron", "ocsp.digicert.com", "/{hex}", "application/ocsp-response"),
        ("cron", "api.github.com", "/repos/acme/shop/releases/latest", JSON),
        ("cron", "ifconfig.co", "/json", JSON),
        ("order-service", "ec.europa.eu", "/taxation_customs/vies/rest-api/ms/DE/vat/{num}", JSON),
        ("storefront", "fonts.gstatic.com", "/s/inter/v18/{md}.woff2", "font/woff2"),
        ("notification-worker", "fcm.googleapis.com", "/v1/projects/acme/messages", JSON),
        ("auth-service", "api.pwnedpasswords.com", "/range/{num}", "text/plain"),
        ("search-service", "storage.googleapis.com", "/acme-index/{day}/a.gz", "application/gzip"),
    ))
)  # fmt: skip

_OUTSIDE: Final = (*_PAYMENTS, *_APIS, _PARTNER, *_RARE)

_ABROAD: Final = (
    Source("stripe.charge", 230),
    Source("stripe.customer", 80),
    Source("stripe.confirm", 55),
    Source("stripe.refund", 9),
    Source("rates.latest", 180, "every"),
    Source("maps.geocode", 36),
    Source("media.get", 95),
    Source("sentry.envelope", 40),
    Source("sendgrid.send", 60),
    Source("twilio.sms", 22),
    Source("slack.hook", 16),
    Source("warehouse.stock", 120, "burst", size=30),
    Source("partner.hook", 30),
    *(Source(endpoint.name, 0.8) for endpoint in _RARE),
)


WORLD: Final = World(SERVICES, {e.name: e for e in (*_INSIDE, *_OUTSIDE)})
SOURCES: Final = (*_WITHIN, *_ABROAD)
