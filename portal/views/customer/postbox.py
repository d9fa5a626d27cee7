"""The demo's postbox: what the desk sent, and a customer's pen. Mail goes out by real SMTP to the listener."""

import smtplib

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from portal.demo import letters
from portal.errors import UserFault
from portal.extensions import db
from portal.language import says
from portal.models import ChannelAccount

blueprint = Blueprint("postbox", __name__, url_prefix="/postbox")

# The mail is shown as a document of its own that may do nothing.
BODY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: cid:; sandbox"


@blueprint.get("")
def index() -> str:
    return _page()


@blueprint.get("/list")
def mails() -> str:
    return render_template(
        "customer/postbox_list.html", mails=letters.newest(_folder()), chosen=request.args.get("chosen")
    )


@blueprint.get("/<mail_id>")
def show(mail_id: str) -> str:
    return _page(chosen=_letter(mail_id))


@blueprint.get("/<mail_id>/body")
def body(mail_id: str) -> Response:
    letter = _letter(mail_id)
    response = Response(render_template("customer/postbox_body.html", letter=letter))
    response.headers["Content-Security-Policy"] = BODY_POLICY
    return response


@blueprint.get("/<mail_id>/raw")
def raw(mail_id: str) -> Response:
    response = Response(_letter(mail_id).raw, mimetype="message/rfc822")
    response.headers["Content-Disposition"] = "attachment"
    return response


@blueprint.post("/send")
def send() -> BaseResponse | tuple[str, int]:
    form = request.form
    answered = _letter(form["answers"]) if form.get("answers") else None
    try:
        mail = letters.write(
            from_name=form.get("from_name", ""),
            from_address=form.get("from_address", ""),
            to=form.get("to", ""),
            subject=form.get("subject", ""),
            text=form.get("text", ""),
            files=[file for file in request.files.getlist("files") if file.filename],
            answered=answered,
        )
        _hand_over(mail)
    except UserFault as fault:
        return _page(chosen=answered, draft=form.to_dict(), problem=says(fault)), 422
    flash("Your mail is on its way to the desk.", "success")
    return redirect(url_for("postbox.show", mail_id=answered.id) if answered else url_for("postbox.index"))


def _page(
    chosen: letters.Letter | None = None, draft: dict[str, str] | None = None, problem: str = ""
) -> str:
    addresses = select(ChannelAccount.address).where(ChannelAccount.is_active).order_by(ChannelAccount.id)
    return render_template(
        "customer/postbox.html",
        mails=letters.newest(_folder()),
        letter=chosen,
        chosen=chosen.id if chosen else None,
        draft=draft or {},
        problem=problem,
        addresses=db.session.scalars(addresses).all(),
    )


def _letter(mail_id: str) -> letters.Letter:
    letter = letters.read(_folder(), mail_id)
    if letter is None:
        abort(404)
    return letter


def _hand_over(mail: letters.Written) -> None:
    settings = current_app.config["SETTINGS"]
    try:
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=20) as connection:
            connection.sendmail(mail.from_address, [mail.to], mail.raw)
    except smtplib.SMTPRecipientsRefused as refused:
        code, reply = next(iter(refused.recipients.values()))
        raise UserFault(
            "The desk does not take mail for %(to)s: %(code)s %(decode)s",
            to=mail.to,
            code=code,
            decode=reply.decode(errors="replace"),
        ) from refused
    except smtplib.SMTPResponseException as refused:
        error = refused.smtp_error
        words = error.decode(errors="replace") if isinstance(error, bytes) else error
        raise UserFault(
            "The desk refused the mail: %(smtp_code)s %(words)s",
            smtp_code=refused.smtp_code,
            words=words,
        ) from refused
    except (OSError, smtplib.SMTPException) as error:
        raise UserFault(
            "The desk's mail server cannot be reached (%(error)s). Your text is kept; try again.",
            error=error,
        ) from error


def _folder() -> "letters.Path":
    folder: letters.Path = current_app.config["SETTINGS"].var_dir / letters.FOLDER
    return folder
