"""What the tests beside this ask of the emulator, by Debian's azure-servicebus (7.8, on uamqp, which insists on TLS).

Each line of the output is a step and what came of it. Arguments: connection string, port, PEM file of the authority.
"""

import datetime
import json
import sys

import azure.servicebus._common._configuration as configuration
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue

connection_string, port, authority = sys.argv[1:4]
configuration.DEFAULT_AMQPS_PORT = int(port)  # uamqp knows no other port; the emulator listens on a free one
client = ServiceBusClient.from_connection_string(connection_string, retry_total=0, connection_verify=authority)


def step(name, action):
    try:
        outcome = {"name": name, "result": action()}
    except Exception as error:
        outcome = {"name": name, "error": type(error).__name__, "message": str(error)}
    print(json.dumps(outcome), flush=True)


def send(queue, *messages):
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(message) for message in messages])


def receiver_of(queue, **options):
    return client.get_queue_receiver(queue, max_wait_time=20, **options)


def take(queue, **options):
    with receiver_of(queue, **options) as receiver:
        message = receiver.receive_messages(1)[0]
        receiver.complete_message(message)
        return str(message)


def two_entities():
    send("first", "one")
    send("second", "two", "three")
    return [take("first"), take("second"), take("second")]


def scheduled():
    with client.get_queue_sender("first") as sender:
        later = datetime.datetime.utcnow() + datetime.timedelta(hours=1)
        numbers = sender.schedule_messages(ServiceBusMessage("later"), later)
        with receiver_of("first") as receiver:
            peeked = str(receiver.peek_messages(1)[0])
        sender.cancel_scheduled_messages(numbers)
        return peeked


def dead_letters():
    send("second", "bad")
    with receiver_of("second") as receiver:
        receiver.abandon_message(receiver.receive_messages(1)[0])
        message = receiver.receive_messages(1)[0]
        receiver.renew_message_lock(message)
        receiver.dead_letter_message(message, reason="reason", error_description="description")
    with receiver_of("second", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        message = receiver.receive_messages(1)[0]
        receiver.complete_message(message)
        return [message.dead_letter_reason, message.delivery_count]


def deferred():
    send("first", "deferred")
    with receiver_of("first") as receiver:
        message = receiver.receive_messages(1)[0]
        receiver.defer_message(message)
        again = receiver.receive_deferred_messages(message.sequence_number)[0]
        receiver.complete_message(again)
        return str(again)


def published():
    with client.get_topic_sender("topic") as sender:
        sender.send_messages(ServiceBusMessage("published"))
    with client.get_subscription_receiver("topic", "all", max_wait_time=20) as receiver:
        message = receiver.receive_messages(1)[0]
        receiver.complete_message(message)
        return str(message)


step("two entities", two_entities)
step("scheduled, peeked, cancelled", scheduled)
step("dead letters", dead_letters)
step("deferred", deferred)
step("topic, subscription", published)
step("an entity that is not there", lambda: take("nowhere"))
step("a session", lambda: take("first", session_id="session"))
