"""Claims by hand: what an operator says of a name, with who and when, on the same topic as every other claim."""

from datetime import datetime

from confluent_kafka import KafkaError, Message

from connectors.fields import account_identity, crm_account_id
from connectors.identities import IDENTITIES, IdentityIndex
from connectors.identity.claims import MANUAL, Claim
from connectors.identity.domains import DOMAIN
from vitals.avro import AvroSerde
from vitals.errors import RetriableError, UserError
from vitals.kafka import producer
from vitals.settings import Settings

SEND_SECONDS = 30.0


def manual_claim(
    index: IdentityIndex, identity: str, account: str, by: str, at: datetime, *, withdrawn: bool = False
) -> Claim:
    """The claim that a name is an account: its id, its id in the CRM, or its identity.

    Raises:
        UserError: the name is no name, is defined by the CRM itself, or the account is not known.
    """
    if identity.count(":") < 2 or identity.startswith(DOMAIN):
        raise UserError(f"{identity} is no name of an account: it looks like zendesk:organization:77.")
    identities = index.identities
    if identities.account_of(identity) is not None:
        raise UserError(f"{identity} is an account of the CRM itself, so nothing can be said of whose it is.")
    by_id = {known: name for name, known in identities.known_accounts().items()}
    target = by_id.get(account) or account_identity(crm_account_id(account) or account.removeprefix("crm:account:"))
    if not withdrawn and identities.account_of(target) is None:
        raise UserError(
            f"No identity source knows the account {account}: give its account id, its id in the CRM, or a name such "
            "as crm:account:0015e00000AaBbCAAV."
        )
    return Claim(identity, target, MANUAL, MANUAL, MANUAL, at, withdrawn, by=by)


def publish(settings: Settings, serde: AvroSerde, claim: Claim, at: datetime) -> None:
    """Writes a claim; every process that follows the topic knows it at once.

    Raises:
        RetriableError: the brokers did not take it.
    """
    failed: list[str] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error.str())

    client = producer(settings)
    encoded = serde.encode(IDENTITIES, "IdentityClaim", claim.record(at))
    client.produce(IDENTITIES, encoded, claim.key.encode(), on_delivery=delivered)
    if client.flush(SEND_SECONDS) > 0 or failed:
        raise RetriableError(f"Kafka did not take the claim: {'; '.join(failed) or 'no answer in time'}.")
