# packages: python3-psycopg2
import psycopg2
import uuid
from psycopg2.extras import Json, register_uuid

register_uuid()
properties = {"title": "Ro\u00e4r", "plays": 3, "tags": ["a", 'b "c"'], "at": None}

with psycopg2.connect("") as connection, connection.cursor() as cursor:
    for user_id in (42, uuid.UUID("7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90"), "it's u1"):
        # from doc/clients.md
