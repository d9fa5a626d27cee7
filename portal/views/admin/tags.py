"""Tags."""

from portal.models import Tag
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.rows import Rows
from portal.wording import N_


class TagView(AdminView):
    noun, nouns = "tag", "tags"
    add_title = N_("New tag")
    list_title = N_("Tags")
    explanation = N_(
        "Words that agents put on tickets, to find and count them. Everybody uses the same ones."
    )
    empty_text = N_("No tags yet. Agents make them as they go; you can also prepare some here.")
    route_base = "/admin/tags"
    class_permission_name = "Tags"
    datamodel = Rows(Tag)
    list_columns = ["name", "created_at"]
    show_columns = ["name", "created_at"]
    add_columns = edit_columns = ["name"]
    search_columns = ["name"]
    base_order = ("name", "asc")
    description_columns = {"name": N_("Renaming a tag renames it on every ticket.")}


class TagApi(AdminApi):
    noun = "tag"
    resource_name = "tags"
    class_permission_name = "Tags"
    openapi_spec_tag = "Tags"
    datamodel = Rows(Tag)
    list_columns = show_columns = ["id", "name", "created_at"]
    add_columns = edit_columns = ["name"]
    search_columns = ["name"]
