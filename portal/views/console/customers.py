"""The customer of a ticket: what is known of them, and who they are."""

from typing import Any

from flask import flash, jsonify, redirect, render_template, request, url_for

from portal import access
from portal.errors import UserFault
from portal.errors_pages import wants_partial
from portal.language import gettext
from portal.models import Customer
from portal.services import customers
from portal.views.console.blueprint import ID, blueprint, person
from portal.views.console.finding import number_in
from portal.views.console.ticket import piece

LARGEST_ID = 2**63 - 1


@blueprint.get(f"/tickets/<{ID}:number>/customer")
def customer(number: int) -> str:
    """The dialog, or only what a search in it finds."""
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    text = request.args.get("q", "")
    found = customers.found_by(person(), text, ticket.customer)
    if wants_partial() and "q" in request.args:
        return render_template("console/_customers.html", customers=found, text=text)
    return piece("console/_customer.html", gettext("Customer"), ticket=ticket, customers=found, text=text)


@blueprint.post(f"/tickets/<{ID}:number>/customer")
def edit_customer(number: int) -> Any:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    customers.edit(
        ticket.customer, person(), name=request.form.get("name", ""), notes=request.form.get("notes", "")
    )
    return _done(number, gettext("The customer is changed."))


@blueprint.post(f"/tickets/<{ID}:number>/customer/change")
def change_customer(number: int) -> Any:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    chosen = _chosen()
    customers.change_customer(ticket, chosen, person())
    return _done(number, gettext("This ticket is %(chosen)s's now.", chosen=chosen))


@blueprint.post(f"/tickets/<{ID}:number>/customer/merge")
def merge_customers(number: int) -> Any:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    chosen = _chosen()
    name = str(chosen)
    customers.merge(chosen, ticket.customer, person())
    return _done(
        number,
        gettext("%(name)s and %(customer)s are one customer now.", name=name, customer=ticket.customer),
    )


def _chosen() -> Customer:
    number = number_in(request.form.get("customer", ""))
    if number is None or number > LARGEST_ID:
        raise UserFault("Choose a customer from the list first.")
    return access.access_customer(person(), number, for_change=True)


def _done(number: int, says: str) -> Any:
    if wants_partial():
        return jsonify(says=says)
    flash(says, "success")
    return redirect(url_for("console.ticket", number=number), 303)
