"""A world's accounts, subscriptions and invoices as Stripe objects, each as of a source time."""

from bisect import bisect_right
from collections import defaultdict
from typing import Any

from connectors.simulation.calendar import month_starts, next_month
from connectors.simulation.identifiers import base62, stripe_id
from connectors.simulation.links import link_at
from connectors.simulation.world import Account, Invoice, Subscription, World, seat_price_cents

_CURRENCY = "usd"
_PRODUCT_ID = stripe_id("prod", "seat")
# Inline lists stop here; the rest is at the list's own address.
_INLINE = 10


def customer_id(account: Account) -> str:
    """The Stripe customer of an account, made when its contract is closed."""
    return stripe_id("cus", account.external_id)


def price_id(plan: str | None) -> str:
    """The price of a seat under a plan; that of the list where none is named."""
    return stripe_id("price", "seat" if plan is None else f"seat:{plan}")


def price(plan: str | None = None) -> dict[str, Any]:
    """A price of every world: a seat for a month, under a plan or at the list price."""
    unit = seat_price_cents(plan)
    return {
        "id": price_id(plan),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": 0,
        "currency": _CURRENCY,
        "livemode": False,
        "metadata": {},
        "nickname": "Seat, monthly list price" if plan is None else f"{plan} seat, monthly",
        "product": _PRODUCT_ID,
        "recurring": {
            "interval": "month",
            "interval_count": 1,
            "usage_type": "licensed",
            "meter": None,
            "trial_period_days": None,
        },
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": unit,
        "unit_amount_decimal": str(unit),
    }


