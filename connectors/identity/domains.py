"""Domains as evidence: the one form in which they are compared, and those that belong to no single company. Pure."""

import re
from functools import cache
from importlib import resources
from urllib.parse import urlsplit

import yaml

DOMAIN = "domain:"
"""Prefix of a domain as the target of a claim."""

_HOST = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


def domain_of(value: object) -> str | None:
    """The domain of a web address, an e-mail address or a bare domain; None where it holds none.

    >>> domain_of("https://www.Acme.example/about"), domain_of("billing@acme.example"), domain_of("acme.example")
    ('acme.example', 'acme.example', 'acme.example')
    >>> domain_of("localhost") is None and domain_of("10.0.0.1") is None and domain_of(None) is None
    True
    """
    text = value.strip().lower() if isinstance(value, str) else ""
    if "@" in text and "/" not in text:
        text = text.rpartition("@")[2]
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
        host = host.rstrip(".").removeprefix("www.")
        host = host.encode("idna").decode() if not host.isascii() else host
    except (ValueError, UnicodeError):
        return None
    return host if _HOST.fullmatch(host) else None


def domain_ref(value: object) -> str | None:
    """The target of a claim by domain, None where the value holds no domain or one that many share.

    >>> domain_ref("ana@acme.example"), domain_ref("ana@gmail.com")
    ('domain:acme.example', None)
    """
    domain = own_domain(value)
    return None if domain is None else f"{DOMAIN}{domain}"


def own_domain(value: object) -> str | None:
    """The domain that a value holds, None where many share it.

    >>> own_domain("https://www.acme.example"), own_domain("ana@gmail.com")
    ('acme.example', None)
    """
    domain = domain_of(value)
    return None if domain is None or is_shared(domain) else domain


def is_shared(domain: str) -> bool:
    """Whether many companies and people share a domain, so that it proves nothing: free mail, hosted shops and sites.

    >>> is_shared("gmail.com"), is_shared("acme.myshopify.com"), is_shared("acme.example")
    (True, True, False)
    """
    parts = domain.split(".")
    return any(".".join(parts[start:]) in _shared() for start in range(len(parts) - 1))


@cache
def _shared() -> frozenset[str]:
    return frozenset(yaml.safe_load((resources.files("connectors.identity") / "shared_domains.yaml").read_text()))
