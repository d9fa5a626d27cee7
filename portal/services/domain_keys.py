"""The keys that branches sign their mail with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select

from portal.channels.email import domain_keys
from portal.errors import UserFault
from portal.extensions import db
from portal.models import Branch, ChannelAccount
from portal.models.columns import now
from portal.secrets_box import seal
from portal.services import audit
from portal.services.transaction import transaction

if TYPE_CHECKING:
    from portal.channels.email.domain_records import Finding


def make_branch_key(branch: Branch, actor: User | None) -> list[str]:
    """Give the branch a new key and return the DNS records to publish, one for each domain it sends from. Commits.

    Nothing is signed with it until someone who has published them says so: a signature that cannot be checked is
    worse than none. The selector is new each time, so that mail on its way can still be checked with the former key.
    """
    with transaction(branch):
        key = domain_keys.make_key()
        before = branch.dkim_selector
        branch.dkim_selector = f"portal{branch.id}-{now():%Y%m%d%H%M%S}"
        branch.dkim_record, branch.dkim_key_encrypted = key.record, seal(key.private_pem)
        branch.signs_with_dkim = False
        audit.record_change(
            branch, "key_made", actor, {"dkim_selector": {"from": before, "to": branch.dkim_selector}}
        )
    return records_of(branch)


def records_of(branch: Branch) -> list[str]:
    """The lines that a zone file needs for the branch's key, one for each domain it sends from. Reads only."""
    if not branch.dkim_record:
        return []
    domains = _domains(branch) or ["your-domain.example"]
    return [domain_keys.zone_line(branch.dkim_selector, domain, branch.dkim_record) for domain in domains]


def check_records(branch: Branch, dns_servers: Sequence[str]) -> "list[tuple[str, list[Finding]]]":
    """What the DNS says of each domain that the branch sends from. Asks over the network, changes nothing.

    Raises UserFault where there is nothing to ask about.
    """
    # Loads a DNS library, which only this button needs.
    from portal.channels.email.domain_records import look_up

    if not branch.dkim_record:
        raise UserFault(
            "%(name)s has no DKIM key yet. Make one first.",
            name=branch.name,
        )
    domains = _domains(branch)
    if not domains:
        raise UserFault(
            "%(name)s has no e-mail account yet, and so no domain to ask about.",
            name=branch.name,
        )
    selector, record = branch.dkim_selector, branch.dkim_record
    # No connection to the database is held while the DNS takes its time.
    db.session.commit()
    return [(domain, look_up(domain, selector, record, dns_servers)) for domain in domains]


def _domains(branch: Branch) -> list[str]:
    addresses = db.session.scalars(
        select(ChannelAccount.address).where(
            ChannelAccount.branch_id == branch.id, ChannelAccount.kind == "email"
        )
    )
    return sorted({address.rpartition("@")[2] for address in addresses})