class BillingRecords:
    """Renders the objects of one world."""

    def __init__(self, world: World) -> None:
        self._accounts = world.accounts
        self._of_subscription: dict[str, list[Invoice]] = defaultdict(list)
        self._numbers: dict[str, int] = {}
        issued: dict[int, list[int]] = defaultdict(list)
        self._owed: dict[int, list[Invoice]] = defaultdict(list)
        for invoice in world.invoices:
            self._of_subscription[invoice.subscription_id].append(invoice)
            issued[invoice.account].append(invoice.created_at)
            self._numbers[invoice.invoice_id] = len(issued[invoice.account])
            if not invoice.attempts[0][1]:
                self._owed[invoice.account].append(invoice)
        self._issued = dict(issued)

    def invoices_of(self, subscription_id: str) -> list[Invoice]:
        """The invoices of a subscription, the oldest first."""
        return self._of_subscription.get(subscription_id, [])

    def customer(self, account: Account, at: int) -> dict[str, Any]:
        """A customer object."""
        owed = any(
            invoice_status(invoice, at) == "open" and _attempts(invoice, at) for invoice in self._owed[account.index]
        )
        name, link = customer_id(account), link_at(account, at)
        return {
            "id": name,
            "object": "customer",
            "address": None,
            "balance": 0,
            "created": account.first_activity_at,
            "currency": _CURRENCY,
            "default_source": None,
            "delinquent": owed,
            "description": None,
            "email": f"billing@{link.domain}" if link.domain else None,
            "invoice_prefix": base62(f"prefix:{name}", 7).upper(),
            "livemode": False,
            "metadata": {"crm_account_id": link.crm_id} if link.crm_id else {},
            "name": account.name,
            "next_invoice_sequence": bisect_right(self._issued.get(account.index, []), at) + 1,
            "phone": None,
            "preferred_locales": [],
            "shipping": None,
            "tax_exempt": "none",
            "test_clock": None,
        }

    def subscription(self, subscription: Subscription, at: int) -> dict[str, Any]:
        """A subscription object; the periods live on its item."""
        canceled_at = subscription.canceled_at
        ended = canceled_at is not None and canceled_at <= at
        within = min(at, canceled_at - 1) if canceled_at is not None and ended else at
        period_start = int(month_starts(within, within)[0])
        invoices = self.invoices_of(subscription.subscription_id)
        issued = [invoice for invoice in invoices if invoice.created_at <= at]
        name = subscription.subscription_id
        item = {
            "id": name.replace("sub_", "si_"),
            "object": "subscription_item",
            "created": subscription.created_at,
            "current_period_start": period_start,
            "current_period_end": next_month(period_start),
            "discounts": [],
            "metadata": {},
            "price": price(subscription.plan_at(at)),
            "quantity": seats_at(subscription, at),
            "subscription": name,
            "tax_rates": [],
        }
        return {
            "id": name,
            "object": "subscription",
            "billing_cycle_anchor": subscription.created_at,
            "billing_mode": {"type": "flexible"},
            "cancel_at": None,
            "cancel_at_period_end": False,
            "canceled_at": canceled_at if ended else None,
            "cancellation_details": {
                "comment": None,
                "feedback": None,
                "reason": "cancellation_requested" if ended else None,
            },
            "collection_method": "charge_automatically",
            "created": subscription.created_at,
            "currency": _CURRENCY,
            "customer": customer_id(self._accounts[subscription.account]),
            "days_until_due": None,
            "discounts": [],
            "ended_at": canceled_at if ended else None,
            "items": {
                "object": "list",
                "data": [item],
                "has_more": False,
                "url": f"/v1/subscription_items?subscription={name}",
            },
            "latest_invoice": issued[-1].invoice_id if issued else None,
            "livemode": False,
            "metadata": {},
            "pause_collection": None,
            "start_date": subscription.created_at,
            "status": status_at(subscription, at),
            "test_clock": None,
            "trial_end": None,
            "trial_start": None,
        }

    def invoice(self, invoice: Invoice, at: int) -> dict[str, Any]:
        """An invoice object of API version basil or later: `parent` names the subscription."""
        customer = customer_id(self._accounts[invoice.account])
        status, tried = invoice_status(invoice, at), _attempts(invoice, at)
        paid = status == "paid"
        following = [again for again, _ in invoice.attempts if again > at]
        written_off = invoice.uncollectible_at if status == "uncollectible" else None
        lines = self.lines(invoice)
        return {
            "id": invoice.invoice_id,
            "object": "invoice",
            "amount_due": invoice.amount_cents,
            "amount_paid": invoice.amount_cents if paid else 0,
            "amount_remaining": 0 if paid else invoice.amount_cents,
            "attempt_count": tried,
            "attempted": tried > 0,
            "auto_advance": status in ("draft", "open"),
            "billing_reason": invoice.billing_reason,
            "collection_method": "charge_automatically",
            "created": invoice.created_at,
            "currency": _CURRENCY,
            "customer": customer,
            "due_date": None,
            "lines": {
                "object": "list",
                "data": lines[:_INLINE],
                "has_more": len(lines) > _INLINE,
                "url": f"/v1/invoices/{invoice.invoice_id}/lines",
            },
            "livemode": False,
            "metadata": {},
            "next_payment_attempt": following[0] if following and status == "open" else None,
            "number": None if status == "draft" else self._number(invoice, customer),
            "parent": {
                "type": "subscription_details",
                "quote_details": None,
                "subscription_details": {"subscription": invoice.subscription_id, "metadata": {}},
            },
            "period_end": invoice.period_end,
            "period_start": invoice.period_start,
            "status": status,
            "status_transitions": {
                "finalized_at": invoice.finalized_at if invoice.finalized_at <= at else None,
                "marked_uncollectible_at": written_off,
                "paid_at": invoice.paid_at if paid else None,
                "voided_at": None,
            },
            "subtotal": invoice.amount_cents,
            "test_clock": None,
            "total": invoice.amount_cents,
            "total_excluding_tax": invoice.amount_cents,
        }

    def lines(self, invoice: Invoice) -> list[dict[str, Any]]:
        """The one line of an invoice: its seats over the service period."""
        unit = seat_price_cents(invoice.plan)
        return [
            {
                "id": invoice.invoice_id.replace("in_", "il_"),
                "object": "line_item",
                "amount": invoice.amount_cents,
                "currency": _CURRENCY,
                "description": f"{invoice.seats} x Seat (at USD {unit / 100:.2f} / month)",
                "discount_amounts": [],
                "discounts": [],
                "livemode": False,
                "metadata": {},
                "parent": {
                    "type": "subscription_item_details",
                    "invoice_item_details": None,
                    "subscription_item_details": {
                        "invoice_item": None,
                        "proration": False,
                        "subscription": invoice.subscription_id,
                        "subscription_item": invoice.subscription_id.replace("sub_", "si_"),
                    },
                },
                "period": {"start": invoice.period_start, "end": invoice.period_end},
                "pricing": {
                    "type": "price_details",
                    "price_details": {"price": price_id(invoice.plan), "product": _PRODUCT_ID},
                    "unit_amount_decimal": str(unit),
                },
                "quantity": invoice.seats,
                "subtotal": invoice.amount_cents,
            }
        ]

    def _number(self, invoice: Invoice, customer: str) -> str:
        return f"{base62(f'prefix:{customer}', 7).upper()}-{self._numbers[invoice.invoice_id]:04d}"


def seats_at(subscription: Subscription, at: int) -> int:
    """The quantity of a subscription's item."""
    return next(
        (seats for since, seats in reversed(subscription.seat_changes) if since <= at), subscription.seat_changes[0][1]
    )


def status_at(subscription: Subscription, at: int) -> str:
    """`active`, `past_due` or `canceled`."""
    if subscription.canceled_at is not None and subscription.canceled_at <= at:
        return "canceled"
    return next((status for since, status in reversed(subscription.status_changes) if since <= at), "active")


def invoice_status(invoice: Invoice, at: int) -> str:
    """`draft`, `open`, `paid` or `uncollectible`."""
    if invoice.paid_at is not None and invoice.paid_at <= at:
        return "paid"
    if invoice.uncollectible_at is not None and invoice.uncollectible_at <= at:
        return "uncollectible"
    return "draft" if at < invoice.finalized_at else "open"


def _attempts(invoice: Invoice, at: int) -> int:
    return sum(1 for tried_at, _ in invoice.attempts if tried_at <= at)
