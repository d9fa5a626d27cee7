"""Configured mailboxes, numbers and bots."""

from datetime import date

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, deferred, mapped_column, relationship

from portal.extensions import Model
from portal.models.branch import Branch
from portal.models.columns import Created, JsonList, SmallId, Timestamp, one_of
from portal.models.customer import CHANNEL_KINDS

SECURITIES = ("none", "starttls", "tls")
POST_ACTIONS = ("seen", "move", "delete", "leave")
AUTH_KINDS = ("password", "oauth2_google", "oauth2_microsoft")


class ChannelAccount(Model):
    """One configured way in and out. Passwords are encrypted by `portal.secrets_box` and never shown again.

    No IMAP host: mail comes through the listener. No SMTP host: mail leaves through the installation's relay.
    """

    __tablename__ = "channel_account"
    __table_args__ = (
        UniqueConstraint("kind", "address"),
        one_of("kind", CHANNEL_KINDS),
        one_of("auth_kind", AUTH_KINDS),
        one_of("imap_security", SECURITIES),
        one_of("smtp_security", SECURITIES),
        one_of("imap_post_action", POST_ACTIONS),
        Index(None, "branch_id"),
    )

    id: Mapped[SmallId]
    kind: Mapped[str] = mapped_column(String(16), default="email")
    name: Mapped[str] = mapped_column(String(120))
    address: Mapped[str] = mapped_column(String(320))
    aliases: Mapped[JsonList]
    branch_id: Mapped[int] = mapped_column(ForeignKey("branch.id"))
    is_active: Mapped[bool] = mapped_column(default=True)

    imap_host: Mapped[str] = mapped_column(String(255), default="")
    imap_port: Mapped[int] = mapped_column(default=993)
    imap_security: Mapped[str] = mapped_column(String(8), default="tls")
    imap_username: Mapped[str] = mapped_column(String(320), default="")
    imap_password_encrypted: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    imap_folder: Mapped[str] = mapped_column(String(255), default="INBOX")
    imap_post_action: Mapped[str] = mapped_column(String(8), default="seen")
    imap_move_folder: Mapped[str] = mapped_column(String(255), default="")
    uid_validity: Mapped[int | None] = mapped_column(BigInteger)
    last_uid: Mapped[int] = mapped_column(BigInteger, default=0)
    fetched_at: Mapped[Timestamp | None]
    next_fetch_at: Mapped[Timestamp | None]
    last_error: Mapped[str] = mapped_column(default="")

    smtp_host: Mapped[str] = mapped_column(String(255), default="")
    smtp_port: Mapped[int] = mapped_column(default=587)
    smtp_security: Mapped[str] = mapped_column(String(8), default="starttls")
    smtp_username: Mapped[str] = mapped_column(String(320), default="")
    smtp_password_encrypted: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))

    # How both servers are logged in to. With OAuth 2 a person signs in once; access tokens are got with what stays.
    auth_kind: Mapped[str] = mapped_column(String(16), default="password", server_default="password")
    oauth_tenant: Mapped[str] = mapped_column(String(120), default="", server_default="")
    oauth_client_id: Mapped[str] = mapped_column(String(255), default="", server_default="")
    oauth_client_secret_encrypted: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    oauth_refresh_token_encrypted: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    oauth_access_token_encrypted: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    oauth_access_expires_at: Mapped[Timestamp | None]
    oauth_refresh_expires_at: Mapped[Timestamp | None]
    oauth_signed_in_at: Mapped[Timestamp | None]
    # Of the password or the client secret, where an admin knows it: nothing tells it to us.
    secret_expires_on: Mapped[date | None]
    # Refused logins in a row, since when.
    login_failure_count: Mapped[int] = mapped_column(default=0, server_default="0")
    login_failed_at: Mapped[Timestamp | None]

    # When the server last said that something has come, and when its folder was last compared with what we have.
    rung_at: Mapped[Timestamp | None]
    compared_at: Mapped[Timestamp | None]
    created_at: Mapped[Created]

    branch: Mapped[Branch] = relationship()

    def __repr__(self) -> str:
        return self.address
