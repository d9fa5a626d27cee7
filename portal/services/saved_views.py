"""Lists that people keep under a name."""

from collections.abc import Mapping

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from portal import access
from portal.errors import Forbidden, NotFound, UserFault
from portal.extensions import db
from portal.models import SavedView
from portal.services.transaction import transaction

LONGEST_NAME = 80
MOST_OF_ONE = 20


def save_view(owner: User, name: str, wanted: Mapping[str, str], *, branch_id: int | None = None) -> None:
    """Keep the filter under that name, for everyone of a branch where one is given; one's own of the name is replaced.

    Commits. Raises UserFault without a name, Forbidden for a branch that the owner does not lead.
    """
    if branch_id is not None and not leads(owner, branch_id):
        raise Forbidden(
            "Only who leads a branch can share a view with it. Save it for yourself, or ask its lead."
        )
    name = " ".join(name.split())
    if not name:
        raise UserFault("Give the view a name, so that you find it again.")
    if len(name) > LONGEST_NAME:
        raise UserFault(
            "The name of a view has at most %(longest)s characters.",
            longest=LONGEST_NAME,
        )
    kept = select(func.count()).where(SavedView.owner_id == owner.id, SavedView.name != name)
    with transaction():
        if (db.session.scalar(kept) or 0) >= MOST_OF_ONE:
            raise UserFault(
                "You have %(most)s saved views, which is as many as fit. Remove one first.",
                most=MOST_OF_ONE,
            )
        written = insert(SavedView).values(
            owner_id=owner.id, branch_id=branch_id, name=name, filter=dict(wanted)
        )
        db.session.execute(
            written.on_conflict_do_update(
                index_elements=["owner_id", "name"],
                set_={"filter": written.excluded.filter, "branch_id": written.excluded.branch_id},
            )
        )


def remove_view(owner: User, view_id: int) -> None:
    """Forget a view: one's own, or one shared with a branch that one leads. Commits. Raises NotFound for another's."""
    with transaction():
        view = db.session.get(SavedView, view_id)
        if view is None or not may_remove(owner, view):
            raise NotFound("There is no such view of yours.")
        db.session.delete(view)


def may_remove(user: User, view: SavedView) -> bool:
    """Whether the view is the person's to remove."""
    return view.owner_id == user.id or (view.branch_id is not None and leads(user, view.branch_id))


def leads(user: User, branch_id: int) -> bool:
    """Whether the person decides what everyone of that branch sees: its lead, or an admin."""
    led = access.led_branch_ids(user)
    may_lead = bool(access.role_names(user) & access.MAY_CHANGE_TICKETS)
    return may_lead and (led is None or branch_id in led)
