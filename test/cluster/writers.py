# Writers that queue calls through the pooler, and note what became of each
# transaction: acknowledged, rolled back, failed (it ended before COMMIT was
# sent), or unknown (the connection ended in COMMIT).
#
#	writers.py DSN FILE SEED CLIENTS USERS
#
# FILE gets a JSON object a line.  They go on until SIGTERM, whatever happens to
# the server.
import json
import random
import signal
import sys
import threading
import time

import psycopg2

dsn, file, seed, clients, users = sys.argv[1:3] + [int(n) for n in sys.argv[3:]]
ended = threading.Event()
written = threading.Lock()
out = open(file, "a", buffering=1)


def note(transaction, outcome, calls):
    with written:
        out.write(json.dumps({"transaction": transaction, "outcome": outcome, "calls": calls}) + "\n")


class Writer(threading.Thread):
    def __init__(self, client):
        super().__init__()
        self.random = random.Random(seed * 1000 + client)
        self.client = client
        self.number = 0
        self.connection = None

    def run(self):
        while not ended.is_set():
            try:
                if self.connection is None:
                    self.connection = psycopg2.connect(dsn, connect_timeout=5)
                self.transaction()
            except psycopg2.Error:
                if self.connection is not None:
                    self.connection.close()
                    self.connection = None
                ended.wait(0.2)
            ended.wait(self.random.random() * 0.15)

    def queue(self, cursor):
        destination = self.random.choice(("one", "two"))
        how = self.random.randrange(10)
        if how == 0:
            cursor.execute("SELECT queue_set(%s, %s, %s)", (destination, self.user, self.random.randint(2, 40)))
        elif how <= 2:
            cursor.execute("SELECT queue_visit(%s)", (self.user,))
        else:
            cursor.execute("SELECT queue(%s, %s, %s)", (destination, self.user, self.random.randrange(100)))

    # what the transaction has queued, but for what is known already
    def queued(self, cursor, known=()):
        cursor.execute("SELECT destination::text, number, nonce, queued_at::text FROM committed WHERE transaction = %s", (self.name_,))
        return [call for call in map(list, cursor.fetchall()) if call not in known]

    def transaction(self):
        outcome, calls = "failed", []
        self.number += 1
        self.name_ = "%d.%d.%d" % (seed, self.client, self.number)
        self.user = "u%d" % self.random.randrange(users)
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("SET LOCAL cluster.transaction = %s", (self.name_,))
                cursor.execute("SELECT FROM users WHERE name = %s FOR UPDATE", (self.user,))
                self.queue(cursor)
                calls = self.queued(cursor)
                if self.random.randrange(5) == 0:
                    cursor.execute("SAVEPOINT s")
                    self.queue(cursor)
                    undone = self.queued(cursor, calls)
                    cursor.execute("ROLLBACK TO s")
                    note(self.name_, "rolled back", undone)
            if self.random.randrange(6) == 0:
                outcome = "rolled back"
                self.connection.rollback()
            else:
                outcome = "unknown"
                self.connection.commit()
                outcome = "acknowledged"
        finally:
            note(self.name_, outcome, calls)


signal.signal(signal.SIGTERM, lambda *_: ended.set())
writers = [Writer(client) for client in range(clients)]
for writer in writers:
    writer.start()
while not ended.is_set():
    time.sleep(0.1)
for writer in writers:
    writer.join()
