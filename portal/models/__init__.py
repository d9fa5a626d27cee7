"""Rows: one file per noun. Importing this package registers every table."""

from flask_appbuilder.security.sqla.models import Role, User

from portal.models.account import ChannelAccount
from portal.models.agent import Agent, BranchMembership
from portal.models.branch import Branch, EscalationTier
from portal.models.calendar import Calendar, CalendarVersion
from portal.models.customer import Customer, Identity
from portal.models.desk import AuditEntry, Notification, SavedView
from portal.models.draft import Draft
from portal.models.escalation import Alert, Escalation, EscalationRule, NotifyTarget
from portal.models.event import Event
from portal.models.field import TicketField
from portal.models.lifecycle import LifecycleSetting, LifecycleStatus, ResolutionCode
from portal.models.mailbox import Delivery, InboxItem, OutboxItem
from portal.models.message import Attachment, Message
from portal.models.routing import RoutingRule
from portal.models.sla import Clock, PolicyVersion, SlaPolicy
from portal.models.template import ReplyTemplate
from portal.models.ticket import Tag, Ticket, TicketLink, TriageCriterion

__all__ = [
    "Agent",
    "Alert",
    "Attachment",
    "AuditEntry",
    "Branch",
    "BranchMembership",
    "Calendar",
    "CalendarVersion",
    "ChannelAccount",
    "Clock",
    "Customer",
    "Delivery",
    "Draft",
    "Escalation",
    "EscalationRule",
    "EscalationTier",
    "Event",
    "Identity",
    "InboxItem",
    "LifecycleSetting",
    "LifecycleStatus",
    "Message",
    "Notification",
    "NotifyTarget",
    "OutboxItem",
    "PolicyVersion",
    "ReplyTemplate",
    "ResolutionCode",
    "Role",
    "RoutingRule",
    "SavedView",
    "SlaPolicy",
    "Tag",
    "Ticket",
    "TicketField",
    "TicketLink",
    "TriageCriterion",
    "User",
]
