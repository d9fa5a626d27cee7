"""The four roles, in code: no permission is kept in the database, so that checking one needs no query.

Each noun of the admin has one permission name (`class_permission_name`) for its pages and its REST resource, and
four verbs: can_read, can_add, can_edit, can_delete. FAB matches patterns from their start only, so each is anchored.
"""

from flask_appbuilder.security.sqla.models import Role
from sqlalchemy import select

from portal.access import ADMIN, AGENT, AUDITOR, LEAD
from portal.extensions import db
from portal.wording import N_

READ, ADD, EDIT, DELETE = "can_read", "can_add", "can_edit", "can_delete"
VERBS = (READ, ADD, EDIT, DELETE)

DESCRIPTIONS = {
    ADMIN: N_("Sets everything up and sees every branch."),
    LEAD: N_(
        "Leads branches: looks after templates, tags and customers, sees the members and figures of those branches."
    ),
    AGENT: N_("Answers the tickets of their branches."),
    AUDITOR: N_("Reads everything of every branch, the ledgers included, and changes nothing."),
}

# What everybody who logs in may do: change their own password, read tickets of their reach and the API's description.
_EVERYBODY = [
    [r"ResetMyPasswordView$", r"can_this_form_(get|post)$"],
    [r"OpenApi$", r"can_get$"],
    [r"Tickets$", r"can_read$"],
    [r"Templates$", r"can_read$"],
]

FAB_ROLES: dict[str, list[list[str]]] = {
    ADMIN: [[r".*$", r".*$"]],
    LEAD: [
        *_EVERYBODY,
        [r"Admin$", r"can_read$"],
        [r"(Templates|Tags|Customers)$", r"can_(read|add|edit)$"],
        [r"Members$", r"can_read$"],
    ],
    AGENT: _EVERYBODY,
    AUDITOR: [*_EVERYBODY, [r".*$", r"can_read$"]],
}


def sync_roles() -> list[str]:
    """Make the roles exist in the database, where people are given them; return the new ones. Commits.

    A step of every release, beside the migrations. Runs any number of times.
    """
    there = set(db.session.scalars(select(Role.name)))
    new = [name for name in FAB_ROLES if name not in there]
    db.session.add_all(Role(name=name) for name in new)
    db.session.commit()
    return new
