"""What the admin holds, in the order in which it is shown: the one list that a new noun joins."""

from dataclasses import dataclass

from portal.views.admin.accounts import AccountApi, AccountView
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.branches import BranchApi, BranchView, TierApi, TierView
from portal.views.admin.calendars import CalendarApi, CalendarVersionApi, CalendarView
from portal.views.admin.customers import CustomerApi, CustomerView, IdentityView
from portal.views.admin.escalation_rules import EscalationRuleApi, EscalationRuleView
from portal.views.admin.fields_of_tickets import FieldApi, FieldView
from portal.views.admin.ledgers import AuditView, DeliveryView, EventView, InboxView, OutboxView
from portal.views.admin.lifecycle import LifecycleView, ResolutionCodeApi, ResolutionCodeView
from portal.views.admin.notify_targets import NotifyTargetView
from portal.views.admin.people import ApiKeyView, MemberApi, MembersView, PeopleApi, PeopleView, RoleView
from portal.views.admin.policies import PolicyApi, PolicyView
from portal.views.admin.routing_rules import RoutingRuleApi, RoutingRuleView
from portal.views.admin.tags import TagApi, TagView
from portal.views.admin.templates import TemplateApi, TemplateView
from portal.views.admin.tickets import TicketApi
from portal.views.admin.triage import TriageView
from portal.wording import N_


@dataclass(frozen=True)
class Section:
    """A group of nouns that belong together."""

    name: str
    icon: str
    views: tuple[type[AdminView], ...]


SECTIONS = (
    Section(
        N_("People"), "users", (PeopleView, MembersView, RoleView, ApiKeyView, CustomerView, IdentityView)
    ),
    Section(N_("Places"), "building", (BranchView, TierView, NotifyTargetView, CalendarView)),
    Section(N_("Mail"), "mail", (AccountView, TemplateView, TagView)),
    Section(
        N_("Rules"),
        "route",
        (
            RoutingRuleView,
            EscalationRuleView,
            PolicyView,
            LifecycleView,
            ResolutionCodeView,
            FieldView,
            TriageView,
        ),
    ),
    Section(N_("Ledgers"), "book-open", (EventView, InboxView, OutboxView, DeliveryView, AuditView)),
)
# The page of people is FAB's user page, which the security manager registers.
VIEWS: tuple[type[AdminView], ...] = tuple(
    view for section in SECTIONS for view in section.views if view is not PeopleView
)
APIS: tuple[type[AdminApi], ...] = (
    BranchApi,
    TierApi,
    CalendarApi,
    CalendarVersionApi,
    PolicyApi,
    RoutingRuleApi,
    EscalationRuleApi,
    TemplateApi,
    AccountApi,
    CustomerApi,
    TagApi,
    FieldApi,
    ResolutionCodeApi,
    MemberApi,
    PeopleApi,
    TicketApi,
)
