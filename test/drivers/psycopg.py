# packages: python3-psycopg
import psycopg
import uuid
from psycopg.types.json import Jsonb

properties = {"title": "Ro\u00e4r", "plays": 3, "tags": ["a", 'b "c"'], "at": None}

with psycopg.connect("") as connection, connection.cursor() as cursor:
    for user_id in (42, uuid.UUID("7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90"), "it's u1"):
        # from doc/clients.md
