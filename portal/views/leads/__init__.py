"""What leads see: figures, trends, and lists to take away."""

from portal.views.leads import export, simulator, undelivered  # noqa: F401 - their addresses are on the blueprint
from portal.views.leads.dashboard import blueprint

__all__ = ["blueprint"]
