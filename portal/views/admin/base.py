"""The one base of every admin page and REST resource: whatever Flask-AppBuilder leaves open is closed here.

- Rows: `rows.Rows` limits every read to the person's reach, row actions, drop-downs and REST foreign keys included.
- Filters: FAB keeps one mutable filter object per view for all threads; here each request has its own.
- Pages: size, depth, count and ordering are capped to what an index serves.
- Writes: POST only, one transaction with its audit entry; a refused one leaves nothing changed, and no text of the
  database reaches a person or a program.
- REST: no schema object is written to (FAB's holds the row of the last caller), unknown fields are refused.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from flask import Response, abort, flash, g, has_request_context, redirect, request, session, url_for
from flask_appbuilder import ModelRestApi, ModelView, expose
from flask_appbuilder.models.filters import Filters
from flask_appbuilder.security.decorators import has_access
from flask_appbuilder.urltools import Stack
from marshmallow import ValidationError
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from portal.errors import UserFault
from portal.extensions import db
from portal.language import Told, gettext, lazy_gettext, says, tell
from portal.services import audit
from portal.views.admin import reach, show
from portal.views.admin.fields import Check, FormConverter
from portal.views.admin.rows import (
    PAGE_CAP,
    CappedCount,
    RelatedIs,
    is_ordered_by_index,
    words_of,
)
from portal.views.admin.writing import delete_row, new_row, write_row

log = structlog.get_logger()

PAGE_VERBS = {"list": "read", "show": "read", "add": "add", "edit": "edit", "delete": "delete"}
REST_VERBS = {
    "get_list": "read",
    "get": "read",
    "info": "read",
    "post": "add",
    "put": "edit",
    "delete": "delete",
}
WRITING_PAGES = frozenset({"add", "edit", "delete"})
WRITING_METHODS = frozenset({"post", "put", "delete"})
LONGEST_BACK_LINK = 400


class RequestFilters:
    """A `_filters` attribute that is one object per request, however many threads share the view."""

    _filters_of_class: Filters | None = None

    @property
    def _filters(self) -> Filters:
        if not has_request_context():
            return self._filters_of_class
        kept: dict[int, Filters] = g.setdefault("admin_filters", {})
        if id(self) not in kept:
            mine = copy.copy(self._filters_of_class)
            mine.clear_filters()
            kept[id(self)] = mine
        return kept[id(self)]

    @_filters.setter
    def _filters(self, filters: Filters) -> None:
        self._filters_of_class = filters


class AdminView(RequestFilters, ModelView):
    """Pages of one noun: list, show, add, edit, delete, and row actions."""

    noun = ""
    nouns = ""
    # Said above the list, and where the list is empty.
    explanation = ""
    empty_text = ""
    is_read_only = False
    may_delete = True
    # What the row's values must satisfy: {column: check}. The REST resource of the noun shares them.
    column_checks: Mapping[str, Check] = {}
    # The verb that an action needs, "edit" unless named here: {method: verb}.
    action_verbs: Mapping[str, str] = {}
    # The verb of a page that is not one of FAB's own: {method: verb}.
    page_verbs: Mapping[str, str] = {}

    exclude_route_methods = {"download"}
    list_template = "admin/list.html"
    show_template = "admin/show.html"
    add_template = "admin/add.html"
    edit_template = "admin/edit.html"
    page_size = 25
    base_order = ("id", "desc")

    def __init__(self, **kwargs: Any) -> None:
        self.method_permission_name = {**PAGE_VERBS, **self.page_verbs, **self._verbs_of_actions()}
        excluded = set(self.exclude_route_methods)
        if self.is_read_only:
            excluded |= WRITING_PAGES
        if not self.may_delete:
            excluded.add("delete")
        self.exclude_route_methods = excluded
        # FAB fills these in place, which would be the class's for all its children.
        for name in ("label_columns", "formatters_columns", "validators_columns", "description_columns"):
            setattr(self, name, dict(getattr(self, name) or {}))
        super().__init__(**kwargs)
        self.label_columns = Told(self.label_columns)
        # Above its list on the page of another noun.
        self.title = lazy_gettext(str(self.list_title))

    # What a noun fills in.

    def fill(self, row: Any, form: Any) -> None:
        """Values of the form that are no plain columns, before the row is checked and written."""

    def check_row(self, row: Any) -> None:
        """Raise UserFault for values that do not fit each other."""

    def finish(self, row: Any, form: Any) -> audit.Changes:  # noqa: ARG002
        """Rows beside this one, written in its transaction; their changes for the audit entry."""
        return {}

    def check_may_delete(self, row: Any) -> None:
        """Raise UserFault where the row has to stay."""

    def notices(self) -> Sequence[str]:
        """What is wrong with the noun at present, above its list; sentences to be told."""
        return ()

    def is_saving(self) -> bool:
        """Whether what was sent is to be saved; a form may have other buttons."""
        return True

    def title_of(self, row: Any) -> str:
        """What the row is called above its page and its form."""
        return str(row) or tell(self.show_title)

    # Pages.

    @expose("/list/")
    @has_access
    def list(self) -> Any:
        self.update_redirect()
        try:
            widgets = self._list()
        except UserFault as fault:
            flash(says(fault), "warning")
            widgets = self._list(is_plain=True)
        return self.render_template(
            self.list_template, title=tell(str(self.list_title)), widgets=widgets, view=self
        )

    @expose("/show/<pk>", methods=["GET"])
    @has_access
    def show(self, pk: str) -> Any:
        row = self._row(pk, self.show_columns)
        self.update_redirect()
        widgets = self._get_show_widget(self.datamodel.get_pk_value(row), row)
        widgets = self._with_related(row, widgets)
        return self.render_template(
            self.show_template,
            pk=pk,
            title=self.title_of(row),
            widgets=widgets,
            related_views=self._related_views,
            view=self,
            row=row,
        )

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        form = self.add_form.refresh()
        if (
            request.method == "POST"
            and self.is_saving()
            and form.validate()
            and self._save(new_row(self.datamodel.obj), form, "added")
        ):
            flash(gettext("Saved."), "success")
            return self.post_add_redirect()
        return self._form_page(self.add_template, tell(self.add_title), self._get_add_widget(form=form))

    @expose("/edit/<pk>", methods=["GET", "POST"])
    @has_access
    def edit(self, pk: str) -> Any:
        row = self._row(pk)
        if request.method == "POST":
            form = self.edit_form.refresh(obj=row)
            if self.is_saving() and form.validate() and self._save(row, form, "changed"):
                flash(gettext("Saved."), "success")
                return self.post_edit_redirect()
        else:
            form = self.edit_form.refresh(obj=row)
            self.prefill_form(form, self.datamodel.get_pk_value(row))
        return self._form_page(self.edit_template, self.title_of(row), self._get_edit_widget(form=form))

    @expose("/delete/<pk>", methods=["POST"])
    @has_access
    def delete(self, pk: str) -> Any:
        row = self._row(pk)
        try:
            reach.check_may_change(row)
            self.check_may_delete(row)
            delete_row(row)
        except UserFault as fault:
            flash(says(fault), "danger")
        else:
            flash(gettext("Deleted."), "success")
        return self.post_delete_redirect()

    @expose("/action/<string:name>/<pk>", methods=["POST"])
    def action(self, name: str, pk: str) -> Any:
        action = self._allowed_action(name)
        return self._act(action, self._row(pk))

    @expose("/action_post", methods=["POST"])
    def action_post(self) -> Any:
        action = self._allowed_action(request.form.get("action", ""))
        rows = [self._row(pk) for pk in request.form.getlist("rowid")[:PAGE_CAP]]
        return self._act(action, rows)

    def post_add_redirect(self) -> Any:
        return redirect(url_for(f"{self.endpoint}.list"))

    post_edit_redirect = post_add_redirect
    post_delete_redirect = post_add_redirect

    def update_redirect(self) -> None:
        # The way back is kept in the cookie, which holds four kilobytes.
        here = request.full_path.rstrip("?")
        if len(here) <= LONGEST_BACK_LINK:
            history = Stack(session.get("page_history", []))
            history.push(here)
            session["page_history"] = history.to_json()

    # How it works.

    def _init_properties(self) -> None:
        super()._init_properties()
        for name in ("show_fieldsets", "add_fieldsets", "edit_fieldsets"):
            if sets := getattr(self, name):
                setattr(self, name, [(lazy_gettext(title), fields) for title, fields in sets])
        if self.datamodel.is_large:
            wanted = [name for name in self.list_columns if is_ordered_by_index(self.datamodel.obj, name)]
            self.order_columns = wanted or [self.datamodel.get_pk_name()]
        else:
            columns = self.datamodel.list_columns
            self.order_columns = [name for name in self.list_columns if name in columns]
        self._gen_labels_columns(self.show_columns)
        for name in {*self.list_columns, *self.show_columns}:
            self.formatters_columns.setdefault(name, show.formatter_of(self.datamodel, name))

    def _init_titles(self) -> None:
        self.list_title = self.list_title or self.nouns.capitalize()
        self.add_title = self.add_title or f"New {self.noun}"
        self.show_title = self.show_title or self.noun.capitalize()
        super()._init_titles()

    def _init_forms(self) -> None:
        converter = FormConverter(self.datamodel, self.column_checks)

        def form_of(columns: Any, extra: Any) -> Any:
            return converter.create_form(
                _lazily(self.label_columns),
                columns,
                _lazily(self.description_columns),
                # Copied, because FAB appends to the lists it is given.
                {name: [*rules] for name, rules in self.validators_columns.items()},
                extra,
            )

        self.search_form = self.search_form or FormConverter(self.datamodel, {}).create_form(
            _lazily(self.label_columns), self.search_columns, extra_fields=self.search_form_extra_fields
        )
        if not self.is_read_only:
            self.add_form = self.add_form or form_of(self.add_columns, self.add_form_extra_fields)
            self.edit_form = self.edit_form or form_of(self.edit_columns, self.edit_form_extra_fields)
        super()._init_forms()

    def _gen_labels_columns(self, list_columns: Any) -> None:
        for name in list_columns:
            self.label_columns.setdefault(name, show.label_of_column(name))

    def _list(self, *, is_plain: bool = False) -> Any:
        self._filters.clear_filters()
        if not is_plain:
            read_filters(self._filters)
        asked = {} if is_plain else _asked_page(type(self).__name__)
        widgets = self._get_list_widget(filters=self._filters, **asked)
        return self._get_search_widget(form=self.search_form.refresh(), widgets=widgets)

    def _get_list_widget(  # noqa: PLR0917 - FAB's signature
        self,
        filters: Filters,
        actions: Any = None,
        order_column: str = "",
        order_direction: str = "",
        page: int | None = None,
        page_size: int | None = None,
        widgets: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        if order_column not in self.order_columns:
            order_column, order_direction = self.base_order or ("", "")
        page_size = min(max(page_size or self.page_size, 1), PAGE_CAP)
        count, rows = self.datamodel.query(
            filters.get_joined_filters(self._base_filters),
            order_column,
            order_direction,
            page=page,
            page_size=page_size,
            select_columns=self.list_columns,
        )
        widgets = widgets or {}
        widgets["list"] = self.list_widget(
            label_columns=self.label_columns,
            include_columns=self.list_columns,
            value_columns=self.datamodel.get_values(rows, self.list_columns),
            order_columns=self.order_columns,
            formatters_columns=self.formatters_columns,
            page=page,
            page_size=page_size,
            count=count,
            pks=self.datamodel.get_keys(rows),
            actions=actions or self.actions,
            filters=filters,
            modelview_name=type(self).__name__,
            empty_text=self.empty_text,
            **kwargs,
        )
        return widgets

    def _get_related_view_widget(  # noqa: PLR0917 - FAB's signature
        self,
        item: Any,
        related_view: Any,
        order_column: str = "",
        order_direction: str = "",
        page: int | None = None,
        page_size: int | None = None,
    ) -> Any:
        rows = related_view.datamodel
        filters = rows.get_filters()
        name = rows.get_related_fk(self.datamodel.obj)
        filters.add_filter_related_view(name, RelatedIs, self.datamodel.get_pk_value(item))
        return related_view._get_view_widget(  # noqa: SLF001 - as FAB calls its related views
            filters=filters,
            order_column=order_column,
            order_direction=order_direction,
            page=page,
            page_size=page_size,
        )

    def _with_related(self, row: Any, widgets: dict[str, Any]) -> dict[str, Any]:
        widgets["related_views"] = [
            self._get_related_view_widget(row, view, **_asked_page(type(view).__name__))
            for view in self._related_views
        ]
        return widgets

    def _form_page(self, template: str, title: str, widgets: Any) -> Any:
        return self.render_template(template, title=title, widgets=widgets, related_views=[], view=self)

    def _row(self, pk: Any, columns: Any = None) -> Any:
        row = self.datamodel.get(pk, self._base_filters, columns)
        if row is None:
            abort(404)
        return row

    def _save(self, row: Any, form: Any, action: str) -> bool:
        def fill() -> None:
            if action == "changed":
                reach.check_may_change(row)
            form.populate_obj(row)
            self.fill(row, form)
            self.check_row(row)

        try:
            write_row(row, action, fill, lambda: self.finish(row, form))
        except UserFault as fault:
            flash(says(fault), "danger")
            return False
        return True

    def _allowed_action(self, name: str) -> Any:
        action = self.actions.get(name)
        if action is None:
            abort(404)
        if not self.appbuilder.sm.has_access(
            self.get_action_permission_name(name), self.class_permission_name
        ):
            abort(403)
        return action

    def _act(self, action: Any, subject: Any) -> Any:
        try:
            answer = action.func(subject)
        except UserFault as fault:
            db.session.rollback()
            flash(says(fault), "danger")
            answer = None
        return answer or redirect(url_for(f"{self.endpoint}.list"))

    def _verbs_of_actions(self) -> dict[str, str]:
        names = [name for name in dir(type(self)) if hasattr(getattr(type(self), name), "_action")]
        return {name: self.action_verbs.get(name, "edit") for name in names}


class AdminApi(RequestFilters, ModelRestApi):
    """One noun under /api/v1/: list, get and, unless read-only, post, put and delete.

    By API key or token; also by cookie, then with the form token for changes (`security` checks it before any view).
    """

    is_read_only = False
    may_delete = True
    noun = ""
    column_checks: Mapping[str, Check] = {}
    allow_browser_login = True
    base_order = ("id", "asc")
    page_size = 25
    method_permission_name = REST_VERBS

    def __init__(self) -> None:
        excluded = set(self.exclude_route_methods)
        if self.is_read_only:
            excluded |= WRITING_METHODS
        if not self.may_delete:
            excluded.add("delete")
        self.exclude_route_methods = excluded
        self.label_columns = dict(self.label_columns or {})
        super().__init__()

    def check_row(self, row: Any) -> None:
        """Raise UserFault for values that do not fit each other."""

    def _init_properties(self) -> None:
        self.search_columns = list(dict.fromkeys(["id", *(self.search_columns or [])]))
        super()._init_properties()
        if self.datamodel.is_large:
            self.order_columns = [
                name for name in self.list_columns if is_ordered_by_index(self.datamodel.obj, name)
            ]
        else:
            columns = self.datamodel.list_columns
            self.order_columns = [name for name in self.list_columns if name in columns]

    def get_list_headless(self, **kwargs: Any) -> Response:
        return self._answered(lambda: self._list_answer(kwargs.get("rison", {})))

    def get_headless(self, pk: Any, **kwargs: Any) -> Response:
        return self._answered(lambda: self._get_answer(pk, kwargs.get("rison", {})))

    def info_headless(self, **kwargs: Any) -> Response:
        return self._answered(lambda: super(AdminApi, self).info_headless(**kwargs))

    def post_headless(self) -> Response:
        return self._answered(self._post_answer)

    def put_headless(self, pk: Any) -> Response:
        return self._answered(lambda: self._put_answer(pk))

    def delete_headless(self, pk: Any) -> Response:
        return self._answered(lambda: self._delete_answer(pk))

    def _list_answer(self, asked: dict[str, Any]) -> Response:
        columns = self._wanted_columns(asked, self.list_columns)
        order_column, order_direction = self._asked_order(asked)
        page, page_size = self._handle_page_args(asked)
        count, rows = self.datamodel.query(
            self._handle_filters_args(asked),
            order_column,
            order_direction,
            page=page,
            page_size=page_size,
            select_columns=self.list_columns,
        )
        answer: dict[str, Any] = {}
        self.set_response_key_mappings(answer, self.get_list, asked, select_columns=columns)
        answer["result"] = [_only(found, columns) for found in self.list_model_schema.dump(rows, many=True)]
        answer["ids"] = self.datamodel.get_keys(rows)
        answer["count"] = int(count)
        answer["count_is_capped"] = isinstance(count, CappedCount)
        return self.response(200, **answer)

    def _get_answer(self, pk: Any, asked: dict[str, Any]) -> Response:
        row = self.datamodel.get(pk, self._base_filters, self.show_columns)
        if row is None:
            return self.response_404()
        columns = self._wanted_columns(asked, self.show_columns)
        answer: dict[str, Any] = {}
        self.set_response_key_mappings(answer, self.get, asked, select_columns=columns)
        answer["id"] = self.datamodel.get_pk_value(row)
        answer["result"] = _only(self.show_model_schema.dump(row, many=False), columns)
        return self.response(200, **answer)

    def _post_answer(self) -> Response:
        row = new_row(self.datamodel.obj)
        self._write(row, "added", self.add_columns)
        return self.response(201, id=self.datamodel.get_pk_value(row), result=self._written(row))

    def _put_answer(self, pk: Any) -> Response:
        row = self.datamodel.get(pk, self._base_filters)
        if row is None:
            return self.response_404()
        self._write(row, "changed", self.edit_columns)
        return self.response(200, result=self._written(row))

    def _delete_answer(self, pk: Any) -> Response:
        row = self.datamodel.get(pk, self._base_filters)
        if row is None:
            return self.response_404()
        reach.check_may_change(row)
        delete_row(row)
        return self.response(200, message="OK")

    def _write(self, row: Any, action: str, columns: Any) -> None:
        data = request.get_json(silent=True) if request.is_json else None
        if not isinstance(data, dict):
            raise BadFields({"_": "Send a JSON object, with the content type application/json."})

        def fill() -> None:
            if action == "changed":
                reach.check_may_change(row)
            values = self._values(data, columns, is_new=action == "added")
            for name, value in values.items():
                setattr(row, name, value)
            self.check_row(row)

        write_row(row, action, fill)

    def _values(self, data: dict[str, Any], columns: Any, *, is_new: bool) -> dict[str, Any]:
        """The checked values of a request. Raises BadFields with a sentence for each field."""
        schema = self.add_model_schema if is_new else self.edit_model_schema
        values: dict[str, Any] = {}
        faults: dict[str, Any] = {
            name: "This field is not known here." for name in data if name not in columns
        }
        for name in columns:
            if name not in data:
                if is_new and schema.fields[name].required:
                    faults[name] = "This field is needed."
                continue
            try:
                values[name] = self._value(name, data[name], schema)
                if name in self.column_checks:
                    self.column_checks[name](values[name])
            except ValidationError as error:
                faults[name] = error.messages
            except UserFault as fault:
                faults[name] = says(fault)
        if faults:
            raise BadFields(faults)
        return values

    def _value(self, name: str, value: Any, schema: Any) -> Any:
        rows = self.datamodel
        if rows.is_relation(name):
            return self._related(name, value)
        if value is None:
            if not rows.is_nullable(name):
                raise UserFault("This field cannot be empty.")
            return None
        words = words_of(rows.obj, name)
        if words and value not in words:
            raise UserFault(
                "Choose one of: %(listed)s.",
                listed=", ".join(words),
            )
        return schema.fields[name].deserialize(value)

    def _related(self, name: str, value: Any) -> Any:
        others = self.datamodel.get_related_interface(name)
        if self.datamodel.list_properties[name].uselist:
            if not isinstance(value, list | tuple):
                raise UserFault("Send a list of ids.")
            found = [others.get(item) for item in value]
            if None in found:
                raise UserFault("One of these does not exist, or lies outside your branches.")
            return found
        if value is None and self.datamodel.is_nullable(name):
            return None
        found = others.get(value)
        if found is None:
            raise UserFault("There is no such row, or it lies outside your branches.")
        return found

    def _written(self, row: Any) -> dict[str, Any]:
        return self.show_model_schema.dump(row, many=False)

    def _asked_order(self, asked: dict[str, Any]) -> tuple[str, str]:
        column = asked.get("order_column", "")
        if not column:
            return self.base_order
        if column not in self.order_columns:
            raise UserFault(
                "This list is ordered by one of: %(listed)s.",
                listed=", ".join(self.order_columns),
            )
        return column, "desc" if asked.get("order_direction") == "desc" else "asc"

    @staticmethod
    def _wanted_columns(asked: dict[str, Any], columns: Any) -> list[str]:
        wanted = asked.get("columns") or asked.get("select_columns") or []
        return [name for name in wanted if name in columns]

    def _answered(self, answer: Callable[[], Response]) -> Response:
        """The answer, or the fault in words. FAB's `safe` would make each a 500."""
        try:
            return answer()
        except BadFields as fault:
            db.session.rollback()
            return self.response(422, message=fault.faults)
        except UserFault as fault:
            db.session.rollback()
            return self.response(fault.status_code, message=says(fault))
        except OperationalError:
            db.session.rollback()
            return self.response(503, message="The database does not answer at the moment. Try again.")
        except SQLAlchemyError as error:
            db.session.rollback()
            log.exception("rest_failed", path=request.path, error=type(error).__name__)
            return self.response(422, message="That could not be done with these values.")


