"""What every answer carries: the content security policy with its nonce, and the other protective headers."""

import secrets

from flask import Flask, Response, abort, g, request

# Sanitised mail is shown in the page and editors write inline styles: attributes may style, nothing inline may run.
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'nonce-{nonce}'",
    "style-src": "'self' 'nonce-{nonce}'",
    "style-src-attr": "'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "frame-ancestors": "'self'",
    "form-action": "'self'",
    "object-src": "'none'",
    "base-uri": "'self'",
}


def install_security(app: Flask) -> None:
    """Nonce for templates (`csp_nonce()`), headers on every answer."""
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    app.before_request(_hide_old_editor)
    app.after_request(_add_headers)


def _hide_old_editor() -> None:
    """Flask-CKEditor would serve the CKEditor 4 of 2020, samples included; the pages use a bundle of their own."""
    if request.endpoint == "ckeditor.static":
        abort(404)


def csp_nonce() -> str:
    """The nonce of this answer; only scripts and styles that carry it run."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return g.csp_nonce


def _add_headers(response: Response) -> Response:
    headers = response.headers
    policy = "; ".join(f"{name} {value}" for name, value in POLICY.items()).format(nonce=csp_nonce())
    headers.setdefault("Content-Security-Policy", policy)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
    if request.is_secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint != "static" and "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"
    return response
