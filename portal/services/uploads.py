"""Files that people put into replies, checked before they are kept."""

import io
import secrets
from datetime import timedelta
from pathlib import PurePath

from flask_appbuilder.security.sqla.models import User
from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import any_, delete, or_, select
from werkzeug.datastructures import FileStorage

from portal import storage
from portal.errors import UserFault
from portal.extensions import db
from portal.models import Attachment, Draft
from portal.models.columns import now
from portal.services.transaction import affected, transaction

SIZE_LIMIT_BYTES = 20 * 1024 * 1024
# A picture within the size limit can still unpack to gigabytes.
PIXEL_LIMIT = 50_000_000
KEPT_UNUSED_DAYS = 7
IMAGE_FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


def store_upload(file: FileStorage | None, user: User, *, is_inline: bool = False) -> Attachment:
    """Keep an uploaded file as that person's own until a message takes it. Commits.

    Pictures are decoded and written anew, which drops whatever else the bytes held. Raises UserFault for an
    empty or too large file, and for an inline picture that is none.
    """
    if file is None or not file.filename:
        raise UserFault("No file arrived. Choose one and try again.")
    content = file.stream.read(SIZE_LIMIT_BYTES + 1)
    if len(content) > SIZE_LIMIT_BYTES:
        raise UserFault(
            "%(filename)s is larger than %(limit_mb)s MB and was not kept.",
            filename=file.filename,
            limit_mb=SIZE_LIMIT_BYTES // 1024 // 1024,
        )
    if not content:
        raise UserFault(
            "%(filename)s is empty and was not kept.",
            filename=file.filename,
        )
    picture = _rewritten_picture(content)
    if is_inline and picture is None:
        raise UserFault(
            "%(filename)s is not a picture that mail programs show (PNG, JPEG, GIF or WebP).",
            filename=file.filename,
        )
    content, content_type = picture or (content, "application/octet-stream")
    if picture is None and file.mimetype:
        content_type = file.mimetype[:255]
    with transaction():
        kept = Attachment(
            uploaded_by_id=user.id,
            name=PurePath(file.filename.replace("\\", "/")).name[:200],
            content_type=content_type,
            size_bytes=len(content),
            sha256=storage.put(content),
            is_inline=is_inline,
            public_key=secrets.token_urlsafe(24),
        )
        db.session.add(kept)
    return kept


def copy_of(attachment: Attachment, user: User) -> Attachment:
    """The same file as that person's own upload, for another message. Inside the caller's transaction."""
    copy = Attachment(
        uploaded_by_id=user.id,
        name=attachment.name,
        content_type=attachment.content_type,
        size_bytes=attachment.size_bytes,
        sha256=attachment.sha256,
        is_inline=attachment.is_inline,
        public_key=secrets.token_urlsafe(24),
    )
    db.session.add(copy)
    return copy


def _rewritten_picture(content: bytes) -> tuple[bytes, str] | None:
    """The picture written anew with its media type; None where the bytes are no picture that we know."""
    try:
        with Image.open(io.BytesIO(content), formats=list(IMAGE_FORMATS)) as picture:
            if picture.width * picture.height > PIXEL_LIMIT:
                raise UserFault("This picture has too many pixels. Make it smaller and try again.")
            kind = picture.format or "PNG"
            if getattr(picture, "is_animated", False):
                picture.verify()
                return content, IMAGE_FORMATS[kind]
            upright = ImageOps.exif_transpose(picture)
            output = io.BytesIO()
            upright.save(output, format=kind, **({"quality": 90} if kind == "JPEG" else {}))
            return output.getvalue(), IMAGE_FORMATS[kind]
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def drop_unused() -> int:
    """Forget uploads that no message or draft took within a week; return how many. Commits.

    The bytes stay, content-addressed.
    """
    in_draft = select(Draft.id).where(
        Draft.user_id == Attachment.uploaded_by_id,
        or_(
            Attachment.public_key == any_(Draft.attachment_keys),
            Draft.html.contains(Attachment.public_key),
        ),
    )
    unused = delete(Attachment).where(
        Attachment.message_id.is_(None),
        Attachment.created_at < now() - timedelta(days=KEPT_UNUSED_DAYS),
        ~in_draft.exists(),
    )
    with transaction():
        return affected(unused)