class BadFields(UserFault):
    """A request to the REST interface with values that cannot be used: {field: sentence}."""

    def __init__(self, faults: dict[str, Any]) -> None:
        super().__init__("; ".join(f"{name}: {words}" for name, words in faults.items()))
        self.faults = faults


def read_filters(filters: Filters) -> None:
    """Take the filters of this request's address: `_flt_<index>_<column>=value`, those that the view offers."""
    offered = filters.get_search_filters()
    for name in request.args:
        head, _, rest = name.partition("_flt_")
        index, _, column = rest.partition("_")
        if head == "" and index.isdigit() and len(index) == 1 and column in offered:
            filters.add_filter_index(column, int(index), request.args.getlist(name))


def _lazily(words: dict[str, str]) -> dict[str, str]:
    """The same words, each told to whoever sees the form."""
    return {name: lazy_gettext(each) if isinstance(each, str) else each for name, each in dict.items(words)}


def _asked_page(view_name: str) -> dict[str, Any]:
    direction = request.args.get(f"_od_{view_name}", "asc")
    return {
        "order_column": request.args.get(f"_oc_{view_name}", ""),
        "order_direction": direction if direction in ("asc", "desc") else "asc",
        "page": _number(request.args.get(f"page_{view_name}")),
        "page_size": _number(request.args.get(f"psize_{view_name}")),
    }


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def _only(found: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    if not columns:
        return found
    roots = {column.split(".")[0] for column in columns}
    return {name: value for name, value in found.items() if name in roots}
