"""Lists that people keep under a name."""

from collections.abc import Mapping

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from portal.errors import NotFound, UserFault
from portal.extensions import db
from portal.models import SavedView
from portal.services.transaction import transaction

LONGEST_NAME = 80
MOST_OF_ONE = 20


def save_view(owner: User, name: str, wanted: Mapping[str, str]) -> None:
    """Keep the filter under that name; one of the same name is replaced. Commits. Raises UserFault without a name."""
    name = " ".join(name.split())
    if not name:
        raise UserFault("Give the view a name, so that you find it again.")
    if len(name) > LONGEST_NAME:
        raise UserFault(f"The name of a view has at most {LONGEST_NAME} characters.")
    kept = select(func.count()).where(SavedView.owner_id == owner.id, SavedView.name != name)
    with transaction():
        if (db.session.scalar(kept) or 0) >= MOST_OF_ONE:
            raise UserFault(f"You have {MOST_OF_ONE} saved views, which is as many as fit. Remove one first.")
        written = insert(SavedView).values(owner_id=owner.id, name=name, filter=dict(wanted))
        db.session.execute(
            written.on_conflict_do_update(
                index_elements=["owner_id", "name"], set_={"filter": written.excluded.filter}
            )
        )


def remove_view(owner: User, view_id: int) -> None:
    """Forget a view of one's own. Commits. Raises NotFound for another's."""
    with transaction():
        view = db.session.get(SavedView, view_id)
        if view is None or view.owner_id != owner.id:
            raise NotFound("There is no such view of yours.")
        db.session.delete(view)
