"""Qpid Proton asks for messages in the same packet in which it opens a link, and calls both directions by one name."""

import json
import sys

from proton import Message
from proton.utils import BlockingConnection

connection = BlockingConnection(f"127.0.0.1:{sys.argv[1]}", allowed_mechs="ANONYMOUS", timeout=20)
sender = connection.create_sender("first")
for body in ("one", "two", "three"):
    sender.send(Message(body=body))
receiver = connection.create_receiver("first", credit=10)
received = []
for _ in range(3):
    received.append(receiver.receive(timeout=20).body)
    receiver.accept()
connection.close()
print(json.dumps({"name": "sent and received", "result": received}))
