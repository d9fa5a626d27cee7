"""The people who log in: FAB's User plus what Portal knows about them."""

from datetime import time

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, backref, mapped_column, relationship

from portal.extensions import Model
from portal.models.branch import Branch
from portal.models.columns import Created, SmallId, Timestamp, one_of

AVAILABILITIES = ("available", "away")
THEMES = ("system", "light", "dark")
DENSITIES = ("comfortable", "compact")


class Agent(Model):
    """The profile of one User. FAB's User stays as it is: API keys and roles return plain users."""

    __tablename__ = "agent"
    __table_args__ = (
        one_of("availability", AVAILABILITIES),
        one_of("theme", THEMES),
        one_of("density", DENSITIES),
    )

    user_id: Mapped[int] = mapped_column(
        Integer, ForeignKey("ab_user.id", ondelete="CASCADE"), primary_key=True
    )
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    language: Mapped[str] = mapped_column(String(12), default="en")
    theme: Mapped[str] = mapped_column(String(8), default="system")
    density: Mapped[str] = mapped_column(String(12), default="comfortable", server_default="comfortable")
    # Kinds of notifications that this person does not want to hear of.
    muted_kinds: Mapped[list[str]] = mapped_column(ARRAY(String(40)), default=list, server_default="{}")
    # In the person's own zone: meanwhile mail about escalations waits. Both are set, or neither.
    quiet_from: Mapped[time | None]
    quiet_until: Mapped[time | None]
    signature_html: Mapped[str] = mapped_column(default="")
    availability: Mapped[str] = mapped_column(String(16), default="available")
    capacity: Mapped[int] = mapped_column(default=20)
    # Sessions that began before this moment are over: set when the password changes.
    sessions_valid_from: Mapped[Timestamp | None]
    created_at: Mapped[Created]

    user: Mapped[User] = relationship(User, backref=backref("agent", uselist=False, passive_deletes=True))

    def __repr__(self) -> str:
        return str(self.user)


class BranchMembership(Model):
    """A person's place in a branch: their level there, and whether they lead it."""

    __tablename__ = "branch_membership"
    __table_args__ = (UniqueConstraint("user_id", "branch_id"), Index(None, "branch_id", "tier_level"))

    id: Mapped[SmallId]
    user_id: Mapped[int] = mapped_column(Integer, ForeignKey("ab_user.id", ondelete="CASCADE"))
    branch_id: Mapped[int] = mapped_column(ForeignKey("branch.id"))
    tier_level: Mapped[int] = mapped_column(default=1)
    is_lead: Mapped[bool] = mapped_column(default=False)
    on_call_order: Mapped[int | None]
    # When tickets of the branch go round, the lowest turn is the next; it grows with each.
    turn: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    created_at: Mapped[Created]

    user: Mapped[User] = relationship(User, backref=backref("memberships", passive_deletes=True))
    branch: Mapped[Branch] = relationship(backref="memberships")

    def __repr__(self) -> str:
        return f"{self.user} in {self.branch}"
