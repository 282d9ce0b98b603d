"""The page that tells how to install the authority on a phone; public, without scripts, in English and French."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from machine_monitor.api.serving.headers import DATA_POLICY
from machine_monitor.api.serving.https.files import Authority
from machine_monitor.api.serving.proxies.root_path import root_path_of

PATH, CERTIFICATE_PATH = "/https", "/https/authority.crt"
# Phones offer to install a file of this type.
MEDIA_TYPE = "application/x-x509-ca-cert"
STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:0 auto;padding:1rem}"
    "section+section{border-top:1px solid;margin-top:3rem}"
    "li{margin:.4rem 0}code{overflow-wrap:anywhere}"
    "a.button{display:inline-block;padding:.7rem 1.2rem;border-radius:.5rem;background:#14532d;color:#fff}"
)
POLICY = f"{DATA_POLICY}; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"


@dataclass(frozen=True)
class Text:
    """The texts in one language. The steps name the menus as the phones do."""

    language: str
    title: str
    why: str
    download: str
    phones: tuple[tuple[str, tuple[str, ...]], ...]
    check: tuple[str, str]
    open: str


class Links(NamedTuple):
    """The addresses that the page links to."""

    certificate: str
    console: str


ENGLISH = Text(
    language="en",
    title="Install the certificate on this phone",
    why=(
        "Machine Monitor encrypts its connections with a certificate of its own. Your phone does not know it yet. "
        "Install it once: then the console works without warnings, with the camera, and without a network."
    ),
    download="1. Download the certificate",
    phones=(
        (
            "2. On an iPhone or iPad",
            (
                "Open this page in Safari, tap the button above and choose Allow.",
                "Settings > General > VPN & Device Management: tap Machine Monitor, then Install.",
                "Settings > General > About > Certificate Trust Settings: switch Machine Monitor on.",
            ),
        ),
        (
            "2. On Android",
            (
                "Tap the button above. The file authority.crt is downloaded.",
                (
                    "Settings: search for “CA certificate”. It is under Security > Encryption & credentials > "
                    "Install a certificate."
                ),
                "Choose CA certificate, Install anyway, then the file authority.crt.",
                (
                    "In Firefox, also: Settings > About Firefox, tap the logo five times, then Secret Settings > "
                    "Use third party CA certificates."
                ),
            ),
        ),
    ),
    check=(
        "3. Compare",
        (
            "On this network somebody could replace this page and the certificate. So compare the SHA-256 "
            "fingerprint that the phone shows in the details of the certificate with the one that the command "
            "mm serve printed. On this page it is:"
        ),
    ),
    open="4. Open the console",
)
FRENCH = Text(
    language="fr",
    title="Installer le certificat sur ce téléphone",
    why=(
        "Machine Monitor chiffre ses connexions avec un certificat qui lui est propre. Votre téléphone ne le connaît "
        "pas encore. Installez-le une fois : la console s'ouvre alors sans avertissement, avec l'appareil photo, "
        "et même sans réseau."
    ),
    download="1. Télécharger le certificat",
    phones=(
        (
            "2. Sur iPhone ou iPad",
            (
                "Ouvrez cette page dans Safari, touchez le bouton ci-dessus puis Autoriser.",
                "Réglages > Général > VPN et gestion de l'appareil : touchez Machine Monitor, puis Installer.",
                "Réglages > Général > Informations > Réglages des certificats : activez Machine Monitor.",
            ),
        ),
        (
            "2. Sur Android",
            (
                "Touchez le bouton ci-dessus. Le fichier authority.crt est téléchargé.",
                (
                    "Paramètres : cherchez « certificat CA ». Il se trouve sous Sécurité > Chiffrement et identifiants "
                    "> Installer un certificat."
                ),
                "Choisissez Certificat CA, Installer quand même, puis le fichier authority.crt.",
                (
                    "Dans Firefox, en plus : Paramètres > À propos de Firefox, touchez cinq fois le logo, puis "
                    "Secret Settings > Use third party CA certificates."
                ),
            ),
        ),
    ),
    check=(
        "3. Comparer",
        (
            "Sur ce réseau, quelqu'un pourrait remplacer cette page et le certificat. Comparez donc l'empreinte "
            "SHA-256 affichée par le téléphone dans les détails du certificat avec celle qu'affiche la commande "
            "mm serve. Sur cette page :"
        ),
    ),
    open="4. Ouvrir la console",
)


def install_page(request: Request, authority: Authority, console_url: str) -> Response:
    """Return the page, in the reader's language first."""
    texts = (FRENCH, ENGLISH) if _prefers_french(request.headers.get("accept-language", "")) else (ENGLISH, FRENCH)
    headers = {"Content-Security-Policy": POLICY, "Vary": "Accept-Language"}
    links = Links(root_path_of(request.scope) + CERTIFICATE_PATH, console_url)
    return HTMLResponse(_document(texts, authority.fingerprint, links), headers=headers)


def certificate(authority: Authority) -> Response:
    """Return the authority's certificate, which phones offer to install."""
    return Response(authority.pem, media_type=MEDIA_TYPE)


def _document(texts: Sequence[Text], fingerprint: str, links: Links) -> str:
    sections = "".join(_section(text, fingerprint, links) for text in texts)
    first = texts[0]
    return (
        f'<!doctype html><html lang="{first.language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{_html(first.title)}</title>'
        f"<style>{STYLE}</style></head><body><main>{sections}</main></body></html>"
    )


def _section(text: Text, fingerprint: str, links: Links) -> str:
    phones = "".join(
        f"<h2>{_html(phone)}</h2><ol>{''.join(f'<li>{_html(step)}</li>' for step in steps)}</ol>"
        for phone, steps in text.phones
    )
    heading, sentence = text.check
    return (
        f'<section lang="{text.language}"><h1>{_html(text.title)}</h1><p>{_html(text.why)}</p>'
        f'<p><a class="button" href="{escape(links.certificate)}">{_html(text.download)}</a></p>{phones}'
        f"<h2>{_html(heading)}</h2><p>{_html(sentence)}</p><p><code>{fingerprint}</code></p>"
        f'<p><a class="button" href="{escape(links.console)}">{_html(text.open)}</a></p></section>'
    )


def _html(text: str) -> str:
    """Escape a text, and keep French punctuation on the line of its word."""
    return escape(text).replace(" :", "&nbsp;:").replace("« ", "«&nbsp;").replace(" »", "&nbsp;»")


def _prefers_french(accepted: str) -> bool:
    """Whether the first language of `Accept-Language` is French; browsers send the preferred one first."""
    return accepted.strip().lower().startswith("fr")
