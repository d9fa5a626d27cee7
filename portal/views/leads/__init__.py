"""What leads see: figures, trends, and lists to take away."""

from portal.views.leads import export  # noqa: F401 - its address is on the blueprint
from portal.views.leads.dashboard import blueprint

__all__ = ["blueprint"]
