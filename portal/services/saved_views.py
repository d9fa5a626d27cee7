"""Lists that people keep under a name."""

from collections.abc import Mapping

from flask import current_app
from flask_appbuilder.security.sqla.models import User
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from portal import access
from portal.errors import Forbidden, NotFound, UserFault
from portal.extensions import db
from portal.models import SavedView
from portal.services.transaction import transaction

LONGEST_NAME = 80
MOST_OF_ONE = 20
BACK_WITHIN_SECONDS = 60 * 60


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


def remove_view(owner: User, view_id: int) -> str:
    """Forget a view: one's own, or one shared with a branch that one leads. What `bring_back` takes to undo it.

    Commits. Raises NotFound for another's.
    """
    with transaction():
        view = db.session.get(SavedView, view_id)
        if view is None or not may_remove(owner, view):
            raise NotFound("There is no such view of yours.")
        kept = {name: getattr(view, name) for name in ("owner_id", "branch_id", "name", "filter", "position")}
        db.session.delete(view)
    return str(_sealer().dumps({"by": owner.id, "view": kept}))


def bring_back(actor: User, undo: str) -> str:
    """The name of the view that this person has just removed, which is there again, its owner's as it was.

    Commits. Raises UserFault where the undo is damaged, too old or another's, or the name is taken meanwhile.
    """
    try:
        sealed = _sealer().loads(undo, max_age=BACK_WITHIN_SECONDS)
    except BadSignature as error:
        raise UserFault("This can no longer be undone. Save the view again.") from error
    view = SavedView(**sealed["view"])
    if sealed["by"] != actor.id or not may_remove(actor, view):
        raise UserFault("This can no longer be undone. Save the view again.")
    written = insert(SavedView).values(**sealed["view"]).on_conflict_do_nothing().returning(SavedView.id)
    with transaction():
        if db.session.scalar(written) is None:
            raise UserFault(
                "There is a view called “%(name)s” again. It was left as it is.",
                name=view.name,
            )
    return view.name


def may_remove(user: User, view: SavedView) -> bool:
    """Whether the view is the person's to remove."""
    return view.owner_id == user.id or (view.branch_id is not None and leads(user, view.branch_id))


def leads(user: User, branch_id: int) -> bool:
    """Whether the person decides what everyone of that branch sees: its lead, or an admin."""
    led = access.led_branch_ids(user)
    may_lead = bool(access.role_names(user) & access.MAY_CHANGE_TICKETS)
    return may_lead and (led is None or branch_id in led)


def _sealer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="saved-view-undo")
