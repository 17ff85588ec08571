"""How long an event takes from the vendor's API (Stripe) or the collect endpoint to the websocket of the page."""

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

import httpx
import websockets


async def latencies(
    api: str, simulators: str, collect: str, token: str, accounts: Sequence[tuple[str, str]], rounds: int
) -> dict[str, list[float]]:
    """Seconds by way in, one a round. accounts: (account id, crm id) of accounts whose signals move with an event."""
    measured: dict[str, list[float]] = {"Stripe": [], "collect": []}
    async with (
        httpx.AsyncClient(timeout=30) as client,
        websockets.connect(api.replace("http", "ws") + "/v1/live", max_size=None) as live,
    ):
        await live.send(json.dumps({"type": "auth", "access_token": token}))
        await live.send(json.dumps({"type": "subscribe", "channel": "portfolio"}))
        for number in range(rounds):
            account_id, crm_id = accounts[number % len(accounts)]
            way = "Stripe" if number % 2 else "collect"
            before = await _settled(live, account_id)
            began = time.monotonic()
            if way == "Stripe":
                item = {"kind": "payment_failed", "account": crm_id}
                (await client.post(f"{simulators}/_sim/inject", json=item)).raise_for_status()
            else:
                call = {
                    "userId": f"user-{number}", "event": "Feature Used", "messageId": str(uuid.uuid4()),
                    "properties": {"feature": "latency", "company_id": crm_id},
                }  # fmt: skip
                (await client.post(f"{collect}/v1/track", json=call, auth=("dev-write-key", ""))).raise_for_status()
            await _changed(live, account_id, before)
            measured[way].append(time.monotonic() - began)
    return measured


async def _settled(live: Any, account_id: str) -> Any:
    """Reads what waits, and returns the account's newest signal values among it (None if it is not there)."""
    newest = None
    while True:
        try:
            message = json.loads(await asyncio.wait_for(live.recv(), 0.4))
        except TimeoutError:
            return newest
        newest = _of(message, account_id) or newest


async def _changed(live: Any, account_id: str, before: Any) -> None:
    while True:
        now = _of(json.loads(await asyncio.wait_for(live.recv(), 30)), account_id)
        if now is not None and now != before:
            return


def _of(message: dict[str, Any], account_id: str) -> Any:
    for item in message.get("items", []):
        if item.get("account_id") == account_id:
            return item.get("signal_values")
    return None


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
