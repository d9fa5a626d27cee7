"""The people who write to us, and their addresses."""

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import BigId, Created, Timestamp, one_of

CHANNEL_KINDS = ("email", "web_form", "chat", "sms", "whatsapp", "telegram", "api")
IDENTITY_KINDS = ("email", "phone", "telegram", "chat")


class Customer(Model):
    __tablename__ = "customer"
    __table_args__ = (
        Index(
            "ix_customer_name_trgm", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}
        ),
    )

    id: Mapped[BigId]
    name: Mapped[str] = mapped_column(String(200), default="")
    language: Mapped[str] = mapped_column(String(12), default="")
    level: Mapped[str] = mapped_column(String(32), default="")
    notes: Mapped[str] = mapped_column(default="")
    created_at: Mapped[Created]

    identities: Mapped[list["Identity"]] = relationship(back_populates="customer", order_by="Identity.id")

    def __repr__(self) -> str:
        return self.name or f"Customer {self.id}"


class Identity(Model):
    """One address of a customer on one kind of channel; `address` is normalised (e-mail in lower case)."""

    __tablename__ = "identity"
    __table_args__ = (
        UniqueConstraint("kind", "address"),
        one_of("kind", IDENTITY_KINDS),
        Index(None, "customer_id"),
        Index(
            "ix_identity_address_trgm",
            "address",
            postgresql_using="gin",
            postgresql_ops={"address": "gin_trgm_ops"},
        ),
    )

    id: Mapped[BigId]
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    kind: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(320))
    # After a hard bounce nothing automatic goes there until someone clears it.
    suppressed_at: Mapped[Timestamp | None]
    suppressed_reason: Mapped[str] = mapped_column(default="")
    # Whether pictures from elsewhere in this sender's mail are loaded without asking.
    shows_pictures: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[Created]

    customer: Mapped[Customer] = relationship(back_populates="identities")

    def __repr__(self) -> str:
        return self.address
